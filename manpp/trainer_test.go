package manpp

import (
	"fmt"
	"math"
	"strings"
	"testing"

	"manvision/device"
	"manvision/device/cpu"
	"manvision/device/ref"
	"manvision/nn"
	"manvision/optim"
)

func ptr(x float64) *float64 { return &x }

// TestOptimizer follows four steps with the plain loops of package optim, which
// are checked against PyTorch, from the gradients that clipping keeps: several
// rules, learning rates and decays by group, a frozen parameter, warm-up, with
// clipping at work. Without clipping the updates run inside the blocks and must
// give the bits of clipping at a huge norm.
func TestOptimizer(t *testing.T) {
	rules := optim.Rules{WeightDecay: 0.01, NoBiasDecay: true, Groups: []optim.Group{
		{Match: "manpp.*", LRScale: ptr(0.5)},
		{Match: "head.*", WeightDecay: ptr(0.1)},
		{Match: "body.conv1.weight", Frozen: true},
	}}
	schedule := optim.Schedule{Base: 0.02, WarmupSteps: 3, WarmupFactor: 0.1}
	for name, h := range map[string]optim.Hyper{
		"sgd":          {Rule: optim.SGD},
		"sgd momentum": {Rule: optim.SGD, Momentum: 0.9},
		"sgd nesterov": {Rule: optim.SGD, Momentum: 0.9, Nesterov: true},
		"adamw":        {Rule: optim.AdamW, Beta1: 0.9, Beta2: 0.99, Eps: 1e-6},
	} {
		t.Run(name, func(t *testing.T) {
			limit := 0.5
			clipped, wide := h, h
			clipped.ClipNorm, wide.ClipNorm = limit, huge
			r := newRig(t, settings{still: true, hyper: clipped, rules: rules, schedule: schedule})
			state := map[string][][]float64{}
			r.steps(3, 32, 32)
			frozen := r.value("body.conv1.weight")
			clips := 0
			for step := range int64(4) {
				before := r.all()
				rep := r.train(step, 3, 32, 32)
				grads := r.grads()
				var all [][]float64
				for _, v := range r.store.Vars() {
					if g := grads[v.Name]; g != nil {
						all = append(all, g)
					}
				}
				norm := optim.GlobalNorm(all...)
				if math.Abs(rep.GradNorm-norm) > 1e-12*norm {
					t.Fatalf("step %d: gradient norm %v, want %v", step, rep.GradNorm, norm)
				}
				scale := optim.ClipScale(norm, limit)
				if scale < 1 {
					clips++
				}
				if rep.LR != schedule.LR(step) {
					t.Errorf("step %d: learning rate %v, want %v", step, rep.LR, schedule.LR(step))
				}
				// The fixed quirk set, which the rig uses, decays no s.
				used := rules
				used.NoScaleDecay = true
				for _, v := range r.store.Vars() {
					g := grads[v.Name]
					if g == nil {
						continue
					}
					set := used.Resolve(v.Name, v.Shape)
					for i := range g {
						g[i] *= scale
					}
					p, lr := before[v.Name], rep.LR*set.LRScale
					st := state[v.Name]
					if st == nil {
						st = [][]float64{make([]float64, len(p)), make([]float64, len(p))}
						state[v.Name] = st
					}
					if h.Rule == optim.SGD {
						optim.SGDStep(p, g, st[0], step == 0, lr, set.WeightDecay, h)
					} else {
						optim.AdamWStep(p, g, st[0], st[1], step+1, lr, set.WeightDecay, h)
					}
					for i, x := range r.value(v.Name) {
						if math.Abs(x-p[i]) > 1e-12 {
							t.Fatalf("step %d: %s[%d] = %v, want %v", step, v.Name, i, x, p[i])
						}
					}
				}
			}
			if clips == 0 {
				t.Error("nothing was ever clipped")
			}
			for i, x := range r.value("body.conv1.weight") {
				if x != frozen[i] {
					t.Fatal("the frozen parameter moved")
				}
			}
			if r.opt.Grad("body.conv1.weight") != nil {
				t.Error("a gradient of a frozen parameter is kept")
			}

			inside := newRig(t, settings{still: true, hyper: h, rules: rules, schedule: schedule})
			outside := newRig(t, settings{still: true, hyper: wide, rules: rules, schedule: schedule})
			for step := range int64(3) {
				if rep := inside.train(step, 3, 32, 32); rep.GradNorm != 0 {
					t.Errorf("gradient norm %v without clipping", rep.GradNorm)
				}
				outside.train(step, 3, 32, 32)
			}
			if d := differing(inside.all(), outside.all()); len(d) > 0 {
				t.Errorf("updates inside the blocks and after them differ in %v", d)
			}
			if inside.opt.GradBytes() != 0 || outside.opt.GradBytes() == 0 {
				t.Errorf("kept gradients: %d bytes without clipping, %d with", inside.opt.GradBytes(), outside.opt.GradBytes())
			}
		})
	}
}

