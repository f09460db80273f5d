package manpp

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/backbone"
	"manvision/device"
	"manvision/exec"
	"manvision/nn"
)

// UnitCosts plans a training step of every single unit for images [n,h,w,3] and
// returns the working memory of each in bytes: the input of Balanced.
func UnitCosts(dev device.Device, b *backbone.Backbone, n, h, w int) ([]int64, error) {
	costs := make([]int64, len(b.Units))
	store := nn.NewStore(dev, 0)
	shape := []int{n, h, w, 3}
	for i, u := range b.Units {
		in, err := exec.NewTensor(dev, device.Desc{Shape: shape})
		if err != nil {
			return nil, err
		}
		g := nn.NewGraph(store, nn.Train)
		y := u.Forward(g, g.Leaf("input", in), fmt.Sprintf("unit%d.", i))
		if g.Err() != nil {
			return nil, g.Err()
		}
		shape = append([]int{}, y.Shape()...)
		target, _ := g.Input("target", device.Desc{Shape: shape})
		labels, _ := g.Input("labels", device.Desc{DType: device.Int32, Shape: []int{y.Shape().TotalSize() / u.Out}})
		one, _ := g.Input("norm", device.Desc{Shape: []int{1}})
		grads, err := g.Gradients(g.SmoothL1(y, target, labels, one, 1))
		if err != nil {
			return nil, err
		}
		var keep []*gorgonia.Node
		for _, gr := range grads {
			keep = append(keep, gr.Node)
		}
		p, err := g.Compile("unit "+u.Name, nil, keep...)
		if err != nil {
			return nil, err
		}
		costs[i] = p.Bytes()
		p.Close()
	}
	return costs, nil
}
