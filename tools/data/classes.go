package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"manvision/data"
	"manvision/data/augment"
	"manvision/data/cifar"
	"manvision/data/classes"
	"manvision/data/imagenet"
	"manvision/data/stl"
	"manvision/data/svhn"
	"manvision/report"
)

// classified lists the parts of a set of images with one class each; none where
// the folder or file holds no such set.
func (l *location) classified() ([]part, error) {
	there := func(name string) bool {
		_, err := os.Stat(filepath.Join(l.dir, name))
		return err == nil
	}
	var parts []part
	add := func(split string, open func() (*classes.Set, error)) {
		parts = append(parts, part{name: split, set: open})
	}
	for _, split := range []string{"train", "test", "extra"} {
		if there(split + "_32x32.mat") {
			add(split, func() (*classes.Set, error) { return svhn.Open(l.dir, split) })
		}
	}
	for _, split := range []string{"train", "test"} {
		if there(split+"_X.bin") || there("stl10_binary/"+split+"_X.bin") {
			add(split, func() (*classes.Set, error) { return stl.Open(l.dir, split) })
		}
	}
	if len(parts) > 0 {
		return parts, nil
	}
	st, err := os.Stat(l.dir)
	if err != nil {
		return nil, usageError{err}
	}
	if st.IsDir() || classes.IsArchive(l.dir) {
		splits, err := cifar.Splits(l.dir)
		if err != nil {
			return nil, usageError{err}
		}
		for _, split := range splits {
			add(split, func() (*classes.Set, error) { return cifar.Open(l.dir, split, cifar.Options{}) })
		}
	}
	if len(parts) > 0 || !st.IsDir() {
		return parts, nil
	}
	return l.classFolders()
}

// flatFolder is the part of ImageNet's layout whose classes --ground-truth gives.
func (l *location) flatFolder() ([]part, error) {
	if l.dir == "" || l.annotations != "" || l.images != "" || l.labels != "" || len(l.names) > 0 {
		return nil, usagef("--ground-truth needs DIR, which holds train/CLASS/IMAGE and val/IMAGE, and neither --annotations, --images, --labels nor --names")
	}
	split := l.split
	if split == "" {
		split = "val"
	}
	return []part{{name: split, set: func() (*classes.Set, error) {
		return imagenet.Scan(l.dir, split, imagenet.Options{GroundTruth: l.truth, IDs: l.ids})
	}}}, nil
}

// classFolders lists the splits that hold class folders, or the folder itself where
// its folders hold images.
func (l *location) classFolders() ([]part, error) {
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return nil, usageError{err}
	}
	var splits []string
	direct := false
	for _, e := range entries {
		inner, err := os.ReadDir(filepath.Join(l.dir, e.Name()))
		if err != nil {
			continue // a file, or a folder that is no part
		}
		for _, i := range inner {
			if i.IsDir() {
				splits = append(splits, e.Name())
				break
			}
			direct = direct || classes.IsImage(i.Name())
		}
	}
	sort.Strings(splits)
	var parts []part
	for _, split := range splits {
		parts = append(parts, part{name: split, set: func() (*classes.Set, error) { return imagenet.Scan(l.dir, split, imagenet.Options{}) }})
	}
	if len(parts) == 0 && direct {
		parts = append(parts, part{name: filepath.Base(l.dir), set: func() (*classes.Set, error) {
			return classes.ScanFolders(l.dir, classes.FolderOptions{}), nil
		}})
	}
	return parts, nil
}

func checkClasses(ctx context.Context, o *checkOptions, p part, step func()) (checked, error) {
	set, err := p.set()
	var bad *classes.InputError
	if errors.As(err, &bad) && bad.Kind != classes.Missing && bad.Kind != classes.Unreadable {
		// A broken data set is what was looked for.
		set, err = &classes.Set{Source: bad.Path, Problems: []*classes.InputError{bad}}, nil
	}
	if err != nil {
		return checked{}, err
	}
	r, err := data.CheckClassification(ctx, set, data.CheckOptions{HeadersOnly: o.fast, Examples: o.examples, Progress: step})
	if err != nil {
		return checked{}, err
	}
	return checked{errors: r.Errors(), json: r, findings: r.Findings, print: func() error { return printClasses(o, p.name, r) }}, nil
}

func printClasses(o *checkOptions, name string, r *data.ClassReport) error {
	tty := report.IsTerminal(o.stdout)
	t := report.NewTable("part", "images", "classes", "fewest in a class", "most in a class", "other files")
	t.Row(name, r.Images, len(r.Classes), r.Least, r.Most, r.Skipped)
	if err := t.Write(o.stdout, tty); err != nil || !o.classes {
		return err
	}
	t = report.NewTable("class", "name", "folder", "images")
	for _, k := range r.Classes {
		folder := k.Folder
		if folder == "" {
			folder = "-"
		}
		t.Row(k.Class, k.Name, folder, k.Images)
	}
	return t.Write(o.stdout, tty)
}

// classTargets are images with one class each, which stands in their titles.
type classTargets struct{ *data.Classification }

func openClasses(p part, o *browseOptions) (targets, error) {
	set, err := p.set()
	if err == nil {
		if o.skipBad {
			for _, f := range set.Problems {
				fmt.Fprintln(o.stderr, "skipped:", f)
			}
			set.Problems = nil
		}
		err = set.Err()
	}
	if err != nil {
		return nil, usageError{err}
	}
	src, err := data.NewClassification(set)
	if err != nil {
		return nil, usageError{err}
	}
	return &classTargets{src}, nil
}

// fit prepares images in memory at their own size unless --short says otherwise, and
// files, whose sizes nobody knows, as squares.
func (t *classTargets) fit(o *browseOptions, c *augment.Config) {
	if t.Set().Pixels != nil {
		if !o.shortGiven {
			c.Resize = augment.Resize{}
		}
		return
	}
	if len(o.crop) == 0 && len(c.Resize.ShortSides) > 0 {
		short := c.Resize.ShortSides[0]
		c.Resize = augment.Resize{ShortSides: []int{short}, Truncate: true}
		c.Crop = augment.Crop{W: short, H: short, Center: true}
	}
}

func (t *classTargets) draw(_ *data.Batch, img image.Image, _ float64) (image.Image, error) {
	return img, nil
}

// legend is empty: the class is in each title.
func (t *classTargets) legend() []report.Swatch { return nil }

// title is a picture's class and where it is from.
func (t *classTargets) title(b *data.Batch) string {
	s := b.Samples[0]
	return fmt.Sprintf("%s  %s", t.ClassNames()[s.Class], s.File[strings.LastIndexByte(s.File, '/')+1:])
}
