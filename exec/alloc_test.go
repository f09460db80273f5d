package exec_test

import (
	"testing"

	"manvision/backbone"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/device/ref"
	"manvision/exec"
	"manvision/nn"
)

// idle is a device whose kernels do nothing: what is left is exec's own work.
type idle struct{ *ref.Device }

func (d idle) Prepare(op device.Op) (device.Kernel, error) {
	k, err := d.Device.Prepare(op)
	return resting{k}, err
}

type resting struct{ device.Kernel }

func (resting) Run() error { return nil }

// step compiles a training step of ResNet-18 with updates inside.
func step(t testing.TB, dev device.Device, n, size int) *exec.Program {
	store := nn.NewStore(dev, 1)
	g := nn.NewGraph(store, nn.Train)
	b, err := backbone.New("resnet18", 16)
	if err != nil {
		t.Fatal(err)
	}
	y, in := g.Input("input", device.Desc{Shape: []int{n, size, size, 3}})
	for _, u := range b.Units {
		y = u.Forward(g, y, "")
	}
	l, labels := g.Input("labels", device.Desc{DType: device.Int32, Shape: []int{n}})
	loss := g.CrossEntropy(backbone.Classifier(g, y, "", 10), l, -1)
	grads, err := g.Gradients(loss)
	if err != nil {
		t.Fatal(err)
	}
	hyper, err := exec.NewTensor(dev, device.Hyper())
	if err != nil {
		t.Fatal(err)
	}
	for _, gr := range grads {
		v := gr.Var.Value
		g.Post(exec.Post{Op: device.SGD{Of: v.Desc, LRScale: 1}, In: []exec.Source{{Node: gr.Node}, {Tensor: hyper}}, Out: []*exec.Tensor{v, v}})
	}
	p, err := g.Compile("step", nil, loss)
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range []error{store.Realize(), in.Zero(), labels.Zero(), hyper.Zero(), p.Run()} {
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		p.Close()
		store.Free()
		for _, x := range []*exec.Tensor{in, labels, hyper} {
			x.Free()
		}
		dev.Close()
	})
	return p
}

// TestRunAllocatesNothing: after the first run, neither exec nor the oneDNN
// device allocates Go memory.
func TestRunAllocatesNothing(t *testing.T) {
	for _, c := range []struct {
		name string
		dev  func() (device.Device, error)
	}{
		{"exec alone", func() (device.Device, error) { return idle{ref.NewThreads(1)}, nil }},
		{"cpu", func() (device.Device, error) { return cpu.New(cpu.Options{Threads: 2}) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			dev, err := c.dev()
			if err != nil {
				t.Fatal(err)
			}
			p := step(t, dev, 2, 64)
			if n := testing.AllocsPerRun(20, func() {
				if err := p.Run(); err != nil {
					t.Fatal(err)
				}
			}); n != 0 {
				t.Errorf("%v allocations a run of %d steps", n, p.Steps())
			}
		})
	}
}

// BenchmarkRun is a steady-state training step of a narrow ResNet-18, and exec's
// own share of it.
func BenchmarkRun(b *testing.B) {
	run := func(open func() (device.Device, error)) func(b *testing.B) {
		return func(b *testing.B) {
			dev, err := open()
			if err != nil {
				b.Fatal(err)
			}
			p := step(b, dev, 2, 64)
			b.ReportAllocs()
			for b.Loop() {
				if err := p.Run(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(p.Steps()), "ns/step")
		}
	}
	b.Run("exec", run(func() (device.Device, error) { return idle{ref.NewThreads(1)}, nil }))
	b.Run("cpu", run(func() (device.Device, error) { return cpu.New(cpu.Options{Threads: 2}) }))
}
