package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"manvision/config"
	"manvision/data/cityscapes"
	"manvision/data/labelmap"
	"manvision/internal/cli"
	"manvision/train"
)

// truth finds the label maps of images by the images' names.
type truth struct {
	dir   string
	maps  map[string]place // of CityScapes' layout by image name; nil for a folder of PNG files
	coded labelmap.Set     // classes and values of a folder's files
	buf   []uint8
}

// place is a pair of a set.
type place struct {
	set *labelmap.Set
	i   int
}

// openTruth reads a folder in CityScapes' layout (it holds gtFine), or one of PNG files
// that are named as their images and carry the values that this command writes.
func openTruth(dir string, cfg *config.Config, classes *train.LabelClasses) (*truth, error) {
	if !isFolder(dir) {
		return nil, cli.Usage("--gt %s: no such folder; name CityScapes' root or a folder of label maps", dir)
	}
	t := &truth{dir: dir}
	if !isFolder(filepath.Join(dir, "gtFine")) {
		t.coded = labelmap.Set{Source: dir, Classes: classes.List, Coding: coding(cfg, classes)}
		return t, nil
	}
	if !slices.EqualFunc(classes.List, cityscapes.ClassList(), func(a, b labelmap.Class) bool { return a.Name == b.Name }) {
		return nil, cli.Usage("--gt %s is CityScapes' folder, but the checkpoint has other classes; name a folder of label maps", dir)
	}
	t.maps = map[string]place{}
	splits, err := os.ReadDir(filepath.Join(dir, "gtFine"))
	if err != nil {
		return nil, err
	}
	for _, s := range splits {
		if strings.HasPrefix(s.Name(), ".") || !isFolder(filepath.Join(dir, "leftImg8bit", s.Name())) {
			continue
		}
		set, err := cityscapes.Scan(dir, s.Name(), cityscapes.Options{})
		if err != nil {
			return nil, err
		}
		for i, p := range set.Pairs {
			t.maps[p.Name] = place{set, i}
		}
	}
	return t, nil
}

// coding is that of the label maps that predictions are written in. CityScapes' label
// ids beyond the classes count nothing, as in its evaluation.
func coding(cfg *config.Config, classes *train.LabelClasses) labelmap.Coding {
	c := labelmap.Coding{Name: "values of the checkpoint's classes"}
	other := int16(-1)
	if cfg.Data.Format == "cityscapes" {
		other = labelmap.Ignore
	}
	for v := range c.Train {
		c.Train[v] = other
	}
	if cfg.Data.Format != "cityscapes" {
		c.Train[cfg.Data.Segmentation.Ignore] = labelmap.Ignore
	}
	c.Train[labelmap.Ignore] = labelmap.Ignore
	for id, v := range classes.Outputs {
		c.Train[v], c.Output[id] = int16(id), v
	}
	return c
}

// match looks whether every image has a label map.
func (t *truth) match(paths []string) error {
	missing, first := 0, ""
	for _, p := range paths {
		var ok bool
		if t.maps != nil {
			_, ok = t.maps[stem(p)]
		} else {
			_, err := os.Stat(t.file(p))
			ok = err == nil
		}
		if !ok {
			if missing++; first == "" {
				first = p
			}
		}
	}
	if missing == 0 {
		return nil
	}
	where := "holds no " + filepath.Base(t.file(first))
	if t.maps != nil {
		where = "has no label map for an image of that name"
	}
	return fmt.Errorf("%s: --gt %s %s (%d of %d images have none)", first, t.dir, where, missing, len(paths))
}

func (t *truth) file(image string) string { return filepath.Join(t.dir, stem(image)+".png") }

// labels returns the training ids of an image of w x h pixels, valid until the next
// call.
func (t *truth) labels(image string, w, h int) ([]uint8, error) {
	at, ok := t.maps[stem(image)]
	if !ok {
		one := t.coded
		one.Pairs = []labelmap.Pair{{Name: stem(image), Image: image, Label: t.file(image), Width: w, Height: h}}
		at = place{&one, 0}
	}
	v, err := at.set.Read(at.i, t.buf)
	if err != nil {
		return nil, err
	}
	t.buf = v
	if p := at.set.Pairs[at.i]; p.Width != w || p.Height != h {
		return nil, fmt.Errorf("%s is %dx%d pixels, but its label map %s is of %dx%d", image, w, h, p.Label, p.Width, p.Height)
	}
	return v, nil
}
