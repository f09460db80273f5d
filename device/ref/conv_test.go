package ref

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"manvision/device"
)

// direct is the convolution written as its definition: seven loops.
func direct(o device.Conv, visit func(x, w, y int)) {
	icg, ocg := o.IC/o.Groups, o.OC/o.Groups
	for n := range o.N {
		for oh := range o.OH() {
			for ow := range o.OW() {
				for oc := range o.OC {
					for ic := range icg {
						for kh := range o.KH {
							for kw := range o.KW {
								h, w := oh*o.SH-o.PH+kh*o.DH, ow*o.SW-o.PW+kw*o.DW
								if h >= 0 && h < o.H && w >= 0 && w < o.W {
									visit(((n*o.H+h)*o.W+w)*o.IC+oc/ocg*icg+ic,
										((oc*icg+ic)*o.KH+kh)*o.KW+kw,
										((n*o.OH()+oh)*o.OW()+ow)*o.OC+oc)
								}
							}
						}
					}
				}
			}
		}
	}
}

func random(rng *rand.Rand, n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = rng.NormFloat64()
	}
	return v
}

// TestConvDirect compares the three convolution kernels with the definition, and
// each with itself on another number of goroutines.
func TestConvDirect(t *testing.T) {
	for _, o := range []device.Conv{
		{N: 2, H: 7, W: 9, IC: 3, OC: 5, KH: 3, KW: 3, SH: 1, SW: 1, PH: 1, PW: 1, DH: 1, DW: 1, Groups: 1, Bias: true},
		{N: 1, H: 8, W: 9, IC: 6, OC: 9, KH: 5, KW: 3, SH: 2, SW: 1, PH: 2, PW: 0, DH: 1, DW: 2, Groups: 3},
		{N: 3, H: 11, W: 10, IC: 8, OC: 8, KH: 3, KW: 2, SH: 3, SW: 2, PH: 4, PW: 1, DH: 4, DW: 1, Groups: 8, Bias: true},
		{N: 2, H: 40, W: 33, IC: 16, OC: 17, KH: 7, KW: 7, SH: 2, SW: 2, PH: 3, PW: 3, DH: 1, DW: 1, Groups: 1},
		{N: 1, H: 1, W: 1, IC: 1, OC: 1, KH: 1, KW: 1, SH: 1, SW: 1, DH: 1, DW: 1, Groups: 1},
	} {
		t.Run(fmt.Sprintf("%+v", o), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(1, 2))
			x, w, b := random(rng, o.X().Elems()), random(rng, o.Weight().Elems()), random(rng, o.OC)
			dy := random(rng, o.Y().Elems())
			y, dx, dw, db := make([]float64, len(dy)), make([]float64, len(x)), make([]float64, len(w)), make([]float64, o.OC)
			direct(o, func(i, j, k int) {
				y[k] += x[i] * w[j]
				dx[i] += dy[k] * w[j]
				dw[j] += dy[k] * x[i]
			})
			in := [][]float64{x, w}
			want := [][]float64{y, dx, dw}
			if o.Bias {
				for k := range y {
					y[k] += b[k%o.OC]
					db[k%o.OC] += dy[k]
				}
				in, want = append(in, b), append(want, db)
			}
			compute := func(threads int) [][]float64 {
				d := NewThreads(threads)
				got := run(t, d, o, in...)
				got = append(got, run(t, d, device.ConvBackwardData{Conv: o}, dy, w)...)
				return append(got, run(t, d, device.ConvBackwardWeights{Conv: o}, x, dy)...)
			}
			got, again := compute(1), compute(3)
			for i := range want {
				// Sums of up to 2,600 products of size 1 in another order: well
				// within 1e-11.
				for j := range want[i] {
					if math.Abs(got[i][j]-want[i][j]) > 1e-11 {
						t.Fatalf("result %d, element %d: %v, want %v", i, j, got[i][j], want[i][j])
					}
				}
				if !slices.Equal(got[i], again[i]) {
					t.Errorf("result %d depends on the number of goroutines", i)
				}
			}
		})
	}
}

func BenchmarkConv(b *testing.B) {
	o := device.Conv{N: 2, H: 16, W: 20, IC: 256, OC: 256, KH: 3, KW: 3, SH: 1, SW: 1, PH: 1, PW: 1, DH: 1, DW: 1, Groups: 1}
	rng := rand.New(rand.NewPCG(1, 2))
	x, w, dy := random(rng, o.X().Elems()), random(rng, o.Weight().Elems()), random(rng, o.Y().Elems())
	for _, c := range []struct {
		op device.Op
		in [][]float64
	}{{o, [][]float64{x, w}}, {device.ConvBackwardData{Conv: o}, [][]float64{dy, w}}, {device.ConvBackwardWeights{Conv: o}, [][]float64{x, dy}}} {
		b.Run(c.op.Kind(), func(b *testing.B) {
			d := New()
			for b.Loop() {
				run(b, d, c.op, c.in...)
			}
			b.ReportMetric(o.FLOPs()*float64(b.N)/b.Elapsed().Seconds()/1e9, "GFLOP/s")
		})
	}
}
