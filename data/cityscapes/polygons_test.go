package cityscapes

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"manvision/data/labelmap"
)

type polygonCase struct {
	Annotation json.RawMessage `json:"annotation"`
	IDs        []int           `json:"ids"`
	TrainIDs   []int           `json:"trainIds"`
}

func expand(runs []int) (v []uint8) {
	for i := 0; i < len(runs); i += 2 {
		v = append(v, slices.Repeat([]uint8{uint8(runs[i])}, runs[i+1])...)
	}
	return v
}

// Expected maps: cityscapesScripts 2.3.0 with Pillow 13.0.0 (testdata/gen_polygons.py).
func TestPolygonsEqualOfficialTools(t *testing.T) {
	b, err := os.ReadFile("testdata/polygons.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []polygonCase
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	for i, c := range cases {
		var a annotation
		if err := json.Unmarshal(c.Annotation, &a); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(t.TempDir(), "a.json")
		write(t, path, string(c.Annotation))
		got, err := Draw(path, a.Width, a.Height, nil)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		if want := expand(c.IDs); !slices.Equal(got, want) {
			t.Errorf("case %d: %s\n%s", i, c.Annotation, difference(got, want, a.Width))
		}
		s := &labelmap.Set{Pairs: []labelmap.Pair{{Label: path, Width: a.Width, Height: a.Height}}, Classes: ClassList(), Coding: labelIDs}
		s.Coding.Draw = Draw
		got, err = s.Read(0, got)
		if err != nil {
			t.Fatalf("case %d: %v", i, err)
		}
		if want := expand(c.TrainIDs); !slices.Equal(got, want) {
			t.Errorf("case %d: training ids differ\n%s", i, difference(got, want, a.Width))
		}
	}
}

func difference(got, want []uint8, w int) string {
	var b strings.Builder
	for i := range got {
		if got[i] != want[i] {
			fmt.Fprintf(&b, "  at %d, %d: %d, want %d\n", i%w, i/w, got[i], want[i])
		}
	}
	return b.String()
}

func TestBadPolygons(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{`{"imgHeight":3`, "no polygons file: unexpected end of JSON input"},
		{`[]`, "no polygons file"},
		{`{"objects":[]}`, "imgWidth or imgHeight is missing"},
		{`{"imgHeight":4,"imgWidth":5,"objects":[]}`, "drawn for 5x4 pixels, but the image has 5x3"},
		{`{"imgHeight":3,"imgWidth":5,"objects":[{"label":"cat","polygon":[[0,0],[1,1]]}]}`, `object 0: the label "cat" is unknown`},
		{`{"imgHeight":3,"imgWidth":5,"objects":[{"label":"car","polygon":[[0,0]]}]}`, "object 0 (car): a polygon of 1 points"},
		{`{"imgHeight":3,"imgWidth":5,"objects":[{"label":"car","polygon":[[0,0],[1e9,1]]}]}`, "object 0 (car): point 1 at 1e+09, 1 is far outside"},
		{`{"imgHeight":3,"imgWidth":5,"objects":[{"label":"car","deleted":7,"polygon":[[0,0],[1,1]]}]}`, "deleted is 7"},
	} {
		path := filepath.Join(t.TempDir(), "a.json")
		write(t, path, c.text)
		_, err := Draw(path, 5, 3, nil)
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s: %v, want %q", c.text, err, c.want)
		}
	}
	if _, err := Draw("missing.json", 5, 3, nil); err == nil || !strings.Contains(err.Error(), "missing.json") {
		t.Errorf("missing file: %v", err)
	}
}
