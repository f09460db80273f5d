package cityscapes

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"manvision/data/labelmap"
)

// annotation is the content of a polygons file, as far as label maps need it.
type annotation struct {
	Height  int      `json:"imgHeight"`
	Width   int      `json:"imgWidth"`
	Objects []object `json:"objects"`
}

type object struct {
	Label   string       `json:"label"`
	Deleted flag         `json:"deleted"`
	Polygon [][2]float64 `json:"polygon"`
}

// flag is a truth value that files write as 0, 1, false or true.
type flag bool

// UnmarshalJSON implements json.Unmarshaler.
func (f *flag) UnmarshalJSON(b []byte) error {
	switch string(b) {
	case "0", "false", "null":
		*f = false
	case "1", "true":
		*f = true
	default:
		return fmt.Errorf("deleted is %s where 0 or 1 belongs", b)
	}
	return nil
}

// Draw makes the map of label ids of w x h pixels from a polygons file, in dst
// where it is large enough: objects in the file's order, each over those before,
// as the data set's own tool does (createLabelImgs, which draws with Pillow).
// Deleted objects and those of negative id are left out, "cargroup" is drawn as
// "car", pixels without an object are 0 (unlabeled). Errors are of type
// [*labelmap.InputError].
func Draw(path string, w, h int, dst []uint8) ([]uint8, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return dst, &labelmap.InputError{Path: path, Kind: labelmap.Unreadable, Problem: "cannot read the file: " + err.Error(), Err: err}
	}
	bad := func(kind labelmap.Kind, format string, args ...any) error {
		return &labelmap.InputError{Path: path, Kind: kind, Problem: fmt.Sprintf(format, args...)}
	}
	var a annotation
	if err := json.Unmarshal(b, &a); err != nil {
		return dst, bad(labelmap.Broken, "no polygons file: %v", err)
	}
	switch {
	case a.Width == 0 || a.Height == 0:
		return dst, bad(labelmap.Annotation, "imgWidth or imgHeight is missing")
	case a.Width != w || a.Height != h:
		return dst, bad(labelmap.WrongSize, "drawn for %dx%d pixels, but the image has %dx%d", a.Width, a.Height, w, h)
	}
	if cap(dst) < w*h {
		dst = make([]uint8, w*h)
	}
	dst = dst[:w*h]
	clear(dst)
	c := &canvas{pix: dst, w: w, h: h}
	for i, o := range a.Objects {
		if o.Deleted {
			continue
		}
		id, ok := idOf(o.Label)
		switch {
		case !ok:
			return dst, bad(labelmap.Annotation, "object %d: the label %q is unknown", i, o.Label)
		case id < 0:
			continue
		case len(o.Polygon) < 2:
			return dst, bad(labelmap.Annotation, "object %d (%s): a polygon of %d points", i, o.Label, len(o.Polygon))
		}
		points := make([]point, len(o.Polygon))
		for k, p := range o.Polygon {
			if !(p[0] > -maxCoordinate && p[0] < maxCoordinate && p[1] > -maxCoordinate && p[1] < maxCoordinate) {
				return dst, bad(labelmap.Annotation, "object %d (%s): point %d at %v, %v is far outside", i, o.Label, k, p[0], p[1])
			}
			points[k] = point{int(p[0]), int(p[1])}
		}
		c.fill(points, uint8(id))
	}
	return dst, nil
}

// maxCoordinate keeps the arithmetic of edges exact.
const maxCoordinate = 1 << 20

func idOf(label string) (id int, ok bool) {
	if id, ok = ids[label]; !ok {
		id, ok = ids[strings.TrimSuffix(label, "group")]
	}
	return id, ok
}

var ids = func() map[string]int {
	m := map[string]int{}
	for _, l := range Labels {
		m[l.Name] = l.ID
	}
	return m
}()
