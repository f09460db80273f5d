package classification

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/backbone"
	"manvision/device/ref"
	"manvision/internal/golden"
	"manvision/manpp"
	"manvision/nn"
)

// TestHeadsAsPyTorch compares losses and gradients of every local head, decoder and
// loss with PyTorch 1.13 in float64 (testdata/gen_heads.py), within 1e-9: of a
// gradient's length, at least 1e-3 of the largest.
func TestHeadsAsPyTorch(t *testing.T) {
	text, err := os.ReadFile("testdata/heads.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Kind, Mode             string
		C, H, W, Stage, Stride int
		Losses                 []float64
		Grads                  map[string]golden.Tensor
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	const n, seed = 4, 7
	for i, c := range cases {
		t.Run(fmt.Sprintf("%d %s %s", i, c.Kind, c.Mode), func(t *testing.T) {
			dev := ref.NewThreads(2)
			defer dev.Close()
			store := nn.NewStore(dev, 1)
			defer store.Free()
			body, err := backbone.New("cifar_resnet20", 4)
			if err != nil {
				t.Fatal(err)
			}
			net := &Net{Classes: 5, Local: c.Kind, Features: 12, Contrast: c.Mode == "contrast", Std: [3]float32{1, 1, 1}, Task: Weights{0.5, 0.5}}
			if c.Mode == "recon" {
				net.Recon = Weights{5, 5}
			}
			if c.Kind == headPredSim {
				net.Task = Weights{1, 1}
			}
			m := &manpp.Model{Store: store, Backbone: body, Strategy: manpp.InfoPro, Partition: manpp.Stages(body)}
			made, err := net.NewHeads(m, n, c.H*c.Stride, c.W*c.Stride)
			if err != nil {
				t.Fatal(err)
			}
			h := made.(*heads)
			defer h.Free()
			pixels := c.H * c.Stride * c.W * c.Stride
			image := nhwc(golden.U("image", seed, n*3*pixels), n, 3, pixels)
			pictures := make([]float32, len(image))
			for i, v := range image {
				pictures[i] = float32((v + 1) / 2)
			}
			if err := h.targets.Set([]int32{0, 3, 0, 4}, pictures); err != nil {
				t.Fatal(err)
			}
			g := nn.NewGraph(store, nn.Train)
			y := g.Weight("y", []int{n, c.H, c.W, c.C}, nn.Constant(0))
			losses := h.Local(g, 0, manpp.Feature{Node: y, Stage: c.Stage, Stride: c.Stride}, "head.")
			if g.Err() != nil {
				t.Fatal(g.Err())
			}
			var nodes, keep []*gorgonia.Node
			for _, l := range losses {
				nodes = append(nodes, l.Node)
			}
			grads, err := g.Gradients(nodes...)
			if err != nil {
				t.Fatal(err)
			}
			keep = append(keep, nodes...)
			for _, gr := range grads {
				keep = append(keep, gr.Node)
			}
			p, err := g.Compile("head", nil, keep...)
			if err != nil {
				t.Fatal(err)
			}
			defer p.Close()
			for name, want := range c.Grads {
				x := golden.Param(name, want.Shape, seed)
				if name == "y" {
					x = golden.U("y", seed, golden.Elements(want.Shape))
					for i, v := range x {
						x[i] = float64(float32(0.5 * v))
					}
					x = nhwc(x, n, c.C, c.H*c.W)
				}
				if err := store.Set(name, x); err != nil {
					t.Fatal(err)
				}
			}
			if err := store.Realize(); err != nil {
				t.Fatal(err)
			}
			if err := p.Run(); err != nil {
				t.Fatal(err)
			}
			if len(losses) != len(c.Losses) || len(grads) != len(c.Grads) {
				t.Fatalf("%d losses and %d gradients, want %d and %d", len(losses), len(grads), len(c.Losses), len(c.Grads))
			}
			for i, want := range c.Losses {
				var got [1]float64
				if err := p.Download(got[:], nodes[i]); err != nil {
					t.Fatal(err)
				}
				if math.Abs(got[0]-want) > 1e-9*math.Max(1, want) {
					t.Errorf("%s: %v, want %v", losses[i].Name, got[0], want)
				}
			}
			values := map[string][]float64{}
			for _, gr := range grads {
				x := make([]float64, gr.Var.Elems())
				if err := p.Download(x, gr.Node); err != nil {
					t.Fatal(err)
				}
				if gr.Var.Name == "y" {
					x = nchw(x, n, c.C, c.H*c.W)
				}
				values[gr.Var.Name] = x
			}
			d := &golden.Deviations{}
			compareAll(d, "gradients", c.Grads, seed, 1e-9, func(name string, _ int) []float64 { return values[name] })
			d.Report(t)
		})
	}
}

// nchw is the inverse of nhwc.
func nchw(x []float64, n, c, hw int) []float64 {
	out := make([]float64, len(x))
	for b := range n {
		for k := range c {
			for i := range hw {
				out[(b*c+k)*hw+i] = x[(b*hw+i)*c+k]
			}
		}
	}
	return out
}
