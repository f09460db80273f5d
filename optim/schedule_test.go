package optim

import (
	"encoding/json"
	"math"
	"os"
	"testing"
)

type goldenFile struct {
	Updates []struct {
		Rule                   string
		LR, Momentum, WD, Clip float64
		Nesterov               bool
		Beta1, Beta2, Eps      float64
		Steps                  []struct {
			Norm float64
			P, Q []float64
		}
	}
	Schedules map[string][]float64
}

// readGolden reads PyTorch 1.13's numbers, written by testdata/gen_optim.py.
func readGolden(t *testing.T) goldenFile {
	t.Helper()
	b, err := os.ReadFile("testdata/optim.json")
	if err != nil {
		t.Fatal(err)
	}
	var g goldenFile
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatal(err)
	}
	return g
}

func near(got, want, rel float64) bool {
	return math.Abs(got-want) <= rel*math.Max(math.Abs(want), 1e-3)
}

func TestScheduleEqualsPyTorch(t *testing.T) {
	cases := map[string]Schedule{
		"constant":                       {Base: 0.4},
		"constant_warm5_f0.1":            {Base: 0.4, WarmupSteps: 5, WarmupFactor: 0.1},
		"multistep_4_9_g0.1":             {Curve: MultiStep, Base: 0.4, Milestones: []int64{4, 9}, Gamma: 0.1},
		"multistep_4_9_g0.5_warm6_f0.2":  {Curve: MultiStep, Base: 0.4, Milestones: []int64{4, 9}, Gamma: 0.5, WarmupSteps: 6, WarmupFactor: 0.2},
		"poly_20_p0.9":                   {Curve: Poly, Base: 0.4, Power: 0.9, Steps: 20},
		"poly_20_p2_warm5_f0.25":         {Curve: Poly, Base: 0.4, Power: 2, Steps: 20, WarmupSteps: 5, WarmupFactor: 0.25},
		"cosine_20_min0.01":              {Curve: Cosine, Base: 0.4, Min: 0.01, Steps: 20},
		"cosine_20_min0.01_warm4_f0.001": {Curve: Cosine, Base: 0.4, Min: 0.01, Steps: 20, WarmupSteps: 4, WarmupFactor: 0.001},
	}
	golden := readGolden(t).Schedules
	if len(golden) != len(cases) {
		t.Fatalf("%d golden schedules, %d cases", len(golden), len(cases))
	}
	for name, s := range cases {
		t.Run(name, func(t *testing.T) {
			if err := s.Validate(); err != nil {
				t.Fatal(err)
			}
			for step, want := range golden[name] {
				// PyTorch computes rates by recurrence; rounding adds up.
				if got := s.LR(int64(step)); !near(got, want, 1e-12) {
					t.Errorf("step %d: %v, PyTorch %v", step, got, want)
				}
			}
		})
	}
}

func TestScheduleByHand(t *testing.T) {
	// PyTorch 1.13's PolynomialLR has no floor; the formula is mmsegmentation's:
	// min + (base-min)(1-t/T)^power.
	poly := Schedule{Curve: Poly, Base: 1, Min: 0.2, Power: 2, Steps: 10}
	// METHOD §2: lr 0.01, x0.1 at 60k and 80k.
	coco := Schedule{Curve: MultiStep, Base: 0.01, Gamma: 0.1, Milestones: []int64{60000, 80000}}
	cases := []struct {
		s    Schedule
		step int64
		want float64
	}{
		{poly, 0, 1}, {poly, 5, 0.2 + 0.8*0.25}, {poly, 9, 0.2 + 0.8*0.01}, {poly, 10, 0.2}, {poly, 1 << 62, 0.2}, {poly, -3, 1},
		{coco, 0, 0.01}, {coco, 59999, 0.01}, {coco, 60000, 0.001}, {coco, 79999, 0.001}, {coco, 80000, 0.0001}, {coco, 90000, 0.0001},
	}
	for _, c := range cases {
		if got := c.s.LR(c.step); !near(got, c.want, 1e-12) {
			t.Errorf("%v step %d: %v, want %v", c.s.Curve, c.step, got, c.want)
		}
	}
}

func TestScheduleValidate(t *testing.T) {
	bad := []Schedule{
		{}, {Base: -1}, {Base: math.NaN()}, {Base: math.Inf(1)},
		{Base: 1, WarmupSteps: -1}, {Base: 1, WarmupSteps: 1, WarmupFactor: 2}, {Base: 1, WarmupSteps: 1, WarmupFactor: math.NaN()},
		{Curve: MultiStep, Base: 1}, {Curve: MultiStep, Base: 1, Gamma: 0.1, Milestones: []int64{5, 5}},
		{Curve: Poly, Base: 1, Steps: 5}, {Curve: Poly, Base: 1, Power: 1}, {Curve: Cosine, Base: 1, Steps: 5, Min: 2},
		{Curve: Cosine, Base: 1, Steps: 5, WarmupSteps: 5}, {Curve: 9, Base: 1},
	}
	for i, s := range bad {
		if s.Validate() == nil {
			t.Errorf("case %d: %+v passes", i, s)
		}
	}
	for c := Constant; c <= Cosine; c++ {
		if got, err := ParseCurve(c.String()); err != nil || got != c {
			t.Errorf("%v: %v, %v", c, got, err)
		}
	}
	if _, err := ParseCurve("step"); err == nil {
		t.Error("step parses")
	}
}
