package manpp

import (
	"math"
	"strings"
	"testing"

	"manvision/device"
	"manvision/optim"
)

// TestClipBlocks: each block's gradient is scaled by its own norm. The gradients of a
// first step are those that clipping at a huge norm keeps; expected values are computed
// here from them. They take less memory than the largest block's would beside the rest.
func TestClipBlocks(t *testing.T) {
	devices(t, func(t *testing.T, dev device.Device) {
		const limit = 0.2
		set := func(h optim.Hyper, s Strategy) *rig {
			h.Rule = optim.SGD
			return newRig(t, settings{dev: dev, still: true, hyper: h, strategy: s})
		}
		whole := set(optim.Hyper{ClipNorm: huge}, MANPP)
		r := set(optim.Hyper{ClipNorm: limit, ClipBlocks: true}, MANPP)
		whole.steps(3, 32, 32)
		r.steps(3, 32, 32)
		before := r.all()
		total := whole.train(0, 3, 32, 32).GradNorm
		rep := r.train(0, 3, 32, 32)
		if math.Abs(rep.GradNorm-total) > 1e-6*total {
			t.Errorf("norm of all blocks %v, want %v", rep.GradNorm, total)
		}
		grads := whole.grads()
		blocks := make([][][]float64, r.model.Blocks())
		bytes := make([]int64, len(blocks))
		for name, g := range grads {
			j := r.block(name)
			blocks[j] = append(blocks[j], g)
			bytes[j] += whole.opt.Grad(name).Bytes()
		}
		clips := 0
		for name, g := range grads {
			scale := optim.ClipScale(optim.GlobalNorm(blocks[r.block(name)]...), limit)
			if scale < 1 {
				clips++
			}
			for i, x := range r.value(name) {
				if want := before[name][i] - rep.LR*scale*g[i]; math.Abs(x-want) > 1e-6*math.Max(1, math.Abs(want)) {
					t.Fatalf("%s[%d] = %v, want %v", name, i, x, want)
				}
			}
		}
		if clips == 0 {
			t.Error("nothing was clipped")
		}
		var largest, sum int64
		for _, n := range bytes {
			largest, sum = max(largest, n), sum+n
		}
		if got := r.opt.GradBytes(); got != 0 {
			t.Errorf("%d bytes of gradients beside the blocks' working memory", got)
		}
		// Of all blocks' gradients those of the last need no room of their own.
		want := sum - bytes[len(bytes)-1]
		if got := whole.opt.GradBytes(); got != want {
			t.Errorf("%d bytes of gradients beside the blocks' working memory, want %d of %d", got, want, sum)
		}
		one, all := r.tr.Memory(r.steps(3, 32, 32)), whole.tr.Memory(whole.steps(3, 32, 32))
		if one.Total() >= all.Total() || one.Arena < largest {
			t.Errorf("a plan of %d bytes, %d of them in the blocks; of %d with all %d bytes of gradients, %d of them in one block", one.Total(), one.Arena, all.Total(), sum, largest)
		}
	})
}

// TestClipBlocksBits: one block by itself is all of them, several parts keep what they
// need, and a norm that clips nothing leaves the bits of no clipping, with two image sizes
// in turn.
func TestClipBlocksBits(t *testing.T) {
	for name, c := range map[string]struct {
		strategy    Strategy
		a, b        optim.Hyper
		differently bool
	}{
		"one block":     {strategy: E2E, a: optim.Hyper{ClipNorm: 0.1}, b: optim.Hyper{ClipNorm: 0.1, ClipBlocks: true}},
		"four blocks":   {strategy: MANPP, a: optim.Hyper{ClipNorm: 0.1}, b: optim.Hyper{ClipNorm: 0.1, ClipBlocks: true}, differently: true},
		"huge":          {strategy: MANPP, b: optim.Hyper{ClipNorm: huge, ClipBlocks: true}},
		"huge, 1 block": {strategy: E2E, b: optim.Hyper{ClipNorm: huge}},
		"huge, 2 parts": {strategy: MANPP, a: optim.Hyper{Accumulate: 2}, b: optim.Hyper{ClipNorm: huge, ClipBlocks: true, Accumulate: 2}},
	} {
		t.Run(name, func(t *testing.T) {
			var got []map[string][]float64
			for _, h := range []optim.Hyper{c.a, c.b} {
				h.Rule, h.Momentum = optim.SGD, 0.9
				r := newRig(t, settings{strategy: c.strategy, hyper: h})
				for step := range int64(4) {
					side := 32 + 32*int(step%2)
					s := r.steps(3, side, side)
					for part := range h.Parts() {
						if err := s.Input.Upload(images(step*2+int64(part), 3, side, side)); err != nil {
							t.Fatal(err)
						}
						if err := r.tr.RunPart(s, step, part, nil, false, &r.rep); err != nil {
							t.Fatal(err)
						}
					}
				}
				got = append(got, r.all())
			}
			if d := differing(got[0], got[1]); len(d) > 0 != c.differently {
				t.Errorf("these differ: %v", d)
			}
		})
	}
}

// TestClipBlocksShared: parameters of several blocks cannot be clipped by block.
func TestClipBlocksShared(t *testing.T) {
	r := newRig(t, settings{strategy: MLAAN, hyper: optim.Hyper{Rule: optim.SGD, ClipNorm: 1, ClipBlocks: true}})
	if _, err := r.tr.Steps(3, 32, 32); err == nil || !strings.Contains(err.Error(), "optim.clip") {
		t.Errorf("error %v", err)
	}
}
