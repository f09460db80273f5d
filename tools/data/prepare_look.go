package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"manvision/data"
	"manvision/data/cifar"
	"manvision/data/cityscapes"
	"manvision/internal/cli"
	"manvision/internal/finding"
)

// preparedPart is what is there of a part.
type preparedPart struct {
	Name      string            `json:"name"`
	Images    int               `json:"images"`     // files, or images of CIFAR's files
	Labelled  int               `json:"with_label"` // that a label file or an annotation file knows
	Published int               `json:"published"`
	State     string            `json:"state"`
	Findings  []finding.Finding `json:"findings"` // errors only
}

// The states of a part.
const (
	whole    = "complete"
	fewer    = "fewer than published"
	faulty   = "faulty"
	absent   = "not there"
	noImages = "no images"
	noLabels = "no labels"
)

// look looks at the layout of what is in the folder.
func (o *prepareOptions) look(ctx context.Context, p *preparation) error {
	if st, err := os.Stat(o.dir); err != nil || !st.IsDir() {
		return usagef("%s: no such folder; name archives to unpack with --archive", o.dir)
	}
	trainable, evaluable := false, false
	for _, pub := range o.set.parts {
		step, done := cli.NewBar(o.stderr, -1, "looking at "+pub.name)
		part := &preparedPart{Name: pub.name, Published: pub.images, Findings: []finding.Finding{}}
		var err error
		switch o.set.name {
		case "coco":
			err = o.lookCOCO(ctx, part, step)
		case "cityscapes":
			err = o.lookCity(part, step)
		default:
			err = o.lookCIFAR(part, step)
		}
		done()
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		if err != nil {
			part.Findings = append(part.Findings, finding.Finding{Severity: finding.Error, Kind: "part that cannot be read", Count: 1, Examples: []string{err.Error()}})
		}
		part.Findings = slices.DeleteFunc(part.Findings, func(f finding.Finding) bool { return f.Severity != finding.Error })
		errs := finding.Count(part.Findings, finding.Error)
		var from []string
		switch {
		case part.State == absent:
			from = pub.from
		case part.State == noImages:
			from = pub.from[:1]
		case part.State == noLabels:
			from = pub.from[1:]
		case errs > 0:
			part.State = faulty
		case min(part.Images, part.Labelled) < pub.images:
			part.State = fewer
		default:
			part.State = whole
		}
		for _, a := range from {
			if !slices.Contains(p.Missing, a) {
				p.Missing = append(p.Missing, a)
			}
		}
		usable := len(from) == 0 && errs == 0
		trainable = trainable || usable && pub.use == forTraining
		evaluable = evaluable || usable && pub.use == forEvaluation
		p.Errors += errs
		p.Parts = append(p.Parts, part)
	}
	if p.Missing == nil {
		p.Missing = []string{}
	}
	p.Next = o.next(trainable, evaluable)
	return nil
}

// next are the commands to go on with.
func (o *prepareOptions) next(trainable, evaluable bool) []string {
	dir := cli.Quote([]string{o.dir})
	next := []string{}
	if trainable || evaluable {
		next = append(next, "bin/data check "+dir)
	}
	if trainable && evaluable {
		next = append(next, fmt.Sprintf(o.set.train, dir))
	} else if evaluable && o.set.eval != "" {
		next = append(next, fmt.Sprintf(o.set.eval, dir))
	}
	return next
}

// filesIn counts the files of a folder whose names end in suffix, those of its folders
// where deep is set; -1 where there is no such folder.
func filesIn(dir, suffix string, deep bool) int {
	pattern := filepath.Join(escapeGlob(dir), "*"+suffix)
	if deep {
		pattern = filepath.Join(escapeGlob(dir), "*", "*"+suffix)
	}
	if st, err := os.Stat(dir); err != nil || !st.IsDir() {
		return -1
	}
	// The pattern is always a good one.
	files, _ := filepath.Glob(pattern)
	return len(files)
}

// halves sets the state of a part of which images or labels are not there at all.
func (p *preparedPart) halves(images, labels bool) (both bool) {
	switch {
	case !images && !labels:
		p.State = absent
	case !images:
		p.State = noImages
	case !labels:
		p.State = noLabels
	}
	return images && labels
}

func (o *prepareOptions) lookCOCO(ctx context.Context, p *preparedPart, step func()) error {
	images, annotations := filepath.Join(o.dir, p.Name), filepath.Join(o.dir, "annotations", "instances_"+p.Name+".json")
	n := filesIn(images, ".jpg", false)
	p.Images = max(n, 0)
	_, err := os.Stat(annotations)
	if !p.halves(n > 0, err == nil) {
		return nil
	}
	r, err := data.CheckDetection(ctx, annotations, images, data.CheckOptions{HeadersOnly: true, Progress: step})
	if err != nil {
		return err
	}
	p.Labelled, p.Findings = r.Images, r.Findings
	return nil
}

func (o *prepareOptions) lookCity(p *preparedPart, step func()) error {
	n := filesIn(filepath.Join(o.dir, "leftImg8bit", p.Name), "_leftImg8bit.png", true)
	labels := filesIn(filepath.Join(o.dir, "gtFine", p.Name), "_gtFine_*", true)
	p.Images = max(n, 0)
	if !p.halves(n > 0, labels > 0) {
		return nil
	}
	// Pairs the files and compares their sizes; the pixels of the test part's labels,
	// which mean nothing, are not looked at.
	set, err := cityscapes.Scan(o.dir, p.Name, cityscapes.Options{})
	if err != nil {
		return err
	}
	step()
	p.Labelled = len(set.Pairs)
	for _, bad := range set.Problems {
		i := slices.IndexFunc(p.Findings, func(f finding.Finding) bool { return f.Kind == string(bad.Kind) })
		if i < 0 {
			i = len(p.Findings)
			p.Findings = append(p.Findings, finding.Finding{Severity: finding.Error, Kind: string(bad.Kind)})
		}
		f := &p.Findings[i]
		if f.Count++; len(f.Examples) < 5 {
			f.Examples = append(f.Examples, bad.Error())
		}
	}
	return nil
}

func (o *prepareOptions) lookCIFAR(p *preparedPart, step func()) error {
	splits, err := cifar.Splits(o.dir)
	if err != nil {
		return err
	}
	if !slices.Contains(splits, p.Name) {
		p.State = absent
		return nil
	}
	set, err := cifar.Open(o.dir, p.Name, cifar.Options{})
	if err != nil {
		return err
	}
	step()
	p.Images, p.Labelled = set.Len(), set.Len()
	if want := map[string]int{"cifar10": 10, "cifar100": 100}[o.set.name]; len(set.Names) != want {
		return fmt.Errorf("%s holds %d classes (%s, ...), %s has %d", set.Source, len(set.Names), strings.Join(set.Names[:min(3, len(set.Names))], ", "), o.set.title, want)
	}
	return nil
}
