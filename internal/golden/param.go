package golden

import (
	"math"
	"strings"
)

// Param returns the starting value of a parameter by its state_dict name, in
// row-major (PyTorch) order, rounded to float32:
//
//   - two or more dimensions: u·sqrt(6·shape[0]/elements)
//   - one-dimensional ".weight" (norms): 1 + 0.2u
//   - one-dimensional ".bias": 0.1u
//   - zero-dimensional (the fusion scalars s): 1 + 0.3u
//
// Buffers are not parameters: running means start at 0, running variances at 1.
func Param(name string, shape []int, seed uint64) []float64 {
	out := U(name, seed, Elements(shape))
	scale, shift := 0.3, 1.0
	switch {
	case len(shape) >= 2:
		scale, shift = math.Sqrt(6*float64(shape[0])/float64(len(out))), 0
	case len(shape) == 1 && strings.HasSuffix(name, ".weight"):
		scale = 0.2
	case len(shape) == 1:
		scale, shift = 0.1, 0
	}
	for i, u := range out {
		out[i] = float64(float32(shift + scale*u))
	}
	return out
}

// Param returns the starting value of one of the file's parameters: the
// package's Param with the file's seed, and for a RetinaNet the two rules of its
// subnets, which are not rounded to float32: every "…cls_subnet.out.bias" is
// Config.ClsOutBias, every "…_subnet.out.weight" is multiplied by
// Config.SubnetOutWeightScale.
func (f *File) Param(name string, shape []int) []float64 {
	out := Param(name, shape, f.Config.Seed)
	if f.Config.Model != "retinanet" {
		return out
	}
	switch {
	case strings.HasSuffix(name, "cls_subnet.out.bias"):
		for i := range out {
			out[i] = f.Config.ClsOutBias
		}
	case strings.HasSuffix(name, "_subnet.out.weight"):
		for i := range out {
			out[i] *= f.Config.SubnetOutWeightScale
		}
	}
	return out
}
