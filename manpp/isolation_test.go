package manpp

import (
	"math"
	"slices"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/backbone"
	"manvision/device"
	"manvision/nn"
	"manvision/optim"
)

var keeping = optim.Hyper{Rule: optim.SGD, Momentum: 0.9, ClipNorm: huge}

// gradsWith returns one step's gradients after changing the variables that
// change picks.
func gradsWith(t *testing.T, change func(r *rig, name string) bool) (*rig, map[string][]float64) {
	r := newRig(t, settings{hyper: keeping, quirks: Released})
	r.steps(3, 32, 32)
	changed := 0
	for _, v := range r.store.Vars() {
		if v.Buffer || change == nil || !change(r, v.Name) {
			continue
		}
		x := r.value(v.Name)
		for i := range x {
			x[i] += 0.3 * math.Sin(float64(i+1))
		}
		if err := r.store.Set(v.Name, x); err != nil {
			t.Fatal(err)
		}
		changed++
	}
	if change != nil && changed == 0 {
		t.Fatal("nothing was changed")
	}
	r.train(0, 3, 32, 32)
	return r, r.grads()
}

// TestGradientIsolation: the gradients of a block depend on no weight of a later
// block, and an auxiliary loss reaches its own block only, never the next unit.
func TestGradientIsolation(t *testing.T) {
	base, before := gradsWith(t, nil)
	if base.model.Blocks() != 4 {
		t.Fatalf("%d blocks, want 4", base.model.Blocks())
	}
	for j := range 4 {
		_, after := gradsWith(t, func(r *rig, name string) bool {
			return r.block(name) == j && !strings.HasPrefix(name, AuxPrefix)
		})
		hit := map[int]bool{}
		for _, name := range changed(before, after) {
			hit[base.block(name)] = true
		}
		for k := range 4 {
			if hit[k] != (k >= j) {
				t.Errorf("weights of block %d changed: gradients of block %d changed: %v", j+1, k+1, hit[k])
			}
		}
		if j == 3 {
			break
		}
		_, after = gradsWith(t, func(r *rig, name string) bool { return strings.HasPrefix(name, auxName(j)) })
		for _, name := range changed(before, after) {
			if base.block(name) != j {
				t.Errorf("auxiliary network of block %d changed: the gradient of %s changed", j+1, name)
			}
		}
	}
	for name := range before {
		if strings.Contains(name, ".ema.") {
			t.Errorf("the EMA copy %s has a gradient", name)
		}
	}
}

// TestLocalGradients compares gradients of the first block with central
// differences of its own loss (step 1e-5, tolerance 1e-6 of the largest gradient
// of the tensor): block, LB, s, head, and through the EMA.
func TestLocalGradients(t *testing.T) {
	r := newRig(t, settings{hyper: keeping, quirks: Released})
	s := r.steps(3, 32, 32)
	if err := s.Input.Upload(images(0, 3, 32, 32)); err != nil {
		t.Fatal(err)
	}
	b := s.Blocks[0]
	loss := func() float64 {
		if err := b.Program.Run(); err != nil {
			t.Fatal(err)
		}
		var x [1]float64
		if err := b.Program.Download(x[:], b.Losses[0].Node); err != nil {
			t.Fatal(err)
		}
		return x[0]
	}
	// The posts of the program move the EMA; every evaluation starts from the same.
	ema := map[string][]float64{}
	for _, v := range r.store.Vars() {
		if strings.HasPrefix(v.Name, "manpp.0.ema.") && !v.Buffer {
			ema[v.Name] = r.value(v.Name)
		}
	}
	at := func(name string, i int, d float64) float64 {
		for n, x := range ema {
			if err := r.store.Set(n, x); err != nil {
				t.Fatal(err)
			}
		}
		x := r.value(name)
		x[i] += d
		if err := r.store.Set(name, x); err != nil {
			t.Fatal(err)
		}
		l := loss()
		x[i] -= d
		if err := r.store.Set(name, x); err != nil {
			t.Fatal(err)
		}
		return l
	}
	at("manpp.0.s", 0, 0)
	grads := r.grads()
	for _, name := range []string{"body.conv1.weight", "body.layer1.0.bn2.weight", "manpp.0.lb.conv1.weight", "manpp.0.lb.downsample.1.bias", "manpp.0.s", "manpp.0.head.fc.weight"} {
		g := grads[name]
		if g == nil {
			t.Fatalf("no gradient of %s", name)
		}
		largest := 0.0
		for _, x := range g {
			largest = max(largest, math.Abs(x))
		}
		for i := 0; i < len(g); i += max(1, len(g)/5) {
			numeric := (at(name, i, 1e-5) - at(name, i, -1e-5)) / 2e-5
			if d := math.Abs(numeric - g[i]); d > 1e-6*(largest+1e-3) {
				t.Errorf("%s[%d]: gradient %.10g, numeric %.10g", name, i, g[i], numeric)
			}
		}
	}
}

