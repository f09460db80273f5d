package cocoeval

import (
	"math"
	"testing"
)

// The mean of each curve is the AP that pycocotools gives, which the golden test
// compares; curves fall.
func TestCurves(t *testing.T) {
	drawn := 0
	for _, c := range goldenCases(t) {
		gt, dt := c.read(t)
		s, err := Evaluate(gt, dt, Options{})
		if err != nil {
			t.Fatal(err)
		}
		if s.Curves == nil {
			if s.Objects > 0 {
				t.Errorf("%s: no curves of %d objects", c.Name, s.Objects)
			}
			continue
		}
		drawn++
		check := func(name string, curve []float64, ap float64) {
			t.Helper()
			sum := 0.0
			for i, v := range curve {
				if i > 0 && v > curve[i-1]+1e-12 {
					t.Fatalf("%s: %s rises at recall %d %%", c.Name, name, i)
				}
				sum += v
			}
			if len(curve) != numRecalls || math.Abs(sum/numRecalls-ap) > 1e-12 {
				t.Errorf("%s: %s: %d points, mean %v, AP %v", c.Name, name, len(curve), sum/numRecalls, ap)
			}
		}
		check("AP", s.Curves.AP, s.AP)
		check("AP50", s.Curves.AP50, s.AP50)
		check("AP75", s.Curves.AP75, s.AP75)
		for _, class := range s.PerClass {
			if class.Objects > 0 {
				check(class.Name, class.Curve50, class.AP50)
			} else if class.Curve50 != nil {
				t.Errorf("%s: %s has a curve without objects", c.Name, class.Name)
			}
		}
	}
	if drawn == 0 {
		t.Error("no case has curves")
	}
}
