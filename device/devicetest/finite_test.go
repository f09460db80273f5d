package devicetest

import (
	"fmt"
	"math"
	"testing"

	"manvision/device"
	"manvision/device/ref"
)

// gradient is one differentiable operation: how its backward operations are fed
// and which gradient comes out where. The loss is Σ weight·y, so dy is weight.
type gradient struct {
	name    string
	forward device.Op
	in      []any
	// back lists the backward operations. wire says by input which tensor of the
	// forward operation it is: "x0" input 0, "y0" output 0, "dy" the gradient of
	// output 0. grads gives by output the forward input that it is the gradient of.
	back []backward
}

type backward struct {
	op    device.Op
	wire  []string
	grads []int
}

// gradients is the table of all differentiable operations.
func gradients() []gradient {
	var list []gradient
	g := seeded("gradients")
	add := func(name string, forward device.Op, in []any, back ...backward) {
		list = append(list, gradient{name, forward, in, back})
	}

	for i, o := range []device.Conv{geometry(3, 3, 1, 1, 1), geometry(3, 3, 2, 1, 1), geometry(3, 3, 1, 2, 2), geometry(5, 3, 2, 2, 1), geometry(1, 1, 1, 0, 1)} {
		o.N, o.H, o.W, o.IC, o.OC, o.Bias = 2, 5, 6, 4, 6, true
		o.Groups = 1 + i%2
		add("conv "+convName(o), o, []any{g.of(o.X()), g.of(o.Weight()), g.normal(o.OC, 0, 1)},
			backward{device.ConvBackwardData{Conv: o}, []string{"dy", "x1"}, []int{0}},
			backward{device.ConvBackwardWeights{Conv: o}, []string{"x0", "dy"}, []int{1, 2}})
	}
	lin := device.Linear{M: 3, K: 5, N: 4, Bias: true}
	add("linear", lin, []any{g.normal(15, 0, 1), g.normal(20, 0, 1), g.normal(4, 0, 1)},
		backward{device.LinearBackwardData{Linear: lin}, []string{"dy", "x1"}, []int{0}},
		backward{device.LinearBackwardWeights{Linear: lin}, []string{"x0", "dy"}, []int{1, 2}})

	for _, relu := range []bool{false, true} {
		o := device.BatchNorm{N: 2, H: 3, W: 2, C: 3, Eps: 1e-5, ReLU: relu}
		wire := []string{"x0", "dy", "x1", "y1", "y2"}
		if relu {
			wire = append(wire, "y3")
		}
		add(fmt.Sprintf("bn relu=%v", relu), o, []any{g.of(o.X()), g.normal(3, 1, 0.3), g.normal(3, 0, 1)},
			backward{device.BatchNormBackward{BatchNorm: o}, wire, []int{0, 1, 2}})
		o.Global = true
		wire = []string{"x0", "dy", "x1", "x3", "x4"}
		if relu {
			wire = append(wire, "y1")
		}
		add(fmt.Sprintf("bn global relu=%v", relu), o,
			[]any{g.of(o.X()), g.normal(3, 1, 0.3), g.normal(3, 0, 1), g.normal(3, 0, 1), squares(g.normal(3, 1, 0.2))},
			backward{device.BatchNormBackward{BatchNorm: o}, wire, []int{0, 1, 2}})
	}

	add("relu", device.ReLU{Size: 20}, []any{g.normal(20, 0, 1)}, backward{device.ReLUBackward{Size: 20}, []string{"y0", "dy"}, []int{0}})
	add("fuse", device.Fuse{Size: 20}, []any{[]float64{0.75}, g.normal(20, 0, 1), g.normal(20, 0, 1)},
		backward{device.FuseBackward{Size: 20}, []string{"x0", "x1", "x2", "dy"}, []int{1, 2, 0}})

	for _, p := range []device.Pool{
		{N: 2, H: 5, W: 7, C: 3, KH: 3, KW: 3, SH: 2, SW: 2, PH: 1, PW: 1},
		{N: 1, H: 6, W: 5, C: 2, KH: 3, KW: 2, SH: 2, SW: 2, PH: 1, PW: 0, Ceil: true},
		{N: 1, H: 5, W: 5, C: 2, KH: 2, KW: 3, SH: 3, SW: 1},
	} {
		name := fmt.Sprintf("%dx%d ceil=%v", p.KH, p.KW, p.Ceil)
		add("maxpool "+name, device.MaxPool{Pool: p}, []any{g.of(p.X())},
			backward{device.MaxPoolBackward{Pool: p}, []string{"y1", "dy"}, []int{0}})
		for _, count := range []bool{false, true} {
			add(fmt.Sprintf("avgpool %s count=%v", name, count), device.AvgPool{Pool: p, CountPad: count}, []any{g.of(p.X())},
				backward{device.AvgPoolBackward{Pool: p, CountPad: count}, []string{"dy"}, []int{0}})
		}
	}
	add("gap", device.GlobalAvgPool{N: 2, H: 3, W: 4, C: 3}, []any{g.normal(72, 0, 1)},
		backward{device.GlobalAvgPoolBackward{N: 2, H: 3, W: 4, C: 3}, []string{"dy"}, []int{0}})
	for mode := range device.ResizeMode(3) {
		for _, size := range [][2]int{{7, 9}, {2, 2}, {1, 1}, {4, 3}} {
			o := device.Resize{N: 2, H: 4, W: 3, C: 2, OH: size[0], OW: size[1], Mode: mode}
			add(fmt.Sprintf("resize mode %d to %v", mode, size), o, []any{g.normal(48, 0, 1)},
				backward{device.ResizeBackward{Resize: o}, []string{"dy"}, []int{0}})
		}
	}
	cut := device.Slice{Outer: 3, Total: 7, From: 2, Size: 4}
	add("slice", cut, []any{g.normal(21, 0, 1)}, backward{device.SliceBackward{Slice: cut}, []string{"dy"}, []int{0}})

	labels := []int32{0, 3, device.Background, device.Ignore, 1, 2}
	for _, gamma := range []float64{0, 1.5, 2} {
		o := device.FocalLoss{Rows: 6, Classes: 4, Alpha: 0.25, Gamma: gamma}
		add(fmt.Sprintf("focal gamma %v", gamma), o, []any{g.normal(24, 0, 2), labels, []float64{3}},
			backward{device.FocalLossBackward{FocalLoss: o}, []string{"x0", "x1", "x2", "dy"}, []int{0}})
	}
	for _, beta := range []float64{0, 0.5, 1} {
		o := device.SmoothL1{Rows: 6, Dim: 4, Beta: beta}
		add(fmt.Sprintf("smoothl1 beta %v", beta), o, []any{g.normal(24, 0, 1), g.normal(24, 0, 1), labels, []float64{3}},
			backward{device.SmoothL1Backward{SmoothL1: o}, []string{"x0", "x1", "x2", "x3", "dy"}, []int{0}})
	}
	ce := device.CrossEntropy{Rows: 6, Classes: 4, IgnoreIndex: 255}
	add("crossentropy", ce, []any{g.normal(24, 0, 2), []int32{0, 3, 255, 1, 2, 255}},
		backward{device.CrossEntropyBackward{CrossEntropy: ce}, []string{"x0", "x1", "dy"}, []int{0}})
	for _, size := range [][2]int{{9, 11}, {3, 4}, {2, 2}} {
		for _, mined := range []device.PixelCrossEntropy{{}, {Threshold: 0.2}, {MinKept: 5}, {Threshold: 0.01, MinKept: 4}} {
			o := mined
			o.N, o.H, o.W, o.C, o.OH, o.OW, o.IgnoreIndex, o.Weight = 2, 3, 4, 4, size[0], size[1], 255, 0.7
			add(fmt.Sprintf("pixel cross-entropy to %v mined %v %d", size, o.Threshold, o.MinKept), o,
				[]any{g.normal(96, 0, 2), g.labels(2*size[0]*size[1], 0, 1, 2, 3, 255)},
				backward{device.PixelCrossEntropyBackward{PixelCrossEntropy: o}, []string{"x0", "x1", "y1", "dy"}, []int{0}})
		}
	}
	bce := device.SigmoidBCE{Size: 20, Weight: 2}
	add("sigmoid cross-entropy", bce, []any{g.normal(20, 0, 2), squares(g.normal(20, 0, 0.5))},
		backward{device.SigmoidBCEBackward{SigmoidBCE: bce}, []string{"x0", "x1", "dy"}, []int{0}})
	soft := device.SoftCrossEntropy{Rows: 4, Classes: 5, Weight: 0.7}
	add("soft cross-entropy", soft, []any{g.normal(20, 0, 2), squares(g.normal(20, 0, 0.5))},
		backward{device.SoftCrossEntropyBackward{SoftCrossEntropy: soft}, []string{"x0", "x1", "dy"}, []int{0}})
	con := device.SupCon{Rows: 7, Dim: 5, Temperature: 0.5, Weight: 0.7}
	add("contrastive", con, []any{g.normal(35, 0, 1), []int32{0, 1, 0, 2, 1, 0, 3}},
		backward{device.SupConBackward{SupCon: con}, []string{"x0", "x1", "dy"}, []int{0}})
	for _, cells := range []int{1, 6} {
		sim := device.Similarity{N: 5, Cells: cells, C: 4, Classes: 3, Weight: 0.7}
		add(fmt.Sprintf("similarity of %d cells", cells), sim, []any{g.normal(20*cells, 0, 1), []int32{0, 1, 0, 2, 1}},
			backward{device.SimilarityBackward{Similarity: sim}, []string{"x0", "x1", "dy"}, []int{0}})
	}
	ln := device.LayerNorm{Rows: 3, C: 5, Eps: 1e-6}
	add("layer norm", ln, []any{g.normal(15, 0, 1), g.normal(5, 1, 0.3), g.normal(5, 0, 1)},
		backward{device.LayerNormBackward{LayerNorm: ln}, []string{"x0", "dy", "x1"}, []int{0, 1, 2}})
	add("gelu", device.GELU{Size: 20}, []any{g.normal(20, 0, 2)}, backward{device.GELUBackward{Size: 20}, []string{"x0", "dy"}, []int{0}})
	att := device.Attention{N: 2, T: 4, Heads: 2, Dim: 3, Scale: 0.6}
	add("attention", att, []any{g.of(att.QKV())}, backward{device.AttentionBackward{Attention: att}, []string{"x0", "dy"}, []int{0}})
	tok := device.Tokens{N: 2, Patches: 3, D: 4}
	add("tokens", tok, []any{g.normal(24, 0, 1), g.normal(4, 0, 1), g.normal(16, 0, 1)},
		backward{device.TokensBackward{Tokens: tok}, []string{"dy"}, []int{0, 1, 2}})
	drop := device.Dropout{Size: 20, P: 0.4, Seed: 3}
	add("dropout", drop, []any{g.normal(20, 0, 1), []int32{7}}, backward{drop, []string{"dy", "x1"}, []int{0}})
	return list
}

