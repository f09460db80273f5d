package onnx

import (
	"math"

	"gorgonia.org/gorgonia"

	"manvision/device"
)

func (w *walker) layerNorm(o device.LayerNorm, kids []*gorgonia.Node) (*value, error) {
	var in []string
	for _, k := range kids {
		name, err := w.plain(k)
		if err != nil {
			return nil, err
		}
		in = append(in, name)
	}
	return &value{plain: w.b.add("LayerNormalization", layer(kids[1]), in, attr{"axis", -1}, attr{"epsilon", o.Eps})}, nil
}

// gelu is x/2·(1 + erf(x/√2)): operator set 17 has no Gelu.
func (w *walker) gelu(of *gorgonia.Node) (*value, error) {
	x, maps, err := w.alike(of)
	if err != nil {
		return nil, err
	}
	b := w.b
	y := b.add("Erf", "", []string{b.add("Mul", "", []string{x[0], b.scalar(math.Sqrt2 / 2)})})
	y = b.add("Mul", "", []string{x[0], b.add("Add", "", []string{y, b.scalar(1)})})
	return as(b.add("Mul", "Gelu", []string{y, b.scalar(0.5)}), maps), nil
}

// attention is softmax(scale·q·kᵀ)·v by head on queries, keys and values side by side.
func (w *walker) attention(a device.Attention, of *gorgonia.Node) (*value, error) {
	x, err := w.plain(of)
	if err != nil {
		return nil, err
	}
	b := w.b
	// A size of 0 is the input's.
	x = b.add("Reshape", "", []string{x, b.ints(nil, 0, int64(a.T), 3, int64(a.Heads), int64(a.Dim))})
	x = b.add("Transpose", "", []string{x}, attr{"perm", []int{2, 0, 3, 1, 4}}) // [3,N,Heads,T,Dim]
	var part [3]string
	for i, name := range []string{"query", "key", "value"} {
		part[i] = b.add("Gather", name, []string{x, b.ints([]int{}, int64(i))}, attr{"axis", 0})
	}
	keys := b.add("Transpose", "", []string{part[1]}, attr{"perm", []int{0, 1, 3, 2}})
	y := b.add("MatMul", "", []string{b.add("Mul", "", []string{part[0], b.scalar(a.Scale)}), keys})
	y = b.add("MatMul", "", []string{b.add("Softmax", "", []string{y}, attr{"axis", -1}), part[2]})
	y = b.add("Transpose", "", []string{y}, attr{"perm", []int{0, 2, 1, 3}})
	return &value{plain: b.add("Reshape", "Attention", []string{y, b.ints(nil, 0, int64(a.T), int64(a.Heads*a.Dim))})}, nil
}

// tokens puts the class token in front and adds the positions: zeros are put where the
// other part has its values, which fits any number of images.
func (w *walker) tokens(t device.Tokens, kids []*gorgonia.Node) (*value, error) {
	var in [3]string
	for i, k := range kids {
		var err error
		if in[i], err = w.plain(k); err != nil {
			return nil, err
		}
	}
	b := w.b
	x := b.add("Pad", "", []string{in[0], b.ints(nil, 0, 1, 0, 0, 0, 0)})
	cls := b.add("Reshape", "", []string{in[1], b.ints(nil, 1, 1, int64(t.D))})
	cls = b.add("Pad", "", []string{cls, b.ints(nil, 0, 0, 0, 0, int64(t.Patches), 0)})
	pos := b.add("Reshape", "", []string{in[2], b.ints(nil, 1, int64(t.Patches+1), int64(t.D))})
	return &value{plain: b.add("Add", "Tokens", []string{b.add("Add", "", []string{x, cls}), pos})}, nil
}
