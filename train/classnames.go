package train

import (
	"encoding/json"
	"fmt"
	"strings"

	"manvision/data"
)

// ClassNames are the Classes of a classifier.
type ClassNames struct{ Names []string }

// maxClassNames bounds the classes of a checkpoint, ImageNet-22k's with room.
const maxClassNames = 1 << 16

// classLabel is a class in a checkpoint.
type classLabel struct {
	Label int    `json:"label"`
	Name  string `json:"name"`
}

// Len implements Classes.
func (c *ClassNames) Len() int { return len(c.Names) }

// Name implements Classes.
func (c *ClassNames) Name(label int) string { return c.Names[label] }

// MarshalJSON implements Classes.
func (c *ClassNames) MarshalJSON() ([]byte, error) {
	out := make([]classLabel, len(c.Names))
	for i, name := range c.Names {
		out[i] = classLabel{i, name}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *ClassNames) UnmarshalJSON(b []byte) error {
	var in []classLabel
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if len(in) < 2 || len(in) > maxClassNames {
		return fmt.Errorf("%d classes; 2 to %d are possible", len(in), maxClassNames)
	}
	c.Names = nil
	for i, k := range in {
		if k.Label != i {
			return fmt.Errorf("class %q has label %d in place %d", k.Name, k.Label, i)
		}
		c.Names = append(c.Names, k.Name)
	}
	return nil
}

// Diff implements Classes.
func (c *ClassNames) Diff(o Classes) string {
	other, ok := o.(*ClassNames)
	if !ok {
		return "they are of another task"
	}
	return diffNames(c, other)
}

// diffNames says where the names of classes differ, label by label, four at most.
func diffNames(a, b Classes) string {
	var diffs []string
	if a.Len() != b.Len() {
		diffs = append(diffs, fmt.Sprintf("%d classes against %d", a.Len(), b.Len()))
	}
	name := func(c Classes, i int) string {
		if i >= c.Len() {
			return "none"
		}
		return fmt.Sprintf("%q", c.Name(i))
	}
	for i := range max(a.Len(), b.Len()) {
		if x, y := name(a, i), name(b, i); x != y {
			if len(diffs) == 4 {
				diffs = append(diffs, "...")
				break
			}
			diffs = append(diffs, fmt.Sprintf("label %d: %s against %s", i, x, y))
		}
	}
	return strings.Join(diffs, "; ")
}

// ClassSplit is a Split of images with one class each.
type ClassSplit struct{ *data.Classification }

// Classes implements Split.
func (s *ClassSplit) Classes() Classes { return &ClassNames{s.ClassNames()} }

// Objects implements Split: an image has a class and no objects.
func (s *ClassSplit) Objects() int { return 0 }

// Notes implements Split.
func (s *ClassSplit) Notes() string {
	if n := len(s.Set().Skipped); n > 0 {
		return fmt.Sprintf("%s: %d files are no images and were left out, the first: %s", s.Set().Source, n, s.Set().Skipped[0])
	}
	return ""
}
