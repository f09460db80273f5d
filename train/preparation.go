package train

import (
	"fmt"
	"strings"

	"manvision/config"
	"manvision/weights"
)

// setting is one of a recipe's values by its key.
type setting struct {
	key   string
	value any
}

// preparation lists the settings that decide how images are brought to the network at
// inference; their defaults are those of config.Parse.
func preparation(c *config.Config) []setting {
	d := c.Data
	switch c.Task {
	case "classification":
		k := d.Classification
		if d.SmallImages() {
			return []setting{{"data.classification.normalize", normalisation(d).name}}
		}
		return []setting{{"data.classification.normalize", normalisation(d).name}, {"data.classification.size", k.Size},
			{"data.classification.resize", k.Resize}, {"data.classification.antialias", k.Antialias}}
	case "segmentation":
		return []setting{{"eval.segmentation.size", c.Eval.Segmentation.Size}}
	}
	return []setting{{"data.short_side", d.ShortSide}, {"data.long_side", d.LongSide}, {"data.fixed_size", d.FixedSize}}
}

// otherPreparation says where a recipe prepares images in another way than the one of
// a checkpoint.
func otherPreparation(c *config.Config, path, recipe string) ([]string, error) {
	stored, err := config.Parse(path, []byte(recipe), nil)
	if err != nil {
		return nil, err
	}
	var notes []string
	was := preparation(stored)
	for i, s := range preparation(c) {
		// Settings of another form of data have no counterpart.
		if i < len(was) && was[i].key == s.key && fmt.Sprint(was[i].value) != fmt.Sprint(s.value) {
			notes = append(notes, fmt.Sprintf("%s is %v here; the weights were trained with %v: images are prepared in another way", s.key, s.value, was[i].value))
		}
	}
	return notes, nil
}

// otherNormalisation says where a recipe normalises images in another way than the
// one that weights come from, as far as the file tells: torchvision's and the official
// release's for ImageNet and COCO are all of one kind.
func otherNormalisation(c *config.Config, path string, file *weights.File, source string) ([]string, error) {
	here, was := "imagenet", ""
	if c.Task == "classification" {
		here = normalisation(c.Data).name
	}
	switch {
	case file.IsCheckpoint():
		meta, err := weights.LoadMeta(path)
		if err != nil {
			return nil, err
		}
		stored, err := config.Parse(path, []byte(meta.Config), nil)
		if err != nil {
			return nil, err
		}
		if was = "imagenet"; stored.Task == "classification" {
			was = normalisation(stored.Data).name
		}
	case strings.HasPrefix(source, "torchvision "), strings.HasPrefix(source, "official ") && !strings.Contains(source, "CIFAR"):
		was = "imagenet"
	}
	if was == "" || was == here {
		return nil, nil
	}
	return []string{fmt.Sprintf("the weights of %s are for images normalised as %q, this recipe's are as %q; data.classification.normalize can change that", path, was, here)}, nil
}