func TestOptimizerErrors(t *testing.T) {
	dev := ref.NewThreads(1)
	store := nn.NewStore(dev, 1)
	good, fine := optim.Hyper{Rule: optim.SGD}, optim.Schedule{Base: 1}
	for name, f := range map[string]func() (*Optimizer, error){
		"momentum": func() (*Optimizer, error) {
			return NewOptimizer(store, optim.Hyper{Rule: optim.SGD, Momentum: 2}, optim.Rules{}, fine)
		},
		"decay": func() (*Optimizer, error) { return NewOptimizer(store, good, optim.Rules{WeightDecay: -1}, fine) },
		"rate":  func() (*Optimizer, error) { return NewOptimizer(store, good, optim.Rules{}, optim.Schedule{}) },
	} {
		if _, err := f(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// restore copies variables and optimizer state of one rig into another.
func restore(t *testing.T, to, from *rig) {
	t.Helper()
	for _, v := range from.store.Vars() {
		if err := to.store.Set(v.Name, from.value(v.Name)); err != nil {
			t.Fatal(err)
		}
	}
	states := to.opt.States()
	if len(states) != len(from.opt.States()) {
		t.Fatalf("%d states, want %d", len(states), len(from.opt.States()))
	}
	for i, s := range from.opt.States() {
		if states[i].Param != s.Param || states[i].Name != s.Name {
			t.Fatalf("state %d is %s of %s, want %s of %s", i, states[i].Name, states[i].Param, s.Name, s.Param)
		}
		x := make([]float64, s.Tensor.Desc.Elems())
		if err := s.Tensor.Download(x); err != nil {
			t.Fatal(err)
		}
		if err := states[i].Tensor.Upload(x); err != nil {
			t.Fatal(err)
		}
	}
}

// TestResume: two steps, saved and restored into a model of another seed, and two
// more steps give bit for bit what four steps give.
func TestResume(t *testing.T) {
	for name, h := range map[string]optim.Hyper{
		"sgd":   {Rule: optim.SGD, Momentum: 0.9},
		"adamw": {Rule: optim.AdamW, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, ClipNorm: 1},
	} {
		t.Run(name, func(t *testing.T) {
			devices(t, func(t *testing.T, dev device.Device) {
				whole := newRig(t, settings{dev: dev, hyper: h})
				first := newRig(t, settings{dev: dev, hyper: h})
				second := newRig(t, settings{dev: dev, hyper: h, seed: 99})
				for step := range int64(4) {
					whole.train(step, 3, 32, 32)
					if step < 2 {
						first.train(step, 3, 32, 32)
						continue
					}
					if step == 2 {
						second.steps(3, 32, 32)
						restore(t, second, first)
					}
					second.train(step, 3, 32, 32)
				}
				if d := differing(whole.all(), second.all()); len(d) > 0 {
					t.Errorf("a resumed run differs in %v", d)
				}
			})
		})
	}
}

// TestDeterminism: two runs give the same bits, on the reference device whatever
// the number of threads.
func TestDeterminism(t *testing.T) {
	devices(t, func(t *testing.T, dev device.Device) {
		a, b := newRig(t, settings{dev: dev, quirks: Released}), newRig(t, settings{dev: dev, quirks: Released})
		for step := range int64(3) {
			a.train(step, 3, 48, 32)
			b.train(step, 3, 48, 32)
		}
		if d := differing(a.all(), b.all()); len(d) > 0 {
			t.Errorf("two runs differ in %v", d)
		}
	})
	a, b := newRig(t, settings{dev: ref.NewThreads(1)}), newRig(t, settings{dev: ref.NewThreads(3)})
	for step := range int64(2) {
		a.train(step, 3, 48, 32)
		b.train(step, 3, 48, 32)
	}
	if d := differing(a.all(), b.all()); len(d) > 0 {
		t.Errorf("1 and 3 threads differ in %v", d)
	}
}

// TestDevicesAgree: losses of three steps on oneDNN in float32 are within 1e-4 of
// the reference's in float64.
func TestDevicesAgree(t *testing.T) {
	dev, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	fast, slow := newRig(t, settings{dev: dev}), newRig(t, settings{})
	for step := range int64(3) {
		a, b := fast.train(step, 3, 64, 64), slow.train(step, 3, 64, 64)
		for j := range a.Blocks {
			if d := math.Abs(a.Blocks[j].Loss-b.Blocks[j].Loss) / b.Blocks[j].Loss; !(d < 1e-4) {
				t.Errorf("step %d, block %d: loss %v, reference %v", step, j+1, a.Blocks[j].Loss, b.Blocks[j].Loss)
			}
		}
	}
}

// TestSizesShareArenas: input sizes that alternate within one trainer give the
// bits of one trainer a size, also when only one size is kept compiled; the
// arenas are as large as the largest size needs, not the sum.
func TestSizesShareArenas(t *testing.T) {
	sizes := [][3]int{{3, 32, 32}, {2, 64, 48}, {4, 32, 64}}
	one := newRig(t, settings{})
	evicting := newRig(t, settings{maxSizes: 1})
	apart := newRig(t, settings{})
	trainers := map[[3]int]*Trainer{}
	for _, s := range sizes {
		tr, err := NewTrainer(apart.model, apart.opt, apart.tr.NewHeads)
		if err != nil {
			t.Fatal(err)
		}
		defer tr.Close()
		trainers[s] = tr
	}
	for step := range int64(7) {
		s := sizes[step%3]
		one.train(step, s[0], s[1], s[2])
		evicting.train(step, s[0], s[1], s[2])
		apart.tr, trainers[s] = trainers[s], apart.tr
		apart.train(step, s[0], s[1], s[2])
		apart.tr, trainers[s] = trainers[s], apart.tr
	}
	if d := differing(one.all(), apart.all()); len(d) > 0 {
		t.Errorf("sharing arenas changes %v", d)
	}
	if d := differing(one.all(), evicting.all()); len(d) > 0 {
		t.Errorf("compiling anew changes %v", d)
	}
	if len(evicting.tr.sizes) != 1 || len(one.tr.sizes) != 3 {
		t.Errorf("%d and %d sizes kept, want 1 and 3", len(evicting.tr.sizes), len(one.tr.sizes))
	}
	var arena, boundary int64
	for _, tr := range trainers {
		arena, boundary = max(arena, tr.Arena().Bytes()), max(boundary, tr.boundary.Bytes())
	}
	if one.tr.Arena().Bytes() != arena || one.tr.boundary.Bytes() != boundary {
		t.Errorf("arenas of %d and %d bytes, the largest sizes need %d and %d", one.tr.Arena().Bytes(), one.tr.boundary.Bytes(), arena, boundary)
	}
}

// TestPlanningKeepsImages: compiling another size between the upload of images
// and the step loses nothing.
func TestPlanningKeepsImages(t *testing.T) {
	a, b := newRig(t, settings{}), newRig(t, settings{})
	a.train(0, 3, 32, 32)
	s := b.steps(3, 32, 32)
	if err := s.Input.Upload(images(0, 3, 32, 32)); err != nil {
		t.Fatal(err)
	}
	b.steps(3, 96, 96)
	if err := b.tr.Run(s, 0, nil, false, &b.rep); err != nil {
		t.Fatal(err)
	}
	if d := differing(a.all(), b.all()); len(d) > 0 {
		t.Errorf("differing: %v", d)
	}
}

// TestMemory: the parts of the plan add up to what the device counts, local
// learning works in less memory than one block, and everything is given back.
func TestMemory(t *testing.T) {
	for _, s := range []Strategy{E2E, MANPP} {
		for name, clip := range map[string]optim.Hyper{"no clipping": {}, "clipping": {ClipNorm: 1}, "clipping blocks": {ClipNorm: 1, ClipBlocks: true}} {
			t.Run(s.Name+" "+name, func(t *testing.T) {
				dev := ref.NewThreads(1)
				clip.Rule, clip.Momentum = optim.SGD, 0.9
				r := newRig(t, settings{dev: dev, strategy: s, hyper: clip})
				st := r.steps(4, 64, 64)
				m := r.tr.Memory(st)
				for i := range int64(3) {
					r.train(i, 4, 64, 64)
				}
				var largest int64
				for _, b := range m.Blocks {
					largest = max(largest, b)
				}
				if m.Arena != largest || len(m.Blocks) != r.model.Blocks() {
					t.Errorf("arena %d, blocks %v", m.Arena, m.Blocks)
				}
				if m.Total() != m.Arena+m.Boundary+m.Parameters+m.State+m.Gradients {
					t.Errorf("the total %d is not the sum of %+v", m.Total(), m)
				}
				// Beside the plan: the toy's labels, the optimizer's numbers, one distance a block.
				extra := r.opt.hyper.Bytes() + st.Heads.(*toy).labels.Bytes()
				if clip.ClipNorm > 0 {
					extra += r.opt.norm.Bytes()
				}
				for _, k := range r.opt.kept {
					extra += k.sum.Bytes() + k.update.Bytes()
				}
				for _, b := range st.Blocks {
					if b.distance != nil {
						extra += b.distance.Bytes()
					}
				}
				now, peak := dev.Allocated()
				if now != m.Total()+extra || peak != now {
					t.Errorf("allocated %d, peak %d; planned %d and %d of small things", now, peak, m.Total(), extra)
				}
				r.close()
				if now, _ := dev.Allocated(); now != 0 {
					t.Errorf("%d bytes left after closing", now)
				}
			})
		}
	}
	working := map[string]int64{}
	for _, s := range []Strategy{E2E, MANPP} {
		r := newRig(t, settings{strategy: s, layers: []int{4, 8, 12, 4}})
		st, err := r.tr.Steps(8, 96, 96)
		if err != nil {
			t.Fatal(err)
		}
		m := r.tr.Memory(st)
		working[s.Name] = m.Arena + m.Boundary
		if now, _ := r.dev.Allocated(); now != st.Heads.(*toy).labels.Bytes() {
			t.Errorf("planning allocated %d bytes", now)
		}
	}
	t.Logf("working memory: one block %d bytes, four blocks %d", working["e2e"], working["manpp"])
	if working["manpp"] >= working["e2e"] {
		t.Errorf("four blocks work in %d bytes, one in %d", working["manpp"], working["e2e"])
	}
}

// TestEvictionGivesBack: sizes that come and go do not pile up memory.
func TestEvictionGivesBack(t *testing.T) {
	dev := ref.NewThreads(1)
	r := newRig(t, settings{dev: dev, maxSizes: 1})
	var first int64
	for i := range int64(8) {
		r.train(i, 3, 32, 64)
		now, _ := dev.Allocated()
		if i == 1 {
			first = now
		}
		if i > 1 && now != first {
			t.Fatalf("%d bytes after %d changes of size, %d before", now, i, first)
		}
		r.train(i, 3, 64, 32)
	}
}

// TestDivergence: a loss that is no number stops the step with the block's and
// the step's number.
func TestDivergence(t *testing.T) {
	for _, clip := range []float64{0, 1} {
		r := newRig(t, settings{hyper: optim.Hyper{Rule: optim.SGD, ClipNorm: clip}})
		s := r.steps(3, 32, 32)
		if err := r.store.Set("manpp.1.head.fc.bias", []float64{math.NaN(), 0, 0}); err != nil {
			t.Fatal(err)
		}
		err := r.tr.Run(s, 7, nil, false, &r.rep)
		if err == nil || !strings.Contains(err.Error(), "step 7") || !strings.Contains(err.Error(), "block 2") || !strings.Contains(err.Error(), "NaN") {
			t.Errorf("clip %v: %v", clip, err)
		}
	}
}

// failing is a head that cannot be built.
type failing struct{ *toy }

func (f failing) Final(g *nn.Graph, _ map[int]Feature) []Loss {
	g.Fail(fmt.Errorf("no such feature"))
	return nil
}

// TestCompileFailureGivesBack: an error while the last block is planned names it
// and leaves nothing allocated but what the caller holds.
func TestCompileFailureGivesBack(t *testing.T) {
	dev := ref.NewThreads(1)
	r := newRig(t, settings{dev: dev})
	r.tr.NewHeads = func(n, h, w int) (Heads, error) {
		head, err := newToy(dev, n)
		return failing{head}, err
	}
	_, err := r.tr.Steps(3, 32, 32)
	if err == nil || !strings.Contains(err.Error(), "block 4") || !strings.Contains(err.Error(), "3x32x32") {
		t.Errorf("error %v", err)
	}
	if now, _ := dev.Allocated(); now != 0 {
		t.Errorf("%d bytes left", now)
	}
	r.tr.NewHeads = func(n, h, w int) (Heads, error) { return nil, fmt.Errorf("no heads") }
	if _, err := r.tr.Steps(3, 32, 32); err == nil {
		t.Error("no error")
	}
}

// TestSkippedGroups: parameters of a skipped group keep value and state.
func TestSkippedGroups(t *testing.T) {
	for _, clip := range []float64{0, huge} {
		r := newRig(t, settings{hyper: optim.Hyper{Rule: optim.SGD, Momentum: 0.9, ClipNorm: clip}})
		r.tr.NewHeads = func(n, h, w int) (Heads, error) {
			head, err := newToy(r.dev, n)
			return skipping{head}, err
		}
		r.train(0, 3, 32, 32)
		before := r.all()
		s := r.steps(3, 32, 32)
		if err := s.Input.Upload(images(1, 3, 32, 32)); err != nil {
			t.Fatal(err)
		}
		if err := r.tr.Run(s, 1, map[string]bool{"fc": true}, false, &r.rep); err != nil {
			t.Fatal(err)
		}
		moved := map[string]bool{}
		for _, name := range changed(before, r.all()) {
			moved[name] = true
		}
		for name := range before {
			if still := strings.Contains(name, "head.fc"); still == moved[name] && !strings.HasSuffix(name, "num_batches_tracked") {
				t.Errorf("clip %v: %s moved: %v", clip, name, moved[name])
			}
		}
	}
}

type skipping struct{ *toy }

func (skipping) SkipGroup(param string) string {
	if strings.Contains(param, "head.fc") {
		return "fc"
	}
	return ""
}