// TestEndToEndIsPlainBackpropagation: K = 1 gives bit for bit the gradients of one
// hand-built graph of the network.
func TestEndToEndIsPlainBackpropagation(t *testing.T) {
	r := newRig(t, settings{strategy: E2E, hyper: keeping})
	rep := *r.train(0, 3, 32, 32)
	got := r.grads()

	s := newRig(t, settings{strategy: E2E}) // a fresh store of the same seed
	g := nn.NewGraph(s.store, nn.Train)
	x, in := g.Input("x", device.Desc{Shape: []int{3, 32, 32, 3}})
	var second, last *gorgonia.Node
	y := x
	for _, u := range s.model.Backbone.Units {
		y = u.Forward(g, y, "body.")
		if u.Stage == 2 && u.Last {
			second = y
		}
		last = y
	}
	heads, err := newToy(s.dev, 3)
	if err != nil {
		t.Fatal(err)
	}
	loss := heads.Final(g, map[int]Feature{2: {Node: second}, 4: {Node: last}})[0].Node
	grads, err := g.Gradients(loss)
	if err != nil {
		t.Fatal(err)
	}
	keep := []*gorgonia.Node{loss}
	for _, gr := range grads {
		keep = append(keep, gr.Node)
	}
	p, err := g.Compile("plain", nil, keep...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	for _, err := range []error{s.store.Realize(), in.Upload(images(0, 3, 32, 32)), p.Run()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	want := map[string][]float64{}
	for _, gr := range grads {
		v := make([]float64, gr.Var.Elems())
		if err := p.Download(v, gr.Node); err != nil {
			t.Fatal(err)
		}
		want[gr.Var.Name] = v
	}
	if d := differing(got, want); len(d) > 0 {
		t.Errorf("gradients differ: %v", d)
	}
	var l [1]float64
	if err := p.Download(l[:], loss); err != nil || l[0] != rep.Loss() || len(rep.Blocks) != 1 {
		t.Errorf("loss %v (%v), trainer %v", l[0], err, rep.Loss())
	}
	for _, v := range r.store.Vars() {
		if strings.HasPrefix(v.Name, AuxPrefix) {
			t.Errorf("end to end has an auxiliary variable %s", v.Name)
		}
	}
}

// TestMANIsFixedScale: MAN equals MAN++ whose s stays at 1.
func TestMANIsFixedScale(t *testing.T) {
	man := newRig(t, settings{strategy: MAN})
	pp := newRig(t, settings{strategy: MANPP, rules: optim.Rules{Groups: []optim.Group{{Match: "manpp.*.s", Frozen: true}}}})
	free := newRig(t, settings{strategy: MANPP})
	for i := range int64(3) {
		man.train(i, 3, 32, 32)
		pp.train(i, 3, 32, 32)
		free.train(i, 3, 32, 32)
	}
	if d := differing(man.all(), pp.all()); len(d) > 0 {
		t.Errorf("MAN and MAN++ with s fixed differ in %v", d)
	}
	if s := free.value("manpp.0.s")[0]; s == 1 {
		t.Error("s does not learn")
	}
	if s := man.value("manpp.0.s")[0]; s != 1 {
		t.Errorf("s of MAN is %v", s)
	}
}

// TestEMA: each step mixes in the weights that the next unit had before the step:
// e ← 0.9·e + 0.1·u, from equal starts, so e is u after one step and then
// 0.9·u0 + 0.1·u1.
func TestEMA(t *testing.T) {
	r := newRig(t, settings{})
	r.steps(3, 32, 32)
	for _, pair := range [][2]string{
		{"manpp.0.ema.conv1.weight", "body.layer2.0.conv1.weight"},
		{"manpp.0.ema.downsample.1.bias", "body.layer2.0.downsample.1.bias"},
		{"manpp.2.ema.bn2.weight", "body.layer4.0.bn2.weight"},
	} {
		r := newRig(t, settings{})
		r.steps(3, 32, 32)
		var units [][]float64
		want := r.value(pair[0])
		if !slices.Equal(want, r.value(pair[1])) {
			t.Errorf("%s does not start as %s", pair[0], pair[1])
		}
		for i := range int64(3) {
			u := r.value(pair[1])
			units = append(units, u)
			r.train(i, 3, 32, 32)
			for k := range want {
				want[k] = 0.9*want[k] + (1-0.9)*u[k]
			}
			for k, v := range r.value(pair[0]) {
				if math.Abs(v-want[k]) > 1e-15 {
					t.Fatalf("step %d: %s[%d] = %v, want %v", i, pair[0], k, v, want[k])
				}
			}
		}
		if slices.Equal(units[0], units[1]) {
			t.Errorf("%s did not move", pair[1])
		}
	}
}

// TestClones: fixed starts LB and EMA as copies of the next unit, released draws
// all three apart; CopyClones brings them to the unit's present weights.
func TestClones(t *testing.T) {
	const lb, ema, unit = "manpp.1.lb.conv1.weight", "manpp.1.ema.conv1.weight", "body.layer3.0.conv1.weight"
	r := newRig(t, settings{quirks: Fixed})
	r.steps(3, 32, 32)
	if u := r.value(unit); !slices.Equal(r.value(lb), u) || !slices.Equal(r.value(ema), u) {
		t.Error("fixed: LB and EMA are not copies of the unit")
	}
	r = newRig(t, settings{quirks: Released})
	r.steps(3, 32, 32)
	if u := r.value(unit); slices.Equal(r.value(lb), u) || slices.Equal(r.value(ema), u) || slices.Equal(r.value(lb), r.value(ema)) {
		t.Error("released: LB, EMA and unit are not drawn apart")
	}
	if s := r.value("manpp.1.s"); s[0] != 1 {
		t.Errorf("s starts at %v", s)
	}
	if err := r.model.CopyClones(); err != nil {
		t.Fatal(err)
	}
	if u := r.value(unit); !slices.Equal(r.value(lb), u) || !slices.Equal(r.value(ema), u) {
		t.Error("CopyClones: LB and EMA are not copies of the unit")
	}
}

// TestReport: s and ‖LB−EMA‖ are those of the values that the step ran with.
func TestReport(t *testing.T) {
	r := newRig(t, settings{quirks: Released})
	s := r.steps(3, 32, 32)
	for i := range int64(2) {
		scale := r.value("manpp.1.s")[0]
		sum := 0.0
		for _, v := range r.store.Vars() {
			if tail, ok := strings.CutPrefix(v.Name, "manpp.1.lb."); ok && !v.Buffer {
				a, b := r.value(v.Name), r.value("manpp.1.ema."+tail)
				for k := range a {
					sum += (a[k] - b[k]) * (a[k] - b[k])
				}
			}
		}
		rep := r.train(i, 3, 32, 32)
		if b := rep.Blocks[1]; b.Scale != scale || math.Abs(b.Distance-math.Sqrt(sum)) > 1e-12*math.Sqrt(sum) {
			t.Errorf("step %d: s %v and distance %v, want %v and %v", i, b.Scale, b.Distance, scale, math.Sqrt(sum))
		}
	}
	if err := r.tr.Run(s, 2, nil, false, &r.rep); err != nil {
		t.Fatal(err)
	}
	for _, b := range r.rep.Blocks {
		if b.Scale != 0 || b.Distance != 0 {
			t.Errorf("reported without being asked: %+v", b)
		}
		if b.Loss != b.Terms[0] || b.Time <= 0 {
			t.Errorf("block report %+v", b)
		}
	}
}

// TestEveryUnitTrains: a partition may cut off the stem alone; every unit a block.
func TestEveryUnitTrains(t *testing.T) {
	for _, p := range []Partition{{0}, {0, 1, 2, 3, 4}, {4}} {
		r := newRig(t, settings{hyper: keeping, partition: func(*backbone.Backbone) Partition { return p }})
		r.train(0, 3, 32, 32)
		g := r.grads()
		for _, v := range r.store.Vars() {
			if v.Trainable && g[v.Name] == nil {
				t.Errorf("%v: no gradient of %s", p, v.Name)
			}
			if !v.Trainable && g[v.Name] != nil {
				t.Errorf("%v: a gradient of %s", p, v.Name)
			}
		}
	}
}
