// Package shapes draws a procedural data set for detection, in COCO form, and for
// segmentation, as label maps: six classes of shapes with plain, graded, striped
// and patchy fills on noisy backgrounds, small to large, overlapping and cut off
// by the image's edge. It is small enough to learn in minutes and needs no
// download.
package shapes

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"image/jpeg"
	"image/png"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"

	"manvision/internal/atomicfile"
)

// Options describe a data set. Equal options give equal bytes.
type Options struct {
	Train, Val    int // images in either part; Val may be 0
	Width, Height int // pixels, 32 to 4096; 0: 128
	Seed          uint64
	// PNG stores the images without loss; the default is JPEG at quality 92.
	PNG bool
	// Labels writes label maps, too: see LabelDir.
	Labels bool
	// Overwrite replaces a data set that is already in the folder.
	Overwrite bool
	// Progress, if not nil, is called after each image, from several goroutines.
	Progress func()
}

// The sides that images can have, pixels.
const minSide, maxSide = 32, 4096

// Layout of the folder that Write makes, and of any part name in it.
const (
	TrainPart = "train"
	ValPart   = "val"
)

// InstancesFile is the annotation file of a part in a data set's folder.
func InstancesFile(dir, part string) string {
	return filepath.Join(dir, "annotations", "instances_"+part+".json")
}

// ImageDir is the image folder of a part.
func ImageDir(dir, part string) string { return filepath.Join(dir, part) }

// Counts is what Write made.
type Counts struct {
	Images, Objects, Small, Medium, Large int // by COCO's area ranges, 32^2 and 96^2 pixels
	PerClass                              []int
}

// Write draws the data set into dir: train/, val/, annotations/ and, if asked
// for, labels/. Each annotation file is written last and atomically, so one that
// exists is complete. Boxes and polygons enclose the whole shape inside the image, hidden
// parts included; at least 70 % of each shape is visible.
func Write(ctx context.Context, dir string, o Options) (train, val Counts, err error) {
	if o.Width == 0 {
		o.Width = 128
	}
	if o.Height == 0 {
		o.Height = 128
	}
	switch {
	case o.Train < 1 || o.Val < 0:
		return train, val, fmt.Errorf("shapes: %d training and %d validation images; need at least 1 and 0", o.Train, o.Val)
	case min(o.Width, o.Height) < minSide || max(o.Width, o.Height) > maxSide:
		return train, val, fmt.Errorf("shapes: image size %dx%d must be within %d and %d", o.Height, o.Width, minSide, maxSide)
	}
	if !o.Overwrite {
		for _, part := range []string{TrainPart, ValPart} {
			if _, err := os.Stat(InstancesFile(dir, part)); err == nil {
				hint := ""
				if o.Labels && !HasLabels(dir, part) {
					hint = " (label maps can be added to it)"
				}
				return train, val, fmt.Errorf("shapes: %s exists; remove it or overwrite it%s", InstancesFile(dir, part), hint)
			}
		}
	}
	if train, err = writePart(ctx, dir, TrainPart, 1, o.Train, o); err != nil {
		return train, val, err
	}
	if o.Val > 0 {
		val, err = writePart(ctx, dir, ValPart, 2, o.Val, o)
	}
	return train, val, err
}

type instances struct {
	Info struct {
		Description string `json:"description"`
		Seed        uint64 `json:"seed"`
	} `json:"info"`
	Images      []imageRecord      `json:"images"`
	Annotations []annotationRecord `json:"annotations"`
	Categories  []categoryRecord   `json:"categories"`
}

type imageRecord struct {
	ID       int    `json:"id"`
	FileName string `json:"file_name"`
	Width    int    `json:"width"`
	Height   int    `json:"height"`
}

type annotationRecord struct {
	ID           int         `json:"id"`
	ImageID      int         `json:"image_id"`
	CategoryID   int         `json:"category_id"`
	BBox         [4]number   `json:"bbox"`
	Area         number      `json:"area"`
	IsCrowd      int         `json:"iscrowd"`
	Segmentation [1][]number `json:"segmentation"`
}

type categoryRecord struct {
	ID            int    `json:"id"`
	Name          string `json:"name"`
	Supercategory string `json:"supercategory"`
}

// number is written with two decimals, as in COCO's own files.
type number float64

func (n number) MarshalJSON() ([]byte, error) {
	return strconv.AppendFloat(nil, cents(float64(n)), 'f', -1, 64), nil
}

func cents(v float64) float64 { return math.Round(v*100) / 100 }

