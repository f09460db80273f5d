package manpp

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"manvision/backbone"
)

// table gives the cuts of a backbone by number of blocks: stage.index of the last
// unit of every block but the final one.
type table map[int]string

var tables = map[string]table{
	"cifar_resnet32": {
		2: "2.1", 3: "1.4 2.4", 4: "1.2 2.1 3.0",
		8:  "1.0 1.2 1.4 2.1 2.3 3.0 3.2",
		16: every(5, 5, 4),
	},
	"cifar_resnet110": {
		2: "2.8", 3: "1.17 2.17", 4: "1.11 2.7 3.3",
		8:  "1.4 1.11 2.0 2.7 2.14 3.3 3.10",
		16: "1.1 1.4 1.7 1.10 1.13 1.16 2.1 2.4 2.7 2.11 2.15 3.1 3.5 3.9 3.13",
		32: stage(1, 1, 2, 4, 5, 7, 9, 11, 13, 14, 16, 17) + stage(2, 1, 2, 4, 5, 7, 9, 11, 13, 14, 16, 17) + stage(3, 1, 3, 4, 6, 7, 9, 11, 13, 15),
		55: every(18, 18, 17),
	},
	"cifar_resnet110 balanced":     {2: "1.14", 3: "1.9 2.2", 4: "1.6 1.14 2.8"},
	"cifar_resnet110 balanced-stl": {2: "1.14", 3: "1.8 2.1", 4: "1.6 1.14 2.8"},
	"resnet101":                    {2: "2.0", 4: "2.2 3.8 3.16"},
	"resnet152":                    {2: "2.5", 4: "2.6 3.13 3.25"},
	"resnext101_32x8d":             {2: "2.0", 4: "2.2 3.8 3.16"},
	"resnext101_32x8d infopro":     {2: "2.2"},
}

func stage(s int, units ...int) string {
	var out strings.Builder
	for _, u := range units {
		fmt.Fprintf(&out, "%d.%d ", s, u)
	}
	return out.String()
}

// every lists the first n units of each stage.
func every(n ...int) string {
	var out strings.Builder
	for s, n := range n {
		for u := range n {
			fmt.Fprintf(&out, "%d.%d ", s+1, u)
		}
	}
	return out.String()
}

// Published gives the cuts that the papers of MAN++, MAN and InfoPro have for a
// backbone in k blocks (METHOD §1.4 to §1.6): cifar_resnet32 and cifar_resnet110 (their
// option-A forms too), resnet101, resnet152, resnext101_32x8d, and vision transformers
// in 4 blocks. variant is empty, or where the tables differ "balanced" and
// "balanced-stl" (InfoPro*, ResNet-110) or "infopro" (ResNeXt-101). k is the papers' number, which for 16 and 55 counts the
// stem: these give 15 and 54 blocks. MAN++ for CIFAR makes the stem one more
// (WithStem).
func Published(b *backbone.Backbone, variant string, k int) (Partition, error) {
	if b.ViT != nil && variant == "" && k == 4 {
		return Stages(b), nil // METHOD §1.6
	}
	name := strings.TrimSuffix(b.Name, "_a")
	if variant != "" {
		name += " " + variant
	}
	t, ok := tables[name]
	if !ok {
		return nil, fmt.Errorf("partition: no published cuts of %q (there are those of %s)", name, strings.Join(slices.Sorted(maps.Keys(tables)), ", "))
	}
	cuts, ok := t[k]
	if !ok {
		return nil, fmt.Errorf("partition: no published cuts of %s in %d blocks (in %v)", name, k, slices.Sorted(maps.Keys(t)))
	}
	var names []string
	for _, c := range strings.Fields(cuts) {
		names = append(names, "layer"+c)
	}
	return Cuts(b, names)
}
