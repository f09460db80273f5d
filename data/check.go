package data

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"manvision/data/augment"
	"manvision/data/coco"
	"manvision/data/labelmap"
	"manvision/internal/finding"
)

// Findings of all kinds of data sets have one form.
type (
	// Severity orders findings.
	Severity = labelmap.Severity
	// Finding is one kind of thing found in a data set.
	Finding = labelmap.Finding
)

// The severities are those of package labelmap.
const (
	SeverityError   = labelmap.SeverityError
	SeverityWarning = labelmap.SeverityWarning
	SeverityNote    = labelmap.SeverityNote
)

// CheckReport is what CheckDetection found.
type CheckReport struct {
	Annotations string `json:"annotations"` // file
	ImageDir    string `json:"image_dir"`

	Images      int `json:"images"`
	Objects     int `json:"objects"` // usable boxes, crowds aside
	Crowds      int `json:"crowds"`
	Small       int `json:"small"`  // objects below 32x32 pixels of area
	Medium      int `json:"medium"` // below 96x96
	Large       int `json:"large"`
	WithoutBox  int `json:"images_without_box"`
	MaxPerImage int `json:"max_objects_per_image"`

	Classes  []ClassCount `json:"classes"`
	Findings []Finding    `json:"findings"`
}

// ClassCount is one line of a class table, in label order.
type ClassCount struct {
	Label      int    `json:"label"`
	CategoryID int    `json:"category_id"`
	Name       string `json:"name"`
	Objects    int    `json:"objects"`
	Images     int    `json:"images"`
}

// Errors counts findings of severity SeverityError.
func (r *CheckReport) Errors() int { return finding.Count(r.Findings, finding.Error) }

// CheckOptions set up CheckDetection and CheckClassification.
type CheckOptions struct {
	// HeadersOnly reads image files without decoding them: faster, but damage
	// inside compressed data stays unseen, and so do wrong sizes of formats
	// other than JPEG and PNG.
	HeadersOnly bool
	Examples    int // kept for each kind of finding; 0: 5
	Workers     int // 0: one a core
	// Progress, if not nil, is called after each image, from several goroutines.
	Progress func()
}

// CheckDetection looks at every annotation and every image of a COCO instances
// file and its image folder and lists everything it finds at once. The error is
// for what stops the look itself: a file that is no instances file, a missing
// folder, a cancelled context.
func CheckDetection(ctx context.Context, annotations, dir string, o CheckOptions) (*CheckReport, error) {
	defaults(&o.Examples, 5)
	defaults(&o.Workers, runtime.GOMAXPROCS(0))
	ds, err := coco.Read(annotations, coco.Options{SkipBadBoxes: true, SkipUnknown: true})
	if err != nil {
		return nil, err
	}
	src, err := NewCocoDetection(ds, dir, DetectionOptions{})
	if err != nil {
		return nil, err
	}
	c := &checker{o: o, found: map[string]*Finding{}}
	c.report = &CheckReport{Annotations: annotations, ImageDir: dir, Images: len(ds.Images)}
	c.annotations(ds)
	if err := c.images(ctx, src, nil); err != nil {
		return nil, err
	}
	c.folder(ds, dir)
	c.report.Findings = c.findings()
	return c.report, nil
}

// findings are what was found, errors first.
func (c *checker) findings() []Finding {
	var out []Finding
	for _, f := range c.found {
		f.Fix = fixes[f.Kind]
		out = append(out, *f)
	}
	finding.Sort(out)
	return out
}

type checker struct {
	o      CheckOptions
	report *CheckReport
	found  map[string]*Finding
}

func (c *checker) add(s Severity, kind, example string) {
	f := c.found[kind]
	if f == nil {
		f = &Finding{Severity: s, Kind: kind}
		c.found[kind] = f
	}
	f.Count++
	if len(f.Examples) < c.o.Examples {
		f.Examples = append(f.Examples, example)
	}
}

