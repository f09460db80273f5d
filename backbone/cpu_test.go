package backbone

import (
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/device/cpu"
	"manvision/nn"
)

// TestEveryBackboneOnCPU plans a training step of every published backbone on the
// oneDNN device, which refuses convolutions that it cannot do fast.
func TestEveryBackboneOnCPU(t *testing.T) {
	dev, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for _, name := range append(Names(), CIFARNames()...) {
		t.Run(name, func(t *testing.T) {
			b, err := New(name, PublishedWidth(name))
			if err != nil {
				t.Fatal(err)
			}
			size, classes := 224, 1000
			if PublishedWidth(name) == 16 {
				size, classes = 32, 10
			}
			g := nn.NewGraph(nn.NewStore(dev, 1), nn.Train)
			y, _ := g.Input("input", device.Desc{Shape: []int{2, size, size, 3}})
			for _, u := range b.Units {
				y = u.Forward(g, y, "")
			}
			l, _ := g.Input("labels", device.Desc{DType: device.Int32, Shape: []int{2}})
			loss := g.CrossEntropy(Classifier(g, y, "", classes), l, -1)
			grads, err := g.Gradients(loss)
			if err != nil {
				t.Fatal(err)
			}
			keep := []*gorgonia.Node{loss}
			for _, gr := range grads {
				keep = append(keep, gr.Node)
			}
			p, err := g.Compile(name, nil, keep...)
			if err != nil {
				t.Fatal(err)
			}
			p.Close()
			if now, _ := dev.Allocated(); now != 0 {
				t.Errorf("planning allocated %d bytes", now)
			}
		})
	}
}