// TestRefFiniteDifferences compares the gradients of the reference's backward
// operations with central differences of its forward ones,
// (L(x+h)−L(x−h))/2h in float64 with h = 1e-5: truncation is about
// h²·L‴/6 = 1e-10, rounding 1e-16·|L|/h = 1e-10, so they must agree to 1e-7 of
// the largest gradient. No datum lies within h of a kink (ReLU, maxima, |d| = 0,
// |d| = β); the seed is fixed.
func TestRefFiniteDifferences(t *testing.T) {
	const h, accepted = 1e-5, 1e-7
	dev := ref.New()
	for _, g := range gradients() {
		t.Run(g.name, func(t *testing.T) {
			out := execute(t, dev, g.forward, g.in, nil)
			s := seeded(g.name)
			weight := s.of(g.forward.Outputs()[0])
			loss := func() float64 {
				sum := 0.0
				for i, v := range execute(t, dev, g.forward, g.in, nil)[0].([]float64) {
					sum += weight[i] * v
				}
				return sum
			}
			for _, b := range g.back {
				in := make([]any, len(b.wire))
				for i, w := range b.wire {
					switch w[0] {
					case 'x':
						in[i] = g.in[w[1]-'0']
					case 'y':
						in[i] = out[w[1]-'0']
					default:
						in[i] = weight
					}
				}
				grads := execute(t, dev, b.op, in, nil)
				for o, target := range b.grads {
					x, got := g.in[target].([]float64), grads[o].([]float64)
					scale := 1e-3
					for _, v := range got {
						scale = math.Max(scale, math.Abs(v))
					}
					for i, v := range x {
						x[i] = v + h
						up := loss()
						x[i] = v - h
						down := loss()
						x[i] = v
						if want := (up - down) / (2 * h); !(math.Abs(got[i]-want) <= accepted*scale) {
							t.Errorf("%s, input %d, element %d: gradient %v, central difference %v", b.op.Kind(), target, i, got[i], want)
						}
					}
				}
			}
		})
	}
}