// annotations takes over what the reader found and counts objects.
func (c *checker) annotations(ds *coco.Dataset) {
	for _, f := range ds.Report.Findings {
		s := SeverityWarning
		switch {
		case f.Action == "skipped":
			s = SeverityError
		case f.Action == "clipped" && strings.Contains(f.Reason, "up to a pixel"):
			s = SeverityNote
		}
		c.found[f.Reason] = &Finding{Severity: s, Kind: f.Reason, Count: f.Count, Examples: f.Examples[:min(len(f.Examples), c.o.Examples)]}
	}
	r := c.report
	for label := 0; label < ds.IDs.Len(); label++ {
		r.Classes = append(r.Classes, ClassCount{Label: label, CategoryID: ds.IDs.CategoryID(label), Name: ds.IDs.Name(label)})
	}
	if n := ds.IDs.Len(); n > 0 {
		least, most := r.Classes[0].CategoryID, r.Classes[0].CategoryID
		for _, k := range r.Classes {
			least, most = min(least, k.CategoryID), max(most, k.CategoryID)
		}
		if most-least+1 != n {
			c.add(SeverityNote, "gaps in the category ids", fmt.Sprintf("%d categories have ids from %d to %d; they become labels 0 to %d", n, least, most, n-1))
		}
	}
	names := map[string]int64{}
	last := make([]int, len(r.Classes)) // 1 + index of the last image with the class
	for i, im := range ds.Images {
		if other, ok := names[im.FileName]; ok {
			c.add(SeverityError, "file listed for two images", fmt.Sprintf("%s: images %d and %d", im.FileName, other, im.ID))
		}
		names[im.FileName] = im.ID
		objects := 0
		seen := map[[5]float64]int64{}
		for _, a := range ds.Annotations(i) {
			if a.Crowd {
				r.Crowds++
				continue
			}
			objects++
			label, _ := ds.IDs.Label(a.CategoryID)
			r.Classes[label].Objects++
			if last[label] != i+1 {
				last[label] = i + 1
				r.Classes[label].Images++
			}
			area := a.Area
			if area <= 0 {
				area = a.Box[2] * a.Box[3]
				c.add(SeverityWarning, "area not positive", fmt.Sprintf("annotation %d of image %d: area %v", a.ID, a.ImageID, a.Area))
			}
			switch {
			case area < 32*32:
				r.Small++
			case area < 96*96:
				r.Medium++
			default:
				r.Large++
			}
			if min(a.Box[2], a.Box[3]) < 1 {
				c.add(SeverityNote, "box thinner than a pixel", fmt.Sprintf("annotation %d of image %d: box %v", a.ID, a.ImageID, a.Box))
			}
			key := [5]float64{a.Box[0], a.Box[1], a.Box[2], a.Box[3], float64(a.CategoryID)}
			if other, ok := seen[key]; ok {
				c.add(SeverityWarning, "same box and class twice", fmt.Sprintf("annotations %d and %d of image %d", other, a.ID, a.ImageID))
			}
			seen[key] = a.ID
		}
		r.Objects += objects
		r.MaxPerImage = max(r.MaxPerImage, objects)
		if objects == 0 {
			r.WithoutBox++
			c.add(SeverityNote, "image without boxes to learn from", fmt.Sprintf("image %d (%s)", im.ID, im.FileName))
		}
	}
	for _, k := range r.Classes {
		if k.Objects == 0 {
			c.add(SeverityWarning, "category without objects", fmt.Sprintf("%d %q", k.CategoryID, k.Name))
		}
	}
}

// images opens every image file; findings come in the data set's order. seen, if
// not nil, is called for each image that can be read, from several goroutines; r
// has just read it.
func (c *checker) images(ctx context.Context, src Source, seen func(i int, r *augment.Renderer)) error {
	errs := make([]error, src.Len())
	work := make(chan int)
	var wg sync.WaitGroup
	for k := 0; k < min(c.o.Workers, src.Len()); k++ {
		r, err := augment.NewRenderer(augment.Config{})
		if err != nil {
			return err
		}
		wg.Add(1)
		go func() {
			defer wg.Done()
			defer r.Close()
			for i := range work {
				it := src.Item(i)
				w, h := max(0, it.Width), max(0, it.Height) // 0: nobody knows
				switch {
				case it.Pixels != nil:
				case c.o.HeadersOnly:
					errs[i] = r.Inspect(it.Path, w, h)
				default:
					_, _, errs[i] = r.Open(it.Path, w, h)
				}
				if errs[i] == nil && seen != nil {
					seen(i, r)
				}
				if c.o.Progress != nil {
					c.o.Progress()
				}
			}
		}()
	}
	var stopped error
feed:
	for i := range errs {
		select {
		case work <- i:
		case <-ctx.Done():
			stopped = context.Cause(ctx)
			break feed
		}
	}
	close(work)
	wg.Wait()
	for i, err := range errs {
		if err == nil {
			continue
		}
		kind := "broken image"
		var size *augment.SizeError
		switch {
		case errors.Is(err, fs.ErrNotExist):
			kind = "missing image"
		case errors.As(err, &size):
			kind = "image size differs from annotations"
		}
		c.add(SeverityError, kind, fmt.Sprintf("image %d: %v", src.Item(i).ImageID, err))
	}
	return stopped
}

// folder finds image files that no annotation file entry names.
func (c *checker) folder(ds *coco.Dataset, dir string) {
	listed := make(map[string]bool, len(ds.Images))
	for _, im := range ds.Images {
		listed[filepath.Clean(im.FileName)] = true
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		c.add(SeverityWarning, "image folder cannot be listed", err.Error())
		return
	}
	for _, e := range entries {
		switch strings.ToLower(filepath.Ext(e.Name())) {
		case ".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff":
			if !e.IsDir() && !listed[e.Name()] {
				c.add(SeverityNote, "file in the folder that no image entry names", e.Name())
			}
		}
	}
}
