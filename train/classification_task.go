package train

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"manvision/config"
	"manvision/data"
	"manvision/data/augment"
	"manvision/data/cifar"
	"manvision/data/classes"
	"manvision/data/imagenet"
	"manvision/data/stl"
	"manvision/data/svhn"
	"manvision/device"
)

// classificationTask is the Task of classifiers on images with one class each.
type classificationTask struct{}

// Prepare implements Task: nothing is drawn.
func (classificationTask) Prepare(context.Context, *config.Config, func(string)) error { return nil }

// Open implements Task: the split is a *ClassSplit.
func (t classificationTask) Open(cfg *config.Config, val bool) (Split, error) {
	set, err := t.scan(cfg, val)
	if err == nil {
		err = set.Err()
	}
	if err != nil {
		return nil, err
	}
	src, err := data.NewClassification(set)
	if err != nil {
		return nil, err
	}
	return &ClassSplit{src}, nil
}

// scan lists the images of a split, whose Problems may be what is wrong with it.
func (classificationTask) scan(cfg *config.Config, val bool) (*classes.Set, error) {
	d, s := cfg.Data, cfg.Data.Train
	if val {
		s = d.Val
	}
	switch d.Format {
	case "cifar10", "cifar100":
		set, err := cifar.Open(d.Root, s.Split, cifar.Options{Coarse: d.Classification.Coarse})
		if err == nil {
			err = checkCIFAR(cfg, set)
		}
		return set, err
	case "svhn":
		return svhn.Open(d.Root, s.Split)
	case "stl":
		return stl.Open(d.Root, s.Split)
	case "imagenet":
		o := imagenet.Options{AllowEmpty: val}
		for _, p := range []struct {
			to   *string
			file string
			read bool
		}{{&o.Names, d.Classification.Names, true}, {&o.GroundTruth, d.Classification.GroundTruth, val}, {&o.IDs, d.Classification.IDs, val}} {
			if p.read && p.file != "" {
				*p.to = d.Path(p.file)
			}
		}
		return imagenet.Scan(d.Root, s.Split, o)
	case "folders":
		return classFolders(d, val), nil
	}
	return nil, fmt.Errorf("data.format %q has no classified images", d.Format)
}

// checkCIFAR reports data of the other CIFAR than the recipe names.
func checkCIFAR(cfg *config.Config, set *classes.Set) error {
	if want, _ := (classificationTask{}).CountClasses(cfg); len(set.Names) != want {
		return &classes.InputError{Path: set.Source, Offset: -1, Kind: classes.BadLabel, Problem: fmt.Sprintf("it holds %d classes; data.format %s has %d", len(set.Names), cfg.Data.Format, want)}
	}
	return nil
}

// classFolders lists the images of a recipe's class folders. Validation has the
// classes of training; that these are unusable is one of its problems.
func classFolders(d config.Data, val bool) *classes.Set {
	train := classes.ScanFolders(d.Path(d.Train.Images), classes.FolderOptions{})
	if !val {
		return train
	}
	set := classes.ScanFolders(d.Path(d.Val.Images), classes.FolderOptions{Classes: train.Folders, AllowEmpty: true})
	if err := train.Err(); err != nil {
		set.Problems = append([]*classes.InputError{{Path: train.Source, Offset: -1, Kind: classes.BadNames, Problem: "the training images, whose classes these have: " + err.Error(), Err: err}}, set.Problems...)
	}
	return set
}

// normal is how pixels are normalised.
type normal struct {
	name      string
	mean, std [3]float32
}

// normalisation is the one that a recipe asks for.
func normalisation(d config.Data) normal {
	name := d.Classification.Normalize
	if name == "auto" {
		name = map[string]string{"cifar10": "cifar", "cifar100": "cifar", "svhn": "half", "stl": "half"}[d.Format]
	}
	switch name {
	case "cifar":
		return normal{name, cifar.Mean, cifar.Std}
	case "half":
		return normal{name, [3]float32{0.5, 0.5, 0.5}, [3]float32{0.5, 0.5, 0.5}}
	}
	return normal{"imagenet", augment.ImageNetMean, augment.ImageNetStd}
}

// Loader implements Task.
func (classificationTask) Loader(cfg *config.Config, augmented bool) data.LoaderConfig {
	d, k := cfg.Data, cfg.Data.Classification
	how := normalisation(d)
	a := augment.Config{Mean: how.mean, Std: how.std}
	if augmented {
		a.FlipProb, a.Jitter = d.Flip, jitter(d)
	}
	if d.SmallImages() {
		side := cifar.Side
		if d.Format == "stl" {
			side = stl.Side
		}
		if augmented && k.Pad > 0 {
			a.Crop = augment.Crop{W: side, H: side, Pad: k.Pad, Reflect: k.PadMode == "reflect"}
		}
		return data.LoaderConfig{Augment: a, Canvases: []data.Canvas{{H: side, W: side}}}
	}
	if k.Antialias {
		a.Interpolation = augment.Antialias
	}
	w, h := k.Size[0], k.Size[1]
	if augmented {
		a.Part = augment.RandomPart{W: w, H: h, Scale: [2]float64(k.PartScale), Ratio: [2]float64(k.PartRatio)}
	} else {
		a.Resize = augment.Resize{ShortSides: []int{k.Resize}, Truncate: true}
		a.Crop = augment.Crop{W: w, H: h, Center: true}
	}
	return data.LoaderConfig{Augment: a, Canvases: []data.Canvas{{H: h, W: w}}}
}

// ReadClasses implements Task.
func (classificationTask) ReadClasses(raw json.RawMessage) (Classes, error) {
	c := new(ClassNames)
	if err := json.Unmarshal(raw, c); err != nil {
		return nil, fmt.Errorf("classes: %w", err)
	}
	return c, nil
}

// CountClasses implements Task.
func (classificationTask) CountClasses(cfg *config.Config) (int, error) {
	d := cfg.Data
	switch d.Format {
	case "cifar10", "svhn", "stl":
		return 10, nil
	case "cifar100":
		if d.Classification.Coarse {
			return 20, nil
		}
		return 100, nil
	}
	dir := d.Path(d.Train.Images)
	if d.Format == "imagenet" {
		dir = d.Path(d.Train.Split)
	}
	if _, err := os.Stat(dir); d.Root == "" || err != nil {
		return 0, nil
	}
	return len(classes.ScanFolders(dir, classes.FolderOptions{AllowEmpty: true}).Names), nil
}

// Numbered implements Task.
func (classificationTask) Numbered(n int) Classes {
	c := &ClassNames{}
	for i := range n {
		c.Names = append(c.Names, fmt.Sprint("class ", i))
	}
	return c
}

// Build implements Task: the model is a *Classifier.
func (classificationTask) Build(cfg *config.Config, dev device.Device, classes Classes) (Model, error) {
	c, ok := classes.(*ClassNames)
	if !ok {
		return nil, fmt.Errorf("a classifier needs class names, got %T", classes)
	}
	return NewClassifier(cfg, dev, c)
}
