package train

import (
	"encoding/json"
	"fmt"

	"manvision/data"
	"manvision/data/labelmap"
	"manvision/report"
)

// LabelClasses are the Classes of a segmentation network.
type LabelClasses struct {
	List []labelmap.Class // by training id
	// Outputs are the values that prediction files carry, by training id; CityScapes'
	// label ids for instance.
	Outputs []uint8
}

// labelClass is a class in a checkpoint.
type labelClass struct {
	Label  int      `json:"label"`
	Output uint8    `json:"output"`
	Name   string   `json:"name"`
	Color  [3]uint8 `json:"color"`
}

// Len implements Classes.
func (c *LabelClasses) Len() int { return len(c.List) }

// Name implements Classes.
func (c *LabelClasses) Name(label int) string { return c.List[label].Name }

// MarshalJSON implements Classes.
func (c *LabelClasses) MarshalJSON() ([]byte, error) {
	out := make([]labelClass, len(c.List))
	for i, k := range c.List {
		out[i] = labelClass{Label: i, Output: c.Outputs[i], Name: k.Name, Color: k.Color}
	}
	return json.Marshal(out)
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (c *LabelClasses) UnmarshalJSON(b []byte) error {
	var in []labelClass
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	if len(in) < 2 || len(in) > labelmap.MaxClasses {
		return fmt.Errorf("%d classes; 2 to %d are possible", len(in), labelmap.MaxClasses)
	}
	*c = LabelClasses{}
	for i, k := range in {
		if k.Label != i {
			return fmt.Errorf("class %q has label %d in place %d", k.Name, k.Label, i)
		}
		c.List = append(c.List, labelmap.Class{Name: k.Name, Color: k.Color})
		c.Outputs = append(c.Outputs, k.Output)
	}
	return nil
}

// Diff implements Classes. Colours and values in files do not count.
func (c *LabelClasses) Diff(o Classes) string {
	other, ok := o.(*LabelClasses)
	if !ok {
		return "they are of another task"
	}
	return diffNames(c, other)
}

// palette gives classes that a recipe names their colours.
func palette(names []string) []labelmap.Class {
	var out []labelmap.Class
	for i, name := range names {
		c := report.Colour(i)
		out = append(out, labelmap.Class{Name: name, Color: [3]uint8{c.R, c.G, c.B}})
	}
	return out
}

// LabelSplit is a Split of images with label maps.
type LabelSplit struct{ *data.Segmentation }

// Classes implements Split.
func (s *LabelSplit) Classes() Classes {
	c := &LabelClasses{List: s.Set().Classes}
	for i := range c.List {
		c.Outputs = append(c.Outputs, s.Set().Output(uint8(i)))
	}
	return c
}

// Objects implements Split: every pixel is annotated.
func (s *LabelSplit) Objects() int { return 0 }

// Notes implements Split: nothing is mended or left out.
func (s *LabelSplit) Notes() string { return "" }
