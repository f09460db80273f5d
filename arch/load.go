package arch

import (
	"fmt"
	"strings"

	"manvision/backbone"
	"manvision/data/augment"
	"manvision/device"
	"manvision/exec"
	"manvision/manpp"
	"manvision/nn"
	"manvision/weights"
)

// network is what all tasks' networks are made of.
type network struct {
	arch   Arch
	model  *manpp.Model
	input  *exec.Arena
	arena  *exec.Arena
	render *augment.Renderer
	config augment.Config
}

// newNetwork makes an empty network; parameters are named behind prefix.
func (a Arch) newNetwork(dev device.Device, prefix string, cfg augment.Config) (*network, error) {
	body, err := backbone.New(a.backbone, backbone.PublishedWidth(a.backbone))
	if err != nil {
		return nil, err
	}
	if a.Task == Segmentation {
		if body, err = backbone.Dilated(body, 8); err != nil {
			return nil, err
		}
	}
	render, err := augment.NewRenderer(cfg)
	if err != nil {
		return nil, err
	}
	store := nn.NewStore(dev, 1)
	store.Fold, store.Prepare = true, true
	return &network{arch: a, model: &manpp.Model{Store: store, Backbone: body, Strategy: manpp.E2E, Prefix: prefix},
		input: exec.NewArena(dev), arena: exec.NewArena(dev), render: render, config: cfg}, nil
}

func (n *network) check(task Task) error {
	if n.arch.Task != task {
		return fmt.Errorf("%s is for %s", n.arch.Name, n.arch.Task)
	}
	return nil
}

func (n *network) free() {
	n.render.Close()
	n.model.Store.Free()
	n.input.Free()
	n.arena.Free()
}

// ε of torchvision's batch norms.
const normEps = 1e-5

// fill reads all parameters and statistics from a file. A tensor missing, of another
// shape, or left over is an error: the file is of another network. noEps is for norms
// that had no ε: this network adds it to their variances, so it is taken off before.
func (n *network) fill(path string, noEps bool) (*weights.Report, error) {
	file, err := weights.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	store := n.model.Store
	var want []weights.Tensor
	for _, v := range store.Vars() {
		want = append(want, weights.Tensor{Name: v.Name, Shape: v.Shape})
	}
	r := file.Fit(want)
	if err := r.Require(1); err != nil {
		return r, fmt.Errorf("%s: not the weights of %s: %w", path, n.arch.Name, err)
	}
	for _, name := range r.Unused {
		if n.arch.Task == Segmentation && strings.Contains(name, "aux_classifier.") {
			continue // only in training
		}
		return r, fmt.Errorf("%s: not the weights of %s: it also holds %s\n%s", path, n.arch.Name, name, r)
	}
	err = file.Fill(r, func(t weights.Tensor) error {
		data := t.Data
		if t.F64 != nil {
			data = make([]float32, len(t.F64))
			for i, v := range t.F64 {
				data[i] = float32(v)
			}
		}
		if noEps && strings.HasSuffix(t.Name, ".running_var") {
			for i := range data {
				data[i] -= normEps
			}
		}
		return store.Set(t.Name, data)
	})
	return r, err
}

// imageNet is the normalisation of all of torchvision's weights here.
func imageNet(c augment.Config) augment.Config {
	c.Mean, c.Std = augment.ImageNetMean, augment.ImageNetStd
	return c
}
