package weights

import (
	"os"
	"strconv"
	"strings"
	"testing"
)

// releaseNames are the names and shapes of a state_dict that the official MAN++ release
// saves, written by testdata/gen_release.py from the release's own networks.
func releaseNames(t *testing.T, name string) []Tensor {
	t.Helper()
	b, err := os.ReadFile("testdata/release_" + name + ".txt")
	if err != nil {
		t.Fatal(err)
	}
	var out []Tensor
	for line := range strings.Lines(string(b)) {
		parts := strings.Fields(line)
		x := Tensor{Name: parts[0]}
		for _, p := range parts[1:] {
			n, err := strconv.Atoi(p)
			if err != nil {
				t.Fatal(err)
			}
			x.Shape = append(x.Shape, n)
		}
		out = append(out, x)
	}
	return out
}

// Of each of the release's checkpoints the network for inference is taken, and all
// else is known for what it is. The counts follow from METHOD §1.3 to §1.6 and §2: the
// first file has LB, EMA and s of 14 units and the stem (10 tensors a unit and 5 of each
// of two downsamplings), 15 units twice, 16 heads of 35 tensors.
func TestReleaseCheckpoints(t *testing.T) {
	for _, c := range []struct {
		name, source string
		keep         func(name string) bool // of the network
		idle         string
	}{
		{"cifar_dgl", "official MAN++ CIFAR ResNet", func(n string) bool { return startsWith(n, "conv1", "bn1", "layer", "fc64") },
			"15 scales of clones (s), 225 counters of batch norm, 2 of a classifier without use (fc beside fc64), 560 of local heads, 160 of learnable clones (LB), 160 of averaged clones (EMA), 160 second names of units (Encoder_Net)\n"},
		{"cifar_infopro", "official MAN++ CIFAR ResNet", func(n string) bool { return startsWith(n, "conv1", "bn1", "layer", "fc64") },
			"15 scales of clones (s), 176 counters of batch norm, 2 of a classifier without use (fc beside fc64), 160 of averaged clones (EMA), 160 of learnable clones (LB), 219 of local heads, 128 of local heads' decoders, 160 second names of units (Encoder_Net)\n"},
		{"imagenet", "official MAN++ ResNet", func(n string) bool { return startsWith(n, "conv1", "bn1", "layer", "fc") },
			"248 counters of batch norm, 515 second names of units (Encoder_Net), 45 of learnable clones (LB), 45 of averaged clones (EMA), 3 scales of clones (s), 72 of local heads' decoders, 66 of local heads\n"},
		{"vit", "official MAN++ ViT", func(n string) bool { return !strings.HasPrefix(n, "aux_") },
			"144 of learnable clones (LB), 72 of averaged clones (EMA), 3 scales of clones (s), 12 of local heads\n"},
		{"coco", "official MAN++ RetinaNet", func(n string) bool {
			return startsWith(n, "backbone.conv1", "backbone.bn1", "backbone.layer", "fpn", "cls_subnet", "reg_subnet")
		},
			"77 counters of batch norm, 60 of learnable clones (LB), 60 of averaged clones (EMA), 3 scales of clones (s), 46 of local heads\n"},
	} {
		names := releaseNames(t, c.name)
		var want, have []Tensor
		for _, x := range names {
			if c.keep(x.Name) && !strings.HasSuffix(x.Name, "num_batches_tracked") {
				y := x
				switch c.name { // what the model calls it
				case "coco":
					y.Name = newSpeller(names).common(x.Name)
				case "cifar_dgl", "cifar_infopro":
					y.Name = strings.Replace(x.Name, "fc64", "fc", 1)
				}
				want = append(want, y)
			}
			x.Name = "module." + x.Name // DistributedDataParallel
			have = append(have, x)
		}
		r := Fit(want, have)
		if !r.Complete() || len(r.Unused) > 0 || r.Source != c.source || len(r.Loaded)+len(r.Idle) != len(have) {
			t.Errorf("%s: %d loaded, %d idle of %d\n%s", c.name, len(r.Loaded), len(r.Idle), len(have), r)
		}
		if !strings.Contains(r.String(), "\nnot needed: "+c.idle) {
			t.Errorf("%s:\n%s", c.name, r)
		}
		for _, x := range want {
			if from := r.From(x.Name); strings.Contains(from, "Encoder_Net") || strings.Contains(from, "module.fc.") && strings.HasPrefix(c.name, "cifar") {
				t.Errorf("%s: %s from %s", c.name, x.Name, from)
			}
		}
	}
}

func startsWith(name string, prefixes ...string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}