// execute runs an operation on the reference device, whose memory is host memory:
// arguments are []float64, []int32 or []byte (Bits, Window). Outputs that are nil,
// or all when out is nil, are made.
func execute(t testing.TB, dev *ref.Device, op device.Op, in, out []any) []any {
	t.Helper()
	k, err := dev.Prepare(op)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	ptrs := make([]device.Ptr, len(in))
	for i, v := range in {
		ptrs[i] = address(v)
	}
	if out == nil {
		out = make([]any, len(op.Outputs()))
	}
	outs := make([]device.Ptr, len(out))
	for i, d := range op.Outputs() {
		switch {
		case out[i] != nil:
		case d.DType == device.Float:
			out[i] = make([]float64, d.Elems())
		default:
			out[i] = make([]byte, d.Elems())
		}
		outs[i] = address(out[i])
	}
	scratch := make([]float64, k.Scratch()/8+1)
	if err := k.Bind(ptrs, outs, address(scratch)); err != nil {
		t.Fatal(err)
	}
	if err := dev.Do(k.Run); err != nil {
		t.Fatal(err)
	}
	return out
}

func address(v any) device.Ptr {
	switch v := v.(type) {
	case []float64:
		return device.Ptr(&v[0])
	case []int32:
		return device.Ptr(&v[0])
	}
	return device.Ptr(&v.([]byte)[0])
}
