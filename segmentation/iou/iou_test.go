package iou

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"

	"manvision/data/labelmap"
)

var classes = []labelmap.Class{{Name: "a"}, {Name: "b"}, {Name: "c"}, {Name: "d"}}

// By hand: of a, 2 of 3 pixels right, one called b; of b, 1 of 2 right, one called
// c; d is nowhere; c is only predicted. The ignored pixels count nothing, though d
// is predicted there.
func TestScores(t *testing.T) {
	e := New(classes)
	if err := e.Process([]uint8{0, 0, 0, 255}, []uint8{0, 0, 1, 3}); err != nil {
		t.Fatal(err)
	}
	if err := e.Process([]uint8{1, 1, 255}, []uint8{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	s := e.Evaluate()
	near := func(name string, got, want float64) {
		t.Helper()
		if math.Abs(got-want) > 1e-15 {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
	}
	near("a", s.Classes[0].IoU, 2.0/3)
	near("b", s.Classes[1].IoU, 1.0/3)
	near("c", s.Classes[2].IoU, 0)
	near("mIoU", s.MIoU, 1.0/3)
	near("pixel accuracy", s.PixelAccuracy, 3.0/5)
	near("mean accuracy", s.MeanAccuracy, (2.0/3+1.0/2)/2)
	if s.Present != 3 || s.InGroundTruth != 2 || s.Images != 2 || s.Pixels != 5 || !s.Classes[3].Absent || s.Classes[2].Absent {
		t.Errorf("%+v", s)
	}
	if s.Confusion[0][1] != 1 || s.Confusion[1][2] != 1 || s.Confusion[0][0] != 2 {
		t.Error(s.Confusion)
	}
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"name":"d","IoU":null,"accuracy":null`, `"name":"c","IoU":0,"accuracy":null`, `"classes_present":3`, `"mIoU":0.333`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("no %s in %s", want, b)
		}
	}
	if table := s.ClassTable(); !strings.Contains(table, "d     absent        -            0            0") {
		t.Error(table)
	}
	var plain strings.Builder
	if err := s.WritePlain(&plain, true); err != nil || !strings.Contains(plain.String(), "pixel_accuracy\t0.6\n") || !strings.Contains(plain.String(), "class\t3\td\tabsent\n") {
		t.Error(err, plain.String())
	}
	if m := s.Metrics(); m[0].Key != "mIoU" || m[0].Value != s.MIoU {
		t.Error(m)
	}
	e.Reset()
	if b, _ := json.Marshal(e.Evaluate()); !strings.Contains(string(b), `{"mIoU":null,"pixel_accuracy":null,"mean_accuracy":null`) {
		t.Errorf("%s", b)
	}
}

func TestIgnoredPredictions(t *testing.T) {
	e := New(classes)
	if err := e.Process([]uint8{0, 0}, []uint8{0, 255}); err != nil {
		t.Fatal(err)
	}
	if s := e.Evaluate(); s.Classes[0].IoU != 0.5 || s.PixelAccuracy != 0.5 || s.Pixels != 2 || s.Present != 1 {
		t.Errorf("%+v", s)
	}
}

func TestBadValues(t *testing.T) {
	e := New(classes)
	for _, c := range []struct {
		gt, pred []uint8
		want     string
	}{
		{[]uint8{0, 4}, []uint8{0, 0}, "the ground truth has the value 4; classes are 0..3, and 255 is ignored"},
		{[]uint8{0, 255}, []uint8{0, 9}, "the prediction has the value 9; classes are 0..3"},
		{[]uint8{0}, nil, "the ground truth has 1 pixels, the prediction 0"},
	} {
		if err := e.Process(c.gt, c.pred); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if s := e.Evaluate(); s.Pixels != 0 || s.Images != 0 {
		t.Errorf("%+v", s)
	}
}

func TestCount(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for range 500 {
		n := r.IntN(90)
		gt, pred := make([]uint8, n), make([]uint8, n)
		for _, v := range [][]uint8{gt, pred} {
			for i := range v {
				if i > 0 && r.IntN(12) > 0 {
					v[i] = v[i-1]
				} else {
					v[i] = uint8(r.IntN(256))
				}
			}
		}
		var got, want [1 << 16]uint32
		for i := range gt {
			want[int(gt[i])<<8|int(pred[i])]++
		}
		Count(&got, gt, pred)
		if got != want {
			t.Fatalf("%v\n%v", gt, pred)
		}
	}
}

func TestSeveralGoroutines(t *testing.T) {
	e := New(classes)
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 50 {
				if err := e.Process([]uint8{0, 1, 2}, []uint8{0, 1, 1}); err != nil {
					t.Error(err)
				}
			}
		}()
	}
	wg.Wait()
	if s := e.Evaluate(); s.Pixels != 1200 || s.Images != 400 || s.Confusion[2][1] != 400 {
		t.Errorf("%+v", s)
	}
}
