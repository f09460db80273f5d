package page

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// browser runs headless Chromium with a page and further flags, and returns what it
// prints and its log.
func browser(t *testing.T, page string, flags ...string) (dom, log string) {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	if program == "" {
		t.Skip("no Chromium is installed (Debian: apt-get install chromium): the page is not looked at in a browser")
	}
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	args := append([]string{"--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--user-data-dir=" + t.TempDir(),
		"--enable-logging=stderr", "--v=0", "--virtual-time-budget=3000", "--disable-background-networking", "--disable-component-update", "--no-first-run", "--dump-dom"}, flags...)
	cmd := exec.CommandContext(ctx, program, append(args, (&url.URL{Scheme: "file", Path: page}).String())...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Skipf("%s does not run here: %v\n%s", program, err, errs.String())
	}
	return out.String(), errs.String()
}

// In a browser the charts are there, the script has run, the console is silent and
// nothing is asked of a network; a class's hostile name stays text.
func TestBrowser(t *testing.T) {
	a, b := open(t, synthetic(t, "first", 60, 3)), open(t, synthetic(t, "second", 30, 2))
	dir := t.TempDir()
	file, net := filepath.Join(dir, "report.html"), filepath.Join(dir, "net.json")
	if err := os.WriteFile(file, []byte(render(t, a, b)), 0o666); err != nil {
		t.Fatal(err)
	}
	dom, log := browser(t, file, "--log-net-log="+net)
	if !strings.Contains(dom, `data-ready="true"`) {
		t.Errorf("the script has not run to its end:\n%.400s\n%s", dom, log)
	}
	charts := strings.Count(dom, `<figure class="chart"`)
	paths := regexp.MustCompile(`<path class="line"[^>]* d="M[0-9.]+ [0-9.]+L`).FindAllString(dom, -1)
	if charts < 10 || len(paths) < 2*charts {
		t.Errorf("%d charts with %d curves", charts, len(paths))
	}
	if strings.Contains(log, "CONSOLE") {
		t.Errorf("console: %s", log)
	}
	if strings.Contains(dom, `<img src="x"`) {
		t.Error("a class's name became an element")
	}
	for _, u := range requests(t, net) {
		if !strings.HasPrefix(u, "file:") && !strings.HasPrefix(u, "data:") {
			t.Errorf("request of %s", u)
		}
	}
}

// requests lists the addresses in Chromium's log of its network that belong to the
// page: of those that the browser asks for by itself, such as for updates, none does.
func requests(t *testing.T, path string) []string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var log struct {
		Events []struct {
			Params struct {
				URL       string `json:"url"`
				Initiator string `json:"initiator"`
			} `json:"params"`
		} `json:"events"`
	}
	if err := json.Unmarshal(b, &log); err != nil {
		t.Fatal(fmt.Errorf("Chromium's log of its network: %w", err))
	}
	var out []string
	for _, e := range log.Events {
		if e.Params.URL != "" && e.Params.Initiator != "" && e.Params.Initiator != "not an origin" {
			out = append(out, e.Params.URL)
		}
	}
	return out
}

// probe asks a page, once loaded, whether all of it is as wide as the window, and works
// its controls: the cursor by keyboard, a curve's switch.
const probe = `<script>addEventListener('load', function () {
	var chart = document.querySelector('figure.chart'), svg = chart.querySelector('.plot svg'), tip = chart.querySelector('.tip');
	var before = tip.hidden;
	svg.dispatchEvent(new KeyboardEvent('keydown', {key: 'End'}));
	var last = tip.textContent;
	svg.dispatchEvent(new KeyboardEvent('keydown', {key: 'Home'}));
	var first = tip.textContent;
	chart.querySelector('.legend button').click();
	document.title = JSON.stringify({Wide: document.documentElement.scrollWidth - innerWidth, Before: before, After: tip.hidden, First: first, Last: last,
		Off: svg.querySelectorAll('g.off').length, Without: tip.textContent});
})</script>`

// On a narrow window nothing reaches over the edge, and the controls work.
func TestPhone(t *testing.T) {
	a, b := open(t, synthetic(t, "first", 60, 16)), open(t, synthetic(t, "second", 30, 2))
	text := render(t, a, b)
	// Only the page's own script may run on it: the probe needs that rule gone.
	text = regexp.MustCompile(`<meta http-equiv="Content-Security-Policy"[^>]*>`).ReplaceAllString(text, "")
	text = strings.Replace(text, "</body>", probe+"</body>", 1)
	file := filepath.Join(t.TempDir(), "report.html")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	dom, _ := browser(t, file, "--window-size=500,900")
	_, rest, _ := strings.Cut(dom, "<title>")
	title, _, _ := strings.Cut(rest, "</title>")
	var got struct {
		Wide, Off            int
		Before, After        bool
		First, Last, Without string
	}
	if err := json.Unmarshal([]byte(title), &got); err != nil {
		t.Fatalf("%v: %q", err, title)
	}
	if got.Wide > 0 {
		t.Errorf("%d pixels wider than the window", got.Wide)
	}
	// The synthetic loss is 3/sqrt(i): 3 at step 10, and of the longer run 0.3873 at step 600.
	if !got.Before || got.After || got.First != "10first3second3" || got.Last != "600first0.3873" {
		t.Errorf("cursor: %+v", got)
	}
	if got.Off != 1 || got.Without != "10second3" {
		t.Errorf("a curve switched off: %+v", got)
	}
}
