package detection

import (
	"math"
	"strings"
	"testing"

	"manvision/backbone"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/device/ref"
	"manvision/manpp"
	"manvision/nn"
)

// TestFoldedInference: with the store's Fold the detector's outputs are those
// without it, on oneDNN within 1e-5 of the largest, on the reference in float64
// within 1e-12, and oneDNN's folded ones are within 1e-5 of the reference's.
// Parameters and running statistics are random, both are set once more between two
// runs. The working memory does not grow by more than a filter.
func TestFoldedInference(t *testing.T) {
	fast, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer fast.Close()
	slow := ref.New()
	defer slow.Close()
	for _, name := range []string{"resnet18", "resnet50"} {
		t.Run(name, func(t *testing.T) {
			outs := map[device.Device][2]infer{}
			for _, dev := range []device.Device{fast, slow} {
				b, err := backbone.New(name, 16)
				if err != nil {
					t.Fatal(err)
				}
				store := nn.NewStore(dev, 1)
				defer store.Free()
				m := &manpp.Model{Store: store, Backbone: b, Prefix: BodyPrefix}
				var pair [2]infer
				for i := range pair {
					store.Fold = i == 1
					inf, err := narrow().NewInference(m, 1, 64, 96, nil, nil)
					if err != nil {
						t.Fatal(err)
					}
					defer inf.Close()
					pair[i] = infer{inf: inf}
				}
				if err := store.Realize(); err != nil {
					t.Fatal(err)
				}
				if store.FoldedBytes() == 0 {
					t.Error("nothing was folded")
				}
				largest := int64(0)
				for _, v := range store.Vars() {
					largest = max(largest, v.Value.Bytes())
				}
				if got, most := pair[1].inf.Bytes(), pair[0].inf.Bytes()+largest+4096; got > most {
					t.Errorf("folded inference works in %d bytes, without folding %d", got, pair[0].inf.Bytes())
				}
				outs[dev] = pair
				for round := range uint64(2) {
					randomize(t, store, round)
					for i := range pair {
						pair[i].run(t)
					}
					limit := 1e-5
					if dev == device.Device(slow) {
						limit = 1e-12
					}
					closeTo(t, dev.Name()+" folded", pair[1], pair[0], limit)
				}
				outs[dev] = pair
			}
			closeTo(t, "folded oneDNN and reference", outs[fast][1], outs[slow][1], 1e-5)
		})
	}
}

// infer is an inference program and what it computed last.
type infer struct {
	inf            *Inference
	logits, deltas []float64
}

func (i *infer) run(t *testing.T) {
	t.Helper()
	x := make([]float32, i.inf.Input.Desc.Elems())
	rng := nn.NewStream(4, "image")
	for k := range x {
		x[k] = float32(2*rng.Uniform() - 1)
	}
	if err := i.inf.Input.Upload(x); err != nil {
		t.Fatal(err)
	}
	i.logits, i.deltas = make([]float64, i.inf.logits.Shape().TotalSize()), make([]float64, i.inf.deltas.Shape().TotalSize())
	if err := i.inf.Run(i.logits, i.deltas); err != nil {
		t.Fatal(err)
	}
}

// randomize sets the norms' parameters and statistics to numbers that change with
// round, around those of a norm that does nothing.
func randomize(t *testing.T, store *nn.Store, round uint64) {
	t.Helper()
	for _, v := range store.Vars() {
		rng := nn.NewStream(round, v.Name)
		x := make([]float32, v.Elems())
		variance := strings.HasSuffix(v.Name, "running_var")
		if !v.Buffer && len(v.Shape) != 1 {
			continue
		}
		for i := range x {
			x[i] = float32(0.2 * (2*rng.Uniform() - 1))
			if variance || strings.HasSuffix(v.Name, ".weight") {
				x[i]++
			}
		}
		if err := store.Set(v.Name, x); err != nil {
			t.Fatal(err)
		}
	}
}

func closeTo(t *testing.T, what string, got, want infer, limit float64) {
	t.Helper()
	for _, pair := range [][2][]float64{{got.logits, want.logits}, {got.deltas, want.deltas}} {
		scale, worst := 0.0, 0.0
		for i, v := range pair[1] {
			scale, worst = math.Max(scale, math.Abs(v)), math.Max(worst, math.Abs(v-pair[0][i]))
		}
		if scale == 0 || !(worst <= limit*scale) {
			t.Errorf("%s: off by %.2g of the largest, %.3g", what, worst/scale, scale)
		}
	}
}
