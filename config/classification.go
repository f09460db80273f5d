package config

import (
	"slices"
	"strings"
)

// onCIFAR reports whether the backbone is one for small pictures, of three stages.
func (c *Config) onCIFAR() bool { return strings.HasPrefix(c.Model.Backbone, "cifar_") }

// onViT reports whether the backbone is a vision transformer.
func (c *Config) onViT() bool { return strings.HasPrefix(c.Model.Backbone, "vit_") }

// LocalHead is the local head that a classifier's blocks get: the one of
// manpp.classification.head or, where that is "auto", the strategy's own.
func (c *Config) LocalHead() string {
	if h := c.MANPP.Classification.Head; h != "auto" {
		return h
	}
	if c.onViT() {
		return "token"
	}
	return map[string]string{"greedy": "0c1f", "auglocal": "0c1f", "mlaan": "0c1f", "infopro": "1c2f", "predsim": "predsim"}[c.MANPP.Strategy] // "": dgl
}

// SmallImages reports whether the data set's images are held in memory and all have
// one small size.
func (d Data) SmallImages() bool {
	return slices.Contains([]string{"cifar10", "cifar100", "svhn", "stl"}, d.Format)
}

// checkClassification checks what the keys of classification must fulfil together.
func (c *Config) checkClassification(fault func(key, format string, args ...any)) {
	m, l, d := c.MANPP, c.MANPP.Classification, c.Data
	if m.Strategy != "e2e" {
		head := c.LocalHead()
		if head == "" {
			head = "dgl"
		}
		plain := slices.Contains([]string{"dgl", "predsim", "token"}, head)
		if plain && l.ReconWeights[0]+l.ReconWeights[1] > 0 {
			fault("manpp.classification.recon_weights", "manpp.classification.recon_weights: local head %s has no decoder; choose an InfoPro head such as 1c2f", head)
		}
		if (plain || head == "imagenet") && l.Contrast {
			fault("manpp.classification.contrast", "manpp.classification.contrast: local head %s has no features to contrast; choose an InfoPro head such as 1c2f", head)
		}
		if !l.Contrast && m.Quirks == "fixed" {
			c.idle("manpp.classification.temperature", "without manpp.classification.contrast", fault)
		}
		if c.onViT() != (head == "token") {
			fault("manpp.classification.head", "manpp.classification.head: local head %s does not go with backbone %s; vision transformers have the head token, which no other has", head, c.Model.Backbone)
		}
		if !slices.Contains([]string{"man", "manpp", "auglocal"}, m.Strategy) {
			c.idle("manpp.classification.depth", "with strategy "+m.Strategy+", whose blocks have no auxiliary network", fault)
		}
		if c.Train.Batch == 1 && c.Model.Norm == "train" && (head == "dgl" || head == "predsim") {
			fault("train.batch", "train.batch is 1; local head %s compares or norms the images of a batch and needs at least 2", head)
		}
	}
	if c.Train.Mixup > 0 && m.Strategy != "e2e" && (l.Contrast || c.LocalHead() == "predsim") {
		fault("train.mixup", "train.mixup: mixed images have no class that contrastive and similarity losses could compare; set it to 0")
	}
	switch m.Partition {
	case "published":
		if m.Strategy != "e2e" && m.Blocks == 0 {
			fault("manpp.blocks", `manpp.blocks is 0; partition "published" needs the papers' number of blocks`)
		}
	case "balanced", "cuts":
		c.idle("manpp.stem", `with partition "`+m.Partition+`"`, fault)
	}
	if m.Partition != "published" {
		c.idle("manpp.published", `with partition "`+m.Partition+`"`, fault)
	}
	c.checkClassImages(fault)
	if d.Format != "folders" {
		for _, key := range []string{"data.train.images", "data.val.images"} {
			c.idle(key, "with data.format "+d.Format, fault)
		}
	}
	for _, key := range []string{"data.train.annotations", "data.val.annotations", "data.shapes"} {
		c.idle(key, "with task classification", fault)
	}
}

// classSplits are the splits of data sets that come with some.
var classSplits = map[string][]string{
	"cifar10": {"train", "test"}, "cifar100": {"train", "test"}, "svhn": {"train", "test", "extra"}, "stl": {"train", "test"},
}

// checkClassImages checks the keys that depend on the form of the data.
func (c *Config) checkClassImages(fault func(key, format string, args ...any)) {
	d := c.Data
	k := d.Classification
	idle := func(keys ...string) {
		for _, key := range keys {
			c.idle("data.classification."+key, "with data.format "+d.Format, fault)
		}
	}
	if d.Format != "cifar100" {
		idle("coarse")
	}
	if d.Format != "imagenet" {
		idle("ground_truth", "ids", "names")
	} else if k.IDs != "" && k.GroundTruth == "" {
		fault("data.classification.ids", "data.classification.ids explains the numbers of data.classification.ground_truth, which is empty; set both or neither")
	}
	if d.SmallImages() {
		idle("size", "resize", "part_scale", "part_ratio", "antialias")
	} else {
		idle("pad", "pad_mode")
		if k.Size[0]%32 != 0 || k.Size[1]%32 != 0 {
			fault("data.classification.size", "data.classification.size is %v; both sides must be multiples of 32", k.Size)
		}
		for _, r := range []struct {
			key string
			v   []float64
		}{{"part_scale", k.PartScale}, {"part_ratio", k.PartRatio}} {
			if r.v[0] > r.v[1] {
				fault("data.classification."+r.key, "data.classification.%s is %v; the lesser comes first", r.key, r.v)
			}
		}
	}
	if d.Format == "folders" {
		for _, key := range []string{"data.train.split", "data.val.split"} {
			c.idle(key, "with data.format folders", fault)
		}
		return
	}
	for _, s := range []struct{ key, name string }{{"data.train.split", d.Train.Split}, {"data.val.split", d.Val.Split}} {
		if want := classSplits[d.Format]; want != nil && !slices.Contains(want, s.name) {
			fault(s.key, "%s is %q; %s has %s", s.key, s.name, d.Format, strings.Join(want, ", "))
		} else if s.name == "" || strings.ContainsAny(s.name, "/\\") {
			fault(s.key, "%s is %q; it must name a folder in data.root", s.key, s.name)
		}
	}
}
