package bench

import (
	"bytes"
	"math"
	"strings"
	"testing"

	"manvision/device"
	"manvision/device/ref"
)

// y = 3·x² exactly; and the points (1,1), (e,e), (e²,1), whose logarithms by hand have
// slope 0 and R² 0.
func TestPower(t *testing.T) {
	p := power([]float64{1, 2, 5}, []float64{3, 12, 75})
	if math.Abs(p.Exponent-2) > 1e-12 || math.Abs(p.Factor-3) > 1e-12 || math.Abs(p.R2-1) > 1e-12 {
		t.Errorf("%+v", p)
	}
	if p := power([]float64{1, math.E, math.E * math.E}, []float64{1, math.E, 1}); math.Abs(p.Exponent) > 1e-12 || p.R2 > 1e-12 {
		t.Errorf("%+v", p)
	}
	if p := power([]float64{1, 2}, []float64{7, 7}); p.Exponent != 0 || p.R2 != 1 {
		t.Errorf("%+v", p)
	}
}

func TestSweepPoint(t *testing.T) {
	s := sweep{work: "w", against: "image area", size: func(n int) float64 { return float64(n * n) },
		run: func(_ device.Device, n, _ int) (*Steps, error) {
			return &Steps{Seconds: []float64{3, 1, 2}, Planned: int64(n), Peak: int64(2 * n)}, nil
		}}
	p, err := s.point(func() (device.Device, error) { return ref.New(), nil }, 8, 3)
	if err != nil || *p != (Point{Size: 64, Seconds: 2, Planned: 8, Peak: 16}) {
		t.Errorf("%+v, %v", p, err)
	}
	g := Growth{Work: "w", Against: "image area", Points: []Point{{64, 1, 1, 1}, {256, 4, 2, 1}}}
	g.fit()
	var b bytes.Buffer
	if err := WriteGrowth(&b, false, []Growth{g}); err != nil || !strings.Contains(b.String(), "w\timage area\t1.000\t1.000\t0.500\t1.000\t0.000\t1.000") {
		t.Errorf("%v\n%s", err, &b)
	}
}
