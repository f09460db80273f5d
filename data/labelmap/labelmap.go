// Package labelmap reads and writes label maps, images whose grey value at each
// pixel names a class, and pairs them with the images they belong to.
//
// Training ids are the positions in a list of classes, from 0; [Ignore] marks
// pixels that neither the loss nor a score counts. Everything else, such as the
// 34 label ids of CityScapes, is a file's own coding and ends in this package:
// [Set.Read] returns training ids, [Set.Output] leads back to the file's coding.
package labelmap

import (
	"fmt"
	"slices"
	"strings"
)

// Ignore is the training id of pixels that count nothing.
const Ignore = 255

// MaxClasses is the largest number of classes: training ids lie below [Ignore].
const MaxClasses = 255

// Class is one class of a list; its training id is its position there.
type Class struct {
	Name  string   `json:"name"`
	Color [3]uint8 `json:"color"` // red, green, blue
}

// Pair is an image and its label map.
type Pair struct {
	// Name is unique within the set and good as a file name: the image's file
	// name without its extension.
	Name          string
	Image, Label  string // files
	Width, Height int    // pixels of both
}

// Coding says what the values in label files mean.
type Coding struct {
	// Name of the coding in messages, such as "label ids".
	Name string
	// Train is the training id of each value; a negative one means that the value
	// must not be there.
	Train [256]int16
	// Output is the value that predictions carry for each training id.
	Output [256]uint8
	// Hint explains values that must not be there from a file's histogram; it may
	// be nil and may return "".
	Hint func(histogram *[256]int64) string
	// Draw, if not nil, makes the map of values of w x h pixels from a file that
	// is no PNG.
	Draw func(path string, w, h int, dst []uint8) ([]uint8, error)
}

// Indices is the coding of files whose values are training ids themselves, with
// one value that is ignored (negative: none).
func Indices(classes, ignore int) (Coding, error) {
	c := Coding{Name: "class indices"}
	switch {
	case classes < 1 || classes > MaxClasses:
		return c, fmt.Errorf("%d classes; between 1 and %d are possible", classes, MaxClasses)
	case ignore > 255:
		return c, fmt.Errorf("the ignored value is %d; 0 to 255 are possible, negative means none", ignore)
	case ignore >= 0 && ignore < classes:
		return c, fmt.Errorf("the ignored value %d is also the index of a class (there are %d classes)", ignore, classes)
	}
	for v := range c.Train {
		c.Output[v] = uint8(v)
		switch {
		case v < classes:
			c.Train[v] = int16(v)
		case v == ignore:
			c.Train[v] = Ignore
		default:
			c.Train[v] = -1
		}
	}
	if ignore >= 0 {
		c.Output[Ignore] = uint8(ignore)
	}
	return c, nil
}

// Set is a list of pairs with what their values mean. It does not change after
// it is made: several goroutines may read it.
type Set struct {
	// Source describes where the pairs come from in messages: folder and split.
	Source  string
	Pairs   []Pair
	Classes []Class // by training id
	Coding  Coding
	// Problems are what was found while pairing files; [Set.Err] makes one error
	// of them and [Check] lists them.
	Problems []*InputError
}

// Output returns the value that prediction files carry for a training id: the
// label id in CityScapes, otherwise the value in the label files.
func (s *Set) Output(class uint8) uint8 { return s.Coding.Output[class] }

// Read returns the training ids of pair i, row by row, in dst where it is large
// enough. Every value is checked: it is below len(s.Classes) or [Ignore]. Errors
// are of type [*InputError].
func (s *Set) Read(i int, dst []uint8) ([]uint8, error) {
	v, _, err := s.read(i, dst)
	return v, err
}

// read is Read that also returns how often each value of the file occurs.
func (s *Set) read(i int, dst []uint8) (v []uint8, h *[256]int64, err error) {
	p := &s.Pairs[i]
	if s.Coding.Draw != nil {
		v, err = s.Coding.Draw(p.Label, p.Width, p.Height, dst)
	} else {
		var w, h int
		if v, w, h, err = ReadPNG(p.Label, dst); err == nil && (w != p.Width || h != p.Height) {
			err = sizeError(p.Label, w, h, p.Image, p.Width, p.Height)
		}
	}
	if err != nil {
		return v, nil, err
	}
	h = Histogram(v)
	if err := s.Coding.Check(p.Label, v, p.Width, h); err != nil {
		return v, h, err
	}
	var table [256]uint8
	for k, t := range s.Coding.Train {
		table[k] = uint8(t)
	}
	for k, x := range v {
		v[k] = table[x]
	}
	return v, h, nil
}

// Check returns an error that lists the values of a map that the coding does not
// allow: each with its number of pixels and its first place. h is v's histogram,
// w its width; path names the file in the message.
func (c *Coding) Check(path string, v []uint8, w int, h *[256]int64) error {
	var bad []int
	for k, n := range h {
		if n > 0 && c.Train[k] < 0 {
			bad = append(bad, k)
		}
	}
	if len(bad) == 0 {
		return nil
	}
	const shown = 5
	var parts []string
	for _, k := range bad[:min(shown, len(bad))] {
		at := slices.Index(v, uint8(k))
		parts = append(parts, fmt.Sprintf("%d at %s, first at column %d, row %d", k, count(h[k], "pixel"), at%w, at/w))
	}
	e := &InputError{Path: path, Kind: BadValue}
	e.Problem = "the value " + parts[0] + ", is not allowed"
	if len(bad) > 1 {
		e.Problem = fmt.Sprintf("%d values are not allowed: %s", len(bad), strings.Join(parts, "; "))
		if len(bad) > shown {
			e.Problem += "; ..."
		}
	}
	e.Problem += fmt.Sprintf(" (%s: %s)", c.Name, c.allowed())
	if c.Hint != nil {
		e.Fix = c.Hint(h)
	}
	return e
}

// allowed lists the values of the coding as ranges, such as "0..18, 255".
func (c *Coding) allowed() string {
	var parts []string
	for k := 0; k < 256; k++ {
		if c.Train[k] < 0 {
			continue
		}
		end := k
		for end < 255 && c.Train[end+1] >= 0 {
			end++
		}
		if end == k {
			parts = append(parts, fmt.Sprint(k))
		} else {
			parts = append(parts, fmt.Sprintf("%d..%d", k, end))
		}
		k = end
	}
	return strings.Join(parts, ", ")
}

// Histogram counts how often each value occurs.
func Histogram(v []uint8) *[256]int64 {
	// Four tables: neighbours are mostly equal, and counting them in one place
	// would wait for the last count each time.
	var a, b, c, d [256]uint32
	var h [256]int64
	for len(v) > 0 {
		part := v[:min(len(v), 1<<30)]
		v = v[len(part):]
		for ; len(part) >= 4; part = part[4:] {
			a[part[0]]++
			b[part[1]]++
			c[part[2]]++
			d[part[3]]++
		}
		for _, x := range part {
			a[x]++
		}
		for k := range h {
			h[k] += int64(a[k]) + int64(b[k]) + int64(c[k]) + int64(d[k])
			a[k], b[k], c[k], d[k] = 0, 0, 0, 0
		}
	}
	return &h
}

func count(n int64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