func writePart(ctx context.Context, dir, part string, stream uint64, n int, o Options) (Counts, error) {
	c := Counts{PerClass: make([]int, len(Classes))}
	folder := ImageDir(dir, part)
	for _, d := range []string{folder, filepath.Dir(InstancesFile(dir, part))} {
		if err := os.MkdirAll(d, 0o777); err != nil {
			return c, fmt.Errorf("shapes: %w", err)
		}
	}
	if err := discard(dir, part); err != nil {
		return c, fmt.Errorf("shapes: %w", err)
	}
	if o.Labels {
		if err := os.MkdirAll(LabelDir(dir, part), 0o777); err != nil {
			return c, fmt.Errorf("shapes: %w", err)
		}
	}
	objects, err := drawAll(ctx, n, o.Width, o.Height, o.Seed, stream, func(i int, s *scene) error {
		if o.Labels {
			if err := s.writeLabels(labelFile(dir, part, i)); err != nil {
				return err
			}
		}
		if err := writeImage(filepath.Join(folder, imageName(i, o.PNG)), s, o.PNG); err != nil {
			return err
		}
		if o.Progress != nil {
			o.Progress()
		}
		return nil
	})
	if err != nil {
		return c, err
	}
	for _, list := range objects {
		for _, ob := range list {
			c.add(ob)
		}
	}
	c.Images = n
	if o.Labels {
		if err := writeLabelInfo(dir, part, n); err != nil {
			return c, err
		}
	}
	return c, writeJSON(InstancesFile(dir, part), annotate(part, o, objects))
}

func imageName(i int, png bool) string {
	if png {
		return fmt.Sprintf("%06d.png", i+1)
	}
	return fmt.Sprintf("%06d.jpg", i+1)
}

// drawAll draws the images of a part in parallel, hands each to finish and
// returns their objects in order: image i depends on seed, stream and i only.
func drawAll(ctx context.Context, n, w, h int, seed, stream uint64, finish func(i int, s *scene) error) ([][]object, error) {
	objects := make([][]object, n)
	work := make(chan int)
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	for k := 0; k < min(n, runtime.GOMAXPROCS(0)); k++ {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range work {
				s := drawScene(w, h, seed, stream, uint64(i))
				objects[i] = s.objects
				if err := finish(i, s); err != nil {
					cancel(err)
					return
				}
			}
		}()
	}
feed:
	for i := 0; i < n; i++ {
		select {
		case work <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(work)
	wg.Wait()
	if ctx.Err() != nil {
		return nil, fmt.Errorf("shapes: %w", context.Cause(ctx))
	}
	return objects, nil
}

func description(part string) string { return "ManVision shapes, " + part }

// annotate makes the annotation file's contents.
func annotate(part string, o Options, objects [][]object) instances {
	var set instances
	set.Info.Description = description(part)
	set.Info.Seed = o.Seed
	for k, name := range Classes {
		set.Categories = append(set.Categories, categoryRecord{k + 1, name, "shape"})
	}
	for i, list := range objects {
		set.Images = append(set.Images, imageRecord{i + 1, imageName(i, o.PNG), o.Width, o.Height})
		for _, ob := range list {
			a := record(ob)
			a.ID, a.ImageID = len(set.Annotations)+1, i+1
			set.Annotations = append(set.Annotations, a)
		}
	}
	if set.Annotations == nil {
		set.Annotations = []annotationRecord{}
	}
	return set
}

// record rounds the polygon first and measures it then, so that box, area and
// polygon of an annotation agree.
func record(o object) annotationRecord {
	p := make([]point, len(o.polygon))
	a := annotationRecord{CategoryID: o.class + 1}
	for i, q := range o.polygon {
		p[i] = point{cents(q.x), cents(q.y)}
		a.Segmentation[0] = append(a.Segmentation[0], number(p[i].x), number(p[i].y))
	}
	for i, v := range bounds(p) {
		a.BBox[i] = number(v)
	}
	a.Area = number(area(p))
	return a
}

func (c *Counts) add(o object) {
	c.Objects++
	c.PerClass[o.class]++
	switch {
	case o.area < 32*32:
		c.Small++
	case o.area < 96*96:
		c.Medium++
	default:
		c.Large++
	}
}

func writeImage(path string, s *scene, lossless bool) error {
	f, err := os.Create(path)
	if err != nil {
		return err
	}
	if lossless {
		err = (&png.Encoder{CompressionLevel: png.BestSpeed}).Encode(f, s.image())
	} else {
		err = jpeg.Encode(f, s.image(), &jpeg.Options{Quality: 92})
	}
	return errors.Join(err, f.Close())
}

func writeJSON(path string, v any) error {
	err := atomicfile.Save(path, func(w io.Writer) error { return json.NewEncoder(w).Encode(v) })
	if err != nil {
		return fmt.Errorf("shapes: %w", err)
	}
	return nil
}
