package device

import "math"

// Work is what an operation has to do, by its descriptor alone.
type Work struct {
	// FLOPs counts floating-point operations: an addition, multiplication, division,
	// comparison, square root, exponential, logarithm or error function is one, a
	// multiply-add two. Convolutions are counted as the direct algorithm makes them,
	// taps on padding included, as everybody quotes them.
	FLOPs float64
	// Least is a bound from below: as FLOPs, but without taps on padding and, for
	// convolutions of 3x3 at stride 1 in one group, with a quarter of the products,
	// as Winograd's F(4x4,3x3) needs (Lavin and Gray 2016, arXiv 1509.09308, §4),
	// its transforms not counted.
	Least float64
	// Bytes is what crosses a device's memory bus when every argument is read or
	// written once, those that are read and written twice, and nothing is found in a
	// cache or put away in between.
	Bytes float64
}

// WorkOf counts the work of an operation; size tells the bytes of an argument on the
// device (Device.Size). It reports false for a kind it does not know: then only the
// bytes are counted.
func WorkOf(op Op, size func(Desc) float64) (Work, bool) {
	flops, known := flops(op)
	w := Work{FLOPs: flops, Least: flops, Bytes: traffic(op, size)}
	if c, ok := convolution(op); ok {
		w.Least = flops - c.FLOPs() + c.leastFLOPs()
	}
	return w, known
}

// convolution returns the shape of an operation that is a convolution in one of its
// three directions.
func convolution(op Op) (Conv, bool) {
	switch o := op.(type) {
	case Conv:
		return o, true
	case ConvBackwardData:
		return o.Conv, true
	case ConvBackwardWeights:
		return o.Conv, true
	case Mixed:
		return convolution(o.Of)
	}
	return Conv{}, false
}

// leastFLOPs counts the products of taps that fall on the map, and their sums; at most
// a quarter of all where Winograd's algorithm applies.
func (c Conv) leastFLOPs() float64 {
	pairs := float64(onMap(c.H, c.OH(), c.KH, c.SH, c.DH, c.PH)) * float64(onMap(c.W, c.OW(), c.KW, c.SW, c.DW, c.PW))
	n := 2 * float64(c.N) * pairs * float64(c.OC) * float64(c.IC/c.Groups)
	if c.KH == 3 && c.KW == 3 && c.SH == 1 && c.SW == 1 && c.Groups == 1 {
		n = math.Min(n, c.FLOPs()/4)
	}
	return n
}

// onMap counts the pairs of an output and a tap of a side that meet an input.
func onMap(in, out, kernel, stride, dilation, pad int) int {
	n := 0
	for o := range out {
		for k := range kernel {
			if at := o*stride + k*dilation - pad; at >= 0 && at < in {
				n++
			}
		}
	}
	return n
}

// when is n if a condition holds, else 0.
func when(yes bool, n float64) float64 {
	if yes {
		return n
	}
	return 0
}

