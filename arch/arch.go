// Package arch knows the networks of torchvision by name: how they are built from this
// toolkit's parts, how images are prepared for their weights, what their classes are
// called, and where their published weights are. Files of such weights, PyTorch's or
// safetensors, run without a recipe.
package arch

import (
	_ "embed"
	"fmt"
	"slices"
	"strings"
)

// Task is what a network does with an image.
type Task string

// The tasks.
const (
	Classification Task = "classification"
	Detection      Task = "detection"
	Segmentation   Task = "segmentation"
)

// Arch is a network by its name in torchvision.
type Arch struct {
	Name string
	Task Task

	backbone string
	head     string // of segmentation networks
}

var archs = func() []Arch {
	var all []Arch
	for _, n := range []string{"resnet18", "resnet34", "resnet50", "resnet101", "resnet152", "resnext50_32x4d", "resnext101_32x8d", "wide_resnet50_2", "vit_b_16"} {
		all = append(all, Arch{n, Classification, n, ""})
	}
	all = append(all, Arch{"retinanet_resnet50_fpn", Detection, "resnet50", ""})
	for _, head := range []string{"deeplabv3", "fcn"} {
		for _, body := range []string{"resnet50", "resnet101"} {
			all = append(all, Arch{head + "_" + body, Segmentation, body, head})
		}
	}
	return all
}()

// Names lists all networks.
func Names() []string {
	var names []string
	for _, a := range archs {
		names = append(names, a.Name)
	}
	return names
}

// Find returns a network by its name.
func Find(name string) (Arch, error) {
	for _, a := range archs {
		if a.Name == name {
			return a, nil
		}
	}
	return Arch{}, fmt.Errorf("unknown network %q (one of %s)", name, strings.Join(Names(), ", "))
}

// The classes' names are those of torchvision 0.14 (models/_meta.py). ImageNet's are in
// the order of its sorted WordNet ids, COCO's by category id, of which eleven are not
// in use, VOC's by label.
var (
	//go:embed names/imagenet.txt
	imagenetNames string
	//go:embed names/coco.txt
	cocoNames string
	//go:embed names/voc.txt
	vocNames string
)

// Classes are the classes' names in the order of the network's outputs. COCO's
// detectors have an output for every category id from 0 to 90; those that stand for
// none are "__background__" and "N/A".
func (a Arch) Classes() []string {
	text := map[Task]string{Classification: imagenetNames, Detection: cocoNames, Segmentation: vocNames}[a.Task]
	return strings.Split(strings.TrimSpace(text), "\n")
}

// named reports whether a class of Classes is one.
func named(class string) bool { return !slices.Contains([]string{"__background__", "N/A"}, class) }
