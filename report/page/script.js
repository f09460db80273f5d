(function () {
  'use strict';
  function text(v) {
    var a = Math.abs(v);
    if (a !== 0 && (a >= 1e7 || a < 1e-4)) return v.toExponential(2);
    return String(+v.toPrecision(5));
  }
  function nearest(xs, x) {
    var lo = 0, hi = xs.length - 1;
    while (hi - lo > 1) {
      var mid = (lo + hi) >> 1;
      if (xs[mid] < x) lo = mid; else hi = mid;
    }
    return Math.abs(xs[lo] - x) <= Math.abs(xs[hi] - x) ? lo : hi;
  }
  document.querySelectorAll('figure.chart').forEach(function (figure) {
    var svg = figure.querySelector('.plot svg'), tip = figure.querySelector('.tip');
    var cursor = svg.querySelector('.cursor');
    var data = JSON.parse(figure.querySelector('script').textContent);
    var groups = svg.querySelectorAll('g.s');
    var off = data.s.map(function () { return false; });
    var at = null;

    figure.querySelectorAll('.legend button').forEach(function (button) {
      button.addEventListener('click', function () {
        var i = +button.dataset.s;
        off[i] = !off[i];
        button.setAttribute('aria-pressed', String(!off[i]));
        groups[i].classList.toggle('off', off[i]);
        if (at !== null) show(at);
      });
    });

    function hide() {
      at = null;
      tip.hidden = true;
      cursor.setAttribute('x1', -9);
      cursor.setAttribute('x2', -9);
    }
    function show(x) {
      at = x;
      var rows = [], best = null;
      data.s.forEach(function (s, i) {
        if (off[i]) return;
        var k = nearest(s.x, x);
        rows.push({ i: i, n: s.n, x: s.x[k], y: s.y[k] });
        if (best === null || Math.abs(s.x[k] - x) < Math.abs(best - x)) best = s.x[k];
      });
      if (!rows.length) return hide();
      // Values far from the cursor belong to a curve that has ended or not begun.
      var near = (data.x[1] - data.x[0]) / 25;
      rows = rows.filter(function (r) { return Math.abs(r.x - best) <= near; });
      var px = data.x[2] + (best - data.x[0]) / (data.x[1] - data.x[0]) * (data.x[3] - data.x[2]);
      cursor.setAttribute('x1', px);
      cursor.setAttribute('x2', px);
      tip.textContent = '';
      var head = document.createElement('strong');
      head.textContent = text(best);
      tip.appendChild(head);
      tip.classList.toggle('many', rows.length > 8);
      rows.slice(0, 24).forEach(function (r) {
        var row = document.createElement('div'), name = document.createElement('span'), value = document.createElement('b');
        var mark = document.createElement('i');
        mark.style.background = getComputedStyle(groups[r.i]).getPropertyValue('--c');
        name.appendChild(mark);
        name.appendChild(document.createTextNode(r.n));
        value.textContent = text(r.y);
        row.appendChild(name);
        row.appendChild(value);
        tip.appendChild(row);
      });
      if (rows.length > 24) {
        var more = document.createElement('div');
        more.textContent = '… ' + (rows.length - 24) + ' more';
        tip.appendChild(more);
      }
      tip.hidden = false;
      var width = svg.clientWidth, place = px / svg.viewBox.baseVal.width * width;
      var left = place + 12;
      if (left + tip.offsetWidth > width) left = Math.max(0, place - 12 - tip.offsetWidth);
      tip.style.left = left + 'px';
    }
    function pointed(event) {
      var box = svg.getBoundingClientRect();
      var px = (event.clientX - box.left) / box.width * svg.viewBox.baseVal.width;
      show(data.x[0] + (px - data.x[2]) / (data.x[3] - data.x[2]) * (data.x[1] - data.x[0]));
    }
    svg.addEventListener('pointermove', pointed);
    svg.addEventListener('pointerdown', pointed);
    svg.addEventListener('pointerleave', hide);
    svg.addEventListener('blur', hide);
    svg.addEventListener('keydown', function (event) {
      var i = off.indexOf(false);
      if (i < 0) return;
      var xs = data.s[i].x, k = at === null ? -1 : nearest(xs, at);
      switch (event.key) {
        case 'ArrowRight': k = Math.min(k + 1, xs.length - 1); break;
        case 'ArrowLeft': k = k < 0 ? xs.length - 1 : Math.max(k - 1, 0); break;
        case 'Home': k = 0; break;
        case 'End': k = xs.length - 1; break;
        case 'Escape': hide(); return;
        default: return;
      }
      event.preventDefault();
      show(xs[k]);
    });
  });
  document.documentElement.dataset.ready = 'true';
})();