// flops counts an operation's floating-point operations, each kind by its definition.
func flops(op Op) (float64, bool) {
	elems := func(d Desc) float64 { return float64(d.Elems()) }
	switch o := op.(type) {
	case Conv:
		y := elems(o.Y())
		return o.FLOPs() + when(o.Bias, y) + when(o.Sum, y) + when(o.ReLU, y), true
	case ConvBackwardData:
		return o.FLOPs(), true
	case ConvBackwardWeights:
		return o.FLOPs() + when(o.Bias, elems(o.Y())), true
	case BatchNorm: // mean 1, variance 3, γ' and β' applied 2
		return elems(o.X()) * (2 + when(!o.Global, 4) + when(o.Sum, 1) + when(o.ReLU, 1)), true
	case BatchNormBackward: // x̂ 2, dγ 2, dβ 1; dx from dy alone 1, with the statistics' share 4
		return elems(o.X()) * (6 + when(!o.Global, 3) + when(o.ReLU, 1)), true
	case RunningStats: // two averages of 3, the correction
		return 7 * float64(o.C), true
	case FoldNorm: // the filter scaled; k 3 and b' 3 a channel
		return elems(o.Filter) + 6*float64(o.channels()), true
	case ReLU:
		return float64(o.Size), true
	case ReLUBackward:
		return float64(o.Size) * (1 + when(o.Sum, 1)), true
	case MaxPool:
		return elems(o.Y()) * float64(o.KH*o.KW), true
	case MaxPoolBackward:
		return elems(o.Y()), true
	case AvgPool:
		return elems(o.Y()) * float64(o.KH*o.KW), true
	case AvgPoolBackward:
		return elems(o.Y()) * float64(o.KH*o.KW), true
	case GlobalAvgPool:
		return float64(o.N) * float64(o.H) * float64(o.W) * float64(o.C), true
	case GlobalAvgPoolBackward:
		return float64(o.N) * float64(o.C), true
	case Add:
		return elems(o.Of) * (1 + when(o.ReLU, 1)), true
	case Fuse:
		return 3 * float64(o.Size), true
	case FuseBackward:
		return 5 * float64(o.Size), true
	case Resize: // four products and three sums
		return elems(o.Outputs()[0]) * when(o.Mode != Nearest, 7), true
	case ResizeBackward: // products and sums into four inputs, or one sum
		return elems(o.Resize.Outputs()[0]) * (1 + when(o.Mode != Nearest, 7)), true
	case Mixed:
		return flops(o.Of)
	case Together:
		total := 0.0
		for _, op := range o.Ops {
			n, known := flops(op)
			if !known {
				return 0, false
			}
			total += n
		}
		return total, true
	case Concat, Slice, SliceBackward, Fill, Cast, PrepareFilter:
		return 0, true
	case Linear:
		return o.products() + when(o.Bias, float64(o.M)*float64(o.N)), true
	case LinearBackwardData:
		return o.products(), true
	case LinearBackwardWeights:
		return o.products() + when(o.Bias, float64(o.M)*float64(o.N)), true
	case FocalLoss: // sigmoid 3, power 3, logarithm 1, products and the sum 3
		return 10 * float64(o.Rows) * float64(o.Classes), true
	case FocalLossBackward:
		return 14 * float64(o.Rows) * float64(o.Classes), true
	case SmoothL1:
		return 5 * float64(o.Rows) * float64(o.Dim), true
	case SmoothL1Backward:
		return 3 * float64(o.Rows) * float64(o.Dim), true
	case CrossEntropy: // maximum, difference, exponential, sum
		return 4 * float64(o.Rows) * float64(o.Classes), true
	case CrossEntropyBackward: // the same, quotient and product
		return 6 * float64(o.Rows) * float64(o.Classes), true
	case PixelCrossEntropy: // interpolated 7, then as CrossEntropy
		return 11 * o.scored(), true
	case PixelCrossEntropyBackward: // interpolated 7 and spread 8
		return 21 * o.scored(), true
	case SigmoidBCE:
		return 6 * float64(o.Size), true
	case SigmoidBCEBackward:
		return 5 * float64(o.Size), true
	case SoftCrossEntropy:
		return 6 * float64(o.Rows) * float64(o.Classes), true
	case SoftCrossEntropyBackward:
		return 6 * float64(o.Rows) * float64(o.Classes), true
	case SupCon: // rows normalised 3, their products, softmax of these 5
		n, d := float64(o.Rows), float64(o.Dim)
		return 3*n*d + 2*n*n*d + 5*n*n, true
	case SupConBackward: // the loss again, the gradient's products, and through the lengths 5
		n, d := float64(o.Rows), float64(o.Dim)
		return 8*n*d + 4*n*n*d + 7*n*n, true
	case Similarity: // deviations 4 an element, cosines, squared differences 3
		n, c := float64(o.N), float64(o.C)
		return 4*n*float64(o.Cells)*c + 2*n*n*c + 3*n*n, true
	case SimilarityBackward:
		n, c := float64(o.N), float64(o.C)
		return 7*n*float64(o.Cells)*c + 4*n*n*c + 5*n*n, true
	case Dropout: // the choice is made in integers
		return float64(o.Size), true
	case LayerNorm: // mean 1, variance 3, normalised 2, γ and β 2
		return 8 * float64(o.Rows) * float64(o.C), true
	case LayerNormBackward: // statistics again 4, x̂ 2, dγ 2, dβ 1, dx 8
		return 17 * float64(o.Rows) * float64(o.C), true
	case GELU:
		return 5 * float64(o.Size), true
	case GELUBackward:
		return 9 * float64(o.Size), true
	case Attention: // two products, softmax 5 and the scale
		return o.weights() * (4*float64(o.Dim) + 6), true
	case AttentionBackward: // five products, softmax again and its gradient 4
		return o.weights() * (10*float64(o.Dim) + 10), true
	case Tokens:
		return elems(o.Outputs()[0]), true
	case TokensBackward:
		return elems(o.Tokens.Outputs()[0]), true
	case Average:
		return 3 * elems(o.Of), true
	case SGD: // clip 1, decay 2, momentum 2, step 2
		return elems(o.Of) * (5 + when(o.Momentum != 0, 2) + when(o.Nesterov, 2)), true
	case AdamW: // clip 1, decay 1, m 3, v 4, step 6
		return 15 * elems(o.Of), true
	case EMA:
		return 3 * elems(o.Of), true
	case SquaredNorm:
		return 2 * elems(o.Of), true
	case SquaredDistance:
		return 3 * elems(o.Of), true
	}
	return 0, false
}

func (l Linear) products() float64 { return 2 * float64(l.M) * float64(l.K) * float64(l.N) }

// scored counts the interpolated logits.
func (p PixelCrossEntropy) scored() float64 {
	return float64(p.N) * float64(p.OH) * float64(p.OW) * float64(p.C)
}

// weights counts the attention weights of all heads.
func (a Attention) weights() float64 {
	return float64(a.N) * float64(a.Heads) * float64(a.T) * float64(a.T)
}

// traffic adds up the bytes of an operation's arguments.
func traffic(op Op, size func(Desc) float64) float64 {
	if t, ok := op.(Together); ok {
		total := 0.0
		for _, op := range t.Ops {
			total += traffic(op, size)
		}
		return total
	}
	in, out := op.Inputs(), op.Outputs()
	bytes := 0.0
	for _, d := range in {
		bytes += size(d)
	}
	for _, d := range out {
		bytes += size(d)
	}
	of := op
	if m, ok := op.(Mixed); ok {
		of = m.Of
	}
	switch o := of.(type) {
	case Conv:
		bytes -= size(in[0]) * (1 - o.visited())
	case ConvBackwardWeights:
		bytes -= size(in[0]) * (1 - o.visited())
	case Slice:
		bytes += size(out[0]) - size(in[0])
	case SGD:
		bytes += size(out[0])
		if o.Momentum != 0 {
			bytes += size(out[1])
		} else {
			bytes -= size(out[1])
		}
	case RunningStats, AdamW, EMA, SquaredNorm, SquaredDistance:
		for _, d := range out {
			bytes += size(d)
		}
	}
	return bytes
}

// visited is the share of the inputs that a tap falls on: less than 1 where the stride
// is larger than the kernel.
func (c Conv) visited() float64 {
	return side(c.H, c.OH(), c.KH, c.SH) * side(c.W, c.OW(), c.KW, c.SW)
}

func side(in, out, kernel, stride int) float64 {
	if kernel >= stride {
		return 1
	}
	return math.Min(1, float64(out*kernel)/float64(in))
}
