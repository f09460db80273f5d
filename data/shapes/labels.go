package shapes

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"manvision/data/labelmap"
)

// LabelDir is the folder of a part's label maps: for each image a PNG of the same
// name, whose grey values are positions in LabelClasses. A pixel belongs to the
// topmost shape that covers more than half of it, otherwise to the background.
func LabelDir(dir, part string) string { return filepath.Join(dir, "labels", part) }

// LabelClasses are the classes of the label maps: 0 the background, k+1
// Classes[k].
func LabelClasses() []labelmap.Class {
	list := []labelmap.Class{{Name: "background"}}
	colours := [][3]uint8{{230, 25, 75}, {60, 180, 75}, {255, 225, 25}, {0, 130, 200}, {245, 130, 48}, {145, 30, 180}}
	for k, name := range Classes {
		list = append(list, labelmap.Class{Name: name, Color: colours[k]})
	}
	return list
}

func labelFile(dir, part string, i int) string {
	return filepath.Join(LabelDir(dir, part), fmt.Sprintf("%06d.png", i+1))
}

// labelInfoFile is written last: where it is, the part's label maps are complete.
func labelInfoFile(dir, part string) string {
	return filepath.Join(dir, "annotations", "labels_"+part+".json")
}

type labelInfo struct {
	Images  int              `json:"images"`
	Classes []labelmap.Class `json:"classes"` // by grey value
}

// HasLabels reports whether a part has its label maps, all of them.
func HasLabels(dir, part string) bool {
	_, err := os.Stat(labelInfoFile(dir, part))
	return err == nil
}

func writeLabelInfo(dir, part string, n int) error {
	return writeJSON(labelInfoFile(dir, part), labelInfo{Images: n, Classes: LabelClasses()})
}

// writeLabels writes the scene's label map.
func (s *scene) writeLabels(path string) error {
	v := make([]uint8, len(s.owner))
	for i, o := range s.owner {
		if o >= 0 {
			v[i] = uint8(s.objects[o].class + 1)
		}
	}
	return labelmap.WritePNG(path, v, s.w, s.h)
}

// Segmentation is a part as a set of images with label maps. A data set written
// without label maps gets them from AddLabels.
func Segmentation(dir, part string) (*labelmap.Set, error) {
	if !HasLabels(dir, part) {
		return nil, fmt.Errorf("shapes: %s has no label maps of part %q; write the data set with label maps or add them", dir, part)
	}
	return labelmap.Folders(ImageDir(dir, part), LabelDir(dir, part), LabelClasses(), -1)
}

// AddLabels gives the parts of a data set that Write made without label maps
// theirs, drawn anew from its seed. It refuses a data set whose annotation files
// are not, to the byte, what it would draw. progress, if not nil, is called after
// each label map, from several goroutines.
func AddLabels(ctx context.Context, dir string, progress func()) error {
	found := false
	for k, part := range []string{TrainPart, ValPart} {
		path := InstancesFile(dir, part)
		raw, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("shapes: %w", err)
		}
		found = true
		if HasLabels(dir, part) {
			continue
		}
		if err := addLabels(ctx, dir, part, uint64(k+1), raw, progress); err != nil {
			return err
		}
	}
	if !found {
		return fmt.Errorf("shapes: %s holds no data set: there is no %s", dir, InstancesFile(dir, TrainPart))
	}
	return nil
}

func addLabels(ctx context.Context, dir, part string, stream uint64, raw []byte, progress func()) error {
	other := fmt.Errorf("shapes: %s is not as this version draws it; write the data set anew with label maps", InstancesFile(dir, part))
	var old struct {
		Info   struct{ Seed uint64 }
		Images []struct {
			FileName      string `json:"file_name"`
			Width, Height int
		}
	}
	if json.Unmarshal(raw, &old) != nil || len(old.Images) == 0 {
		return other
	}
	first := old.Images[0]
	if min(first.Width, first.Height) < minSide || max(first.Width, first.Height) > maxSide {
		return other
	}
	o := Options{Width: first.Width, Height: first.Height, Seed: old.Info.Seed, PNG: strings.HasSuffix(first.FileName, ".png")}
	if err := os.MkdirAll(LabelDir(dir, part), 0o777); err != nil {
		return fmt.Errorf("shapes: %w", err)
	}
	objects, err := drawAll(ctx, len(old.Images), o.Width, o.Height, o.Seed, stream, func(i int, s *scene) error {
		if err := s.writeLabels(labelFile(dir, part, i)); err != nil {
			return err
		}
		if progress != nil {
			progress()
		}
		return nil
	})
	if err != nil {
		return err
	}
	var now bytes.Buffer
	if err := json.NewEncoder(&now).Encode(annotate(part, o, objects)); err != nil {
		return fmt.Errorf("shapes: %w", err)
	}
	if !bytes.Equal(now.Bytes(), raw) {
		return other
	}
	return writeLabelInfo(dir, part, len(old.Images))
}

// discard removes an earlier data set's part from the folder before it is drawn
// anew, so that nothing of it is left among the new files. What Write did not
// make stays.
func discard(dir, part string) error {
	if err := os.Remove(labelInfoFile(dir, part)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	path := InstancesFile(dir, part)
	raw, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	var old instances
	if json.Unmarshal(raw, &old) != nil || old.Info.Description != description(part) {
		return nil
	}
	files := []string{path}
	for i, im := range old.Images {
		if im.FileName == imageName(i, false) || im.FileName == imageName(i, true) {
			files = append(files, filepath.Join(ImageDir(dir, part), im.FileName), labelFile(dir, part, i))
		}
	}
	for _, f := range files {
		if err := os.Remove(f); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}
