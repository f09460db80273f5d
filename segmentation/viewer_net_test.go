package segmentation

import (
	"context"
	"math"
	"strings"
	"testing"

	"manvision/backbone"
	"manvision/data/labelmap"
	"manvision/device/cpu"
	"manvision/manpp"
	"manvision/nn"
)

// A viewer on a network gives the class of the best logit, upsampled, of the padded
// picture, and needs no more than its plan says.
func TestViewerOnNetworks(t *testing.T) {
	for _, head := range []string{DeepLabV3, DeepLabV3Plus} {
		dev, err := cpu.New(cpu.Options{Threads: 2})
		if err != nil {
			t.Fatal(err)
		}
		defer dev.Close()
		body, err := backbone.New("resnet18", 8)
		if err != nil {
			t.Fatal(err)
		}
		net := narrow(head)
		strategy, err := manpp.ParseStrategy("e2e")
		if err != nil {
			t.Fatal(err)
		}
		m := &manpp.Model{Store: nn.NewStore(dev, 3), Backbone: dilated(t, body, 8), Strategy: strategy, Prefix: BodyPrefix}
		defer m.Store.Free()
		v, err := NewViewer(net, m, ViewOptions{}, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer v.Close()
		const w, h, cw, ch = 120, 90, 128, 96
		p := &formulaPicture{w: w, h: h}
		plan, err := v.Plan(w, h)
		if err != nil {
			t.Fatal(err)
		}
		inf, err := net.NewInference(m, 1, ch, cw, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer inf.Close()
		if err := m.Store.Realize(); err != nil {
			t.Fatal(err)
		}
		canvas, logits := make([]float32, ch*cw*3), make([]float32, inf.H*inf.W*net.Classes)
		if err := p.Draw(Part{Width: w, Height: h, W: w, H: h}, canvas, ch, cw); err != nil {
			t.Fatal(err)
		}
		if err := inf.Input.Upload(canvas); err != nil {
			t.Fatal(err)
		}
		// Initial weights give one class everywhere: biases that make the classes' means 0
		// do not.
		if err := inf.Run(logits); err != nil {
			t.Fatal(err)
		}
		mean := make([]float32, net.Classes)
		for i, l := range logits {
			mean[i%net.Classes] -= l / float32(inf.H*inf.W)
		}
		if err := m.Store.Set(biasOf(t, m.Store, net.Classes), mean); err != nil {
			t.Fatal(err)
		}
		if err := inf.Run(logits); err != nil {
			t.Fatal(err)
		}
		before, _ := dev.Allocated()
		labels, err := v.Labels(context.Background(), p, nil)
		if err != nil {
			t.Fatal(err)
		}
		if after, _ := dev.Allocated(); after-before > plan.Bytes {
			t.Errorf("%s: %d bytes were allocated, the plan says %d", head, after-before, plan.Bytes)
		}
		if labelmap.Histogram(labels)[labels[0]] == w*h {
			t.Errorf("%s: one class everywhere shows little", head)
		}
		stride := ch / inf.H
		for y := range h {
			for x := range w {
				score := make([]float64, net.Classes)
				for _, ty := range lerp((float64(y)+0.5)/float64(stride)-0.5, cellsOf(h, stride)) {
					for _, tx := range lerp((float64(x)+0.5)/float64(stride)-0.5, cellsOf(w, stride)) {
						for k := range score {
							score[k] += ty.weight * tx.weight * float64(logits[(ty.cell*inf.W+tx.cell)*net.Classes+k])
						}
					}
				}
				// The programs need not sum in the same order, so ties may differ.
				if got, want := labels[y*w+x], argmax(score); got != want && math.Abs(score[got]-score[want]) > 1e-4 {
					t.Fatalf("%s: pixel %d,%d: class %d, want %d of %v", head, x, y, got, want, score)
				}
			}
		}
	}
}

// biasOf is the name of the classes' biases.
func biasOf(t *testing.T, s *nn.Store, classes int) string {
	for _, v := range s.Vars() {
		if strings.HasSuffix(v.Name, ".bias") && v.Elems() == classes {
			return v.Name
		}
	}
	t.Fatal("no bias has as many elements as there are classes")
	return ""
}
