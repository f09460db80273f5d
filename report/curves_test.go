package report

import (
	"bytes"
	"image/png"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestReadCSV(t *testing.T) {
	const log = "step,loss,note,AP\n1,2.5,warm,\n2,NaN,,0.1\n3,2,x,0.2\n4,1.\n"
	got, err := ReadCSV(strings.NewReader(log), "step")
	if err != nil {
		t.Fatal(err)
	}
	x := []float64{1, 2, 3} // the cut line 4 is left out
	want := []Series{{"loss", x, []float64{2.5, math.NaN(), 2}}, {"AP", x, []float64{math.NaN(), 0.1, 0.2}}}
	if d := cmp.Diff(want, got, cmpopts.EquateNaNs()); d != "" {
		t.Error(d)
	}
	for name, c := range map[string]struct{ log, x, column, want string }{
		"unknown x":      {log, "stp", "loss", "step, loss, note, AP"},
		"unknown column": {log, "step", "los", `"los"`},
		"no number":      {log, "step", "note", "line 2"},
		"short line":     {"a,b\n1\n2,3\n", "a", "b", "line 2"},
		"empty":          {"", "a", "b", "header"},
	} {
		if _, err := ReadCSV(strings.NewReader(c.log), c.x, c.column); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
}

func TestPieces(t *testing.T) {
	nan := math.NaN()
	s := Series{X: []float64{0, 1, 2, 3, 4, 5}, Y: []float64{nan, 1, 2, math.Inf(1), -3, 4}}
	if got := pieces(s, false); len(got) != 2 || len(got[0]) != 2 || len(got[1]) != 2 {
		t.Errorf("%v, want pieces of 2 and 2", got)
	}
	if got := pieces(s, true); len(got) != 2 || len(got[1]) != 1 {
		t.Errorf("positive only: %v, want pieces of 2 and 1", got)
	}
	// keep 0.5: (0.5·4)/0.5 = 4; (0.5·2+0.5·2)/0.75 = 2.666…: by hand.
	got := smooth([]float64{4, nan, 2}, 0.5)
	if got[0] != 4 || !math.IsNaN(got[1]) || math.Abs(got[2]-8.0/3) > 1e-15 {
		t.Errorf("smooth: %v", got)
	}
}

func TestCurves(t *testing.T) {
	s := Series{Name: "loss"}
	for i := range 200 {
		s.X, s.Y = append(s.X, float64(i)), append(s.Y, 2*math.Exp(-float64(i)/60)+0.1*math.Sin(float64(i)))
	}
	s.Y[50] = math.NaN()
	for _, c := range []Chart{{}, {Title: "t", LogY: true, Width: 400, Height: 300}, {Smooth: 0.9}} {
		var out bytes.Buffer
		if err := Curves(&out, c, s, Series{"one point", []float64{3}, []float64{1}}); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		img, err := png.Decode(&out)
		if err != nil {
			t.Fatal(err)
		}
		if w := max(c.Width, 0); w > 0 && (img.Bounds().Dx() < w-1 || img.Bounds().Dx() > w+1) {
			t.Errorf("width %d, want %d", img.Bounds().Dx(), w)
		}
	}
	var out bytes.Buffer
	for name, bad := range map[string]Series{
		"lengths": {"a", []float64{1, 2}, []float64{1}},
		"empty":   {},
		"all NaN": {"a", []float64{1}, []float64{math.NaN()}},
	} {
		if err := Curves(&out, Chart{}, bad); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	if err := Curves(&out, Chart{Smooth: 1}, s); err == nil {
		t.Error("smoothing 1: no error")
	}
	// One value only: axes of no extent must neither fail nor hang.
	for _, logY := range []bool{false, true} {
		if err := Curves(&out, Chart{LogY: logY}, Series{"a", []float64{1}, []float64{0.5}}); err != nil {
			t.Error(err)
		}
	}
}
