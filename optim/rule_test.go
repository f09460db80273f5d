package optim

import (
	"fmt"
	"math"
	"testing"
)

func gradients(step int) (p, q []float64) {
	for a := range 5 {
		p = append(p, math.Sin(1.3*float64(a)+float64(step))*2)
	}
	for b := range 2 {
		q = append(q, math.Cos(0.7*float64(b)-2*float64(step))*3)
	}
	return p, q
}

func TestUpdatesEqualPyTorch(t *testing.T) {
	for i, u := range readGolden(t).Updates {
		t.Run(fmt.Sprintf("%d_%s", i, u.Rule), func(t *testing.T) {
			rule, err := ParseRule(u.Rule)
			if err != nil {
				t.Fatal(err)
			}
			h := Hyper{Rule: rule, Momentum: u.Momentum, Nesterov: u.Nesterov, Beta1: u.Beta1, Beta2: u.Beta2, Eps: u.Eps, ClipNorm: u.Clip}
			if err := h.Validate(); err != nil {
				t.Fatal(err)
			}
			params := [][]float64{{0.5, -1.25, 2, 0, -0.003}, {1.5, 0.75}}
			m := [][]float64{make([]float64, 5), make([]float64, 2)}
			v := [][]float64{make([]float64, 5), make([]float64, 2)}
			for step, want := range u.Steps {
				gp, gq := gradients(step)
				grads := [][]float64{gp, gq}
				norm := GlobalNorm(grads...)
				if u.Clip > 0 && !near(norm, want.Norm, 1e-14) {
					t.Errorf("step %d: norm %v, PyTorch %v", step, norm, want.Norm)
				}
				scale := ClipScale(norm, h.ClipNorm)
				for k, g := range grads {
					for j := range g {
						g[j] *= scale
					}
					if rule == SGD {
						SGDStep(params[k], g, v[k], step == 0, u.LR, u.WD, h)
					} else {
						AdamWStep(params[k], g, m[k], v[k], int64(step+1), u.LR, u.WD, h)
					}
				}
				for k, w := range [][]float64{want.P, want.Q} {
					for j := range w {
						if !near(params[k][j], w[j], 1e-13) {
							t.Errorf("step %d tensor %d[%d]: %v, PyTorch %v", step, k, j, params[k][j], w[j])
						}
					}
				}
			}
		})
	}
}

func TestSGDWithoutMomentumNeedsNoState(t *testing.T) {
	p := []float64{1}
	SGDStep(p, []float64{2}, nil, true, 0.5, 0, Hyper{})
	if p[0] != 0 { // 1 - 0.5*2
		t.Error(p)
	}
	if s := (Hyper{}).State(); s != nil {
		t.Error(s)
	}
}

func TestClipScale(t *testing.T) {
	// Hand computed: limit/(norm+1e-6), at most 1.
	for _, c := range []struct{ norm, limit, want float64 }{
		{2, 1, 1 / 2.000001}, {0.5, 1, 1}, {0, 1, 1}, {5, 0, 1}, {1, 1, 1 / 1.000001}, {math.Inf(1), 1, 0},
	} {
		if got := ClipScale(c.norm, c.limit); !near(got, c.want, 1e-15) {
			t.Errorf("ClipScale(%v, %v) = %v, want %v", c.norm, c.limit, got, c.want)
		}
	}
	if !math.IsNaN(ClipScale(math.NaN(), 1)) {
		t.Error("a NaN norm is hidden")
	}
	if got := GlobalNorm([]float64{3}, nil, []float64{0, 4}); got != 5 {
		t.Error(got)
	}
}

func TestHyperValidate(t *testing.T) {
	for i, h := range []Hyper{
		{Momentum: 1}, {Momentum: -0.1}, {Momentum: math.NaN()}, {Nesterov: true}, {ClipNorm: -1}, {ClipNorm: math.Inf(1)},
		{Rule: AdamW, Beta1: 1, Beta2: 0.9, Eps: 1e-8}, {Rule: AdamW, Beta1: 0.9, Beta2: 0.999}, {Rule: 7},
	} {
		if h.Validate() == nil {
			t.Errorf("case %d: %+v passes", i, h)
		}
	}
}
