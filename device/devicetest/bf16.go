package devicetest

import (
	"math"
	"slices"
	"testing"

	"manvision/device"
	"manvision/device/ref"
)

// BF16 rounds to the nearest bf16, halves to even.
func BF16(v float64) float64 {
	b := math.Float32bits(float32(v))
	return float64(math.Float32frombits((b + 0x7fff + b>>16&1) &^ 0xffff))
}

// RunBF16 runs every case whose operation has a form on bf16 activations
// (device.Reduce) on dev and on the reference. Both start from the same numbers, those
// of the bf16 arguments rounded, and the reference rounds nothing.
//
// Tolerances. Products of two bf16 numbers are exact in float32 and sums are float32's,
// so an output in float32 has the limit of tol. A bf16 has 8 bits of precision: rounding an output once to nearest adds 2⁻⁸
// of its magnitude, at most 2⁻⁸ of the largest. What is exact in float32 and does no
// arithmetic stays exact.
func RunBF16(t *testing.T, dev device.Device, tol Tolerances) {
	slow := ref.New()
	worst := map[string]extreme{}
	half := Tolerances{Kinds: map[string]Tolerance{}, MayRefuse: tol.MayRefuse}
	for kind, f := range tol.Kinds {
		half.Kinds[kind] = Tolerance{f.Flat + math.Ldexp(1, -8)*(1+math.Ldexp(1, -8)), f.Root}
	}
	for _, c := range Cases() {
		m, ok := device.Reduce(c.Op)
		if !ok {
			continue
		}
		limits := half
		if !slices.Contains(m.Out, true) {
			limits = tol
		}
		c.Op = m
		steps := make([][]any, len(c.Steps))
		for s, in := range c.Steps {
			steps[s] = slices.Clone(in)
			for i, v := range in {
				if data, ok := v.([]float64); ok && (m.In[i] || c.Op.Inputs()[i].Layout == device.Filter) {
					steps[s][i] = rounded(data)
				}
			}
		}
		c.Steps = steps
		t.Run(c.Op.Kind()+"/"+c.Name, func(t *testing.T) { conform(t, dev, slow, c, limits, worst) })
	}
	logWorst(t, worst)
}

func rounded(v []float64) []float64 {
	out := make([]float64, len(v))
	for i := range v {
		out[i] = BF16(v[i])
	}
	return out
}
