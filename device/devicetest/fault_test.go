package devicetest

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"manvision/device"
	"manvision/device/ref"
)

// faulty is the reference with a fault in its kernels.
type faulty struct {
	*ref.Device
	bind func(k *faultyKernel) (skip bool)
	run  func(k *faultyKernel)
}

type faultyKernel struct {
	device.Kernel
	dev         *faulty
	op          device.Op
	in, out     []device.Ptr
	scratch     device.Ptr
	binds, runs int
}

func (f *faulty) Prepare(op device.Op) (device.Kernel, error) {
	k, err := f.Device.Prepare(op)
	return &faultyKernel{Kernel: k, dev: f, op: op}, err
}

func (k *faultyKernel) Bind(in, out []device.Ptr, scratch device.Ptr) error {
	k.binds++
	if k.dev.bind != nil && k.dev.bind(k) {
		return nil
	}
	k.in, k.out, k.scratch = in, out, scratch
	return k.Kernel.Bind(in, out, scratch)
}

func (k *faultyKernel) Run() error {
	err := k.Kernel.Run()
	k.runs++
	if k.dev.run != nil {
		k.dev.run(k)
	}
	return err
}

// output is the float output i.
func (k *faultyKernel) output(i int) []float64 {
	return unsafe.Slice((*float64)(k.out[i]), k.op.Outputs()[i].Elems())
}

// round rounds every float output to that many bits of mantissa.
func (k *faultyKernel) round(bits int) {
	for i, d := range k.op.Outputs() {
		if d.DType != device.Float {
			continue
		}
		for j, v := range k.output(i) {
			frac, exp := math.Frexp(v)
			k.output(i)[j] = math.Ldexp(math.Round(math.Ldexp(frac, bits)), exp-bits)
		}
	}
}

// recorder notes errors instead of failing.
type recorder struct {
	testing.TB
	errors []string
}

func (r *recorder) Helper()                   {}
func (r *recorder) Errorf(f string, a ...any) { r.errors = append(r.errors, fmt.Sprintf(f, a...)) }

// TestSuiteSeesFaults puts faults into the reference's kernels one at a time: the
// suite must report each. Rounding to float32 is no fault.
func TestSuiteSeesFaults(t *testing.T) {
	o := geometry(3, 3, 1, 1, 1)
	o.N, o.H, o.W, o.IC, o.OC = 1, 5, 6, 8, 7
	g := seeded("faults")
	conv := Case{Op: o, Name: "conv", Steps: [][]any{{g.of(o.X()), g.of(o.Weight())}}, Terms: 72}
	bn := normCase(device.BatchNorm{N: 1, H: 3, W: 5, C: 7, Eps: 1e-5, ReLU: true}, 1)[0]
	for _, c := range []struct {
		name string
		of   Case
		dev  faulty
		fine bool
	}{
		{"none", conv, faulty{}, true},
		{"none", bn, faulty{}, true},
		{"float32", conv, faulty{run: func(k *faultyKernel) { k.round(24) }}, true},
		{"bfloat16", conv, faulty{run: func(k *faultyKernel) { k.round(8) }}, false},
		{"TF32", conv, faulty{run: func(k *faultyKernel) { k.round(11) }}, false},
		{"bfloat16", bn, faulty{run: func(k *faultyKernel) { k.round(8) }}, false},
		{"one element wrong", conv, faulty{run: func(k *faultyKernel) { k.output(0)[17] += 1e-3 }}, false},
		{"one element not written", conv, faulty{run: func(k *faultyKernel) { k.output(0)[17] = math.NaN() }}, false},
		{"writes behind an output", conv, faulty{run: func(k *faultyKernel) {
			*(*byte)(unsafe.Add(k.out[0], 8*o.Y().Elems())) = 0
		}}, false},
		{"writes behind a mask of odd length", bn, faulty{run: func(k *faultyKernel) {
			*(*byte)(unsafe.Add(k.out[3], 3*5*7)) = 0
		}}, false},
		{"writes behind its scratch", conv, faulty{run: func(k *faultyKernel) {
			*(*byte)(unsafe.Add(k.scratch, k.Scratch()+40)) = 0
		}}, false},
		{"writes into an input", conv, faulty{run: func(k *faultyKernel) { *(*float64)(k.in[1]) = 2 }}, false},
		{"other bits in the next run", conv, faulty{run: func(k *faultyKernel) { k.output(0)[3] += float64(k.runs) * 1e-12 }}, false},
		{"other bits when bound again", conv, faulty{run: func(k *faultyKernel) { k.output(0)[3] += float64(k.binds) * 1e-12 }}, false},
		{"keeps its first addresses", conv, faulty{bind: func(k *faultyKernel) bool { return k.binds > 1 }}, false},
	} {
		t.Run(c.of.Op.Kind()+" "+c.name, func(t *testing.T) {
			c.dev.Device = ref.New()
			r := &recorder{TB: t}
			want := compute(t, ref.New(), c.of, nil, 1)
			compare(r, c.of, compute(r, &c.dev, c.of, nil, 3), want, Float32(), map[string]extreme{})
			if c.fine && len(r.errors) > 0 {
				t.Errorf("the suite complains about nothing: %q", r.errors)
			}
			if !c.fine && len(r.errors) == 0 {
				t.Error("the suite sees nothing")
			}
		})
	}
}
