package onnx

import (
	"fmt"
	"math"
	"strings"

	"gorgonia.org/gorgonia"

	"manvision/device"
)

// operation translates what a device would compute.
func (w *walker) operation(n *gorgonia.Node, op device.Op, kids []*gorgonia.Node) (*value, error) {
	switch o := op.(type) {
	case device.Conv:
		return w.conv(o, kids)
	case device.BatchNorm:
		return w.norm(o, kids)
	case device.ReLU:
		x, maps, err := w.alike(kids[0])
		if err != nil {
			return nil, err
		}
		return as(w.b.add("Relu", "", x), maps), nil
	case device.Add:
		x, maps, err := w.alike(kids...)
		if err != nil {
			return nil, err
		}
		return as(w.relu(w.b.add("Add", "", x), o.ReLU), maps), nil
	case device.MaxPool:
		return w.pool("MaxPool", o.Pool, false, kids[0])
	case device.AvgPool:
		return w.pool("AveragePool", o.Pool, o.CountPad, kids[0])
	case device.GlobalAvgPool:
		x, err := w.maps(kids[0])
		if err != nil {
			return nil, err
		}
		return &value{plain: w.b.add("Flatten", "", []string{w.b.add("GlobalAveragePool", "", []string{x})})}, nil
	case device.Resize:
		return w.resize(o, kids[0])
	case device.Concat:
		return w.concat(n, kids)
	case device.Slice:
		return w.slice(n, o, kids[0])
	case device.SliceBackward:
		return w.pad(n, o, kids[0])
	case device.Linear:
		return w.linear(o, kids)
	case device.LayerNorm:
		return w.layerNorm(o, kids)
	case device.GELU:
		return w.gelu(kids[0])
	case device.Attention:
		return w.attention(o, kids[0])
	case device.Tokens:
		return w.tokens(o, kids)
	}
	return nil, fmt.Errorf("it has no translation to ONNX; this network cannot be exported")
}

// relu appends a ReLU if asked for.
func (w *walker) relu(x string, on bool) string {
	if !on {
		return x
	}
	return w.b.add("Relu", x+".relu", []string{x})
}

func (w *walker) conv(c device.Conv, kids []*gorgonia.Node) (*value, error) {
	x, err := w.maps(kids[0])
	if err != nil {
		return nil, err
	}
	in := []string{x}
	for _, p := range kids[1 : 2+count(c.Bias)] {
		name, err := w.plain(p)
		if err != nil {
			return nil, err
		}
		in = append(in, name)
	}
	y := w.convNode(c, in, layer(kids[1]))
	if c.Sum {
		z, err := w.maps(kids[len(kids)-1])
		if err != nil {
			return nil, err
		}
		y = w.b.add("Add", "", []string{y, z})
	}
	return &value{maps: w.relu(y, c.ReLU)}, nil
}

func count(yes bool) int {
	if yes {
		return 1
	}
	return 0
}

func (w *walker) convNode(c device.Conv, in []string, hint string) string {
	return w.b.add("Conv", hint, in, attr{"kernel_shape", []int{c.KH, c.KW}}, attr{"strides", []int{c.SH, c.SW}},
		attr{"pads", []int{c.PH, c.PW, c.PH, c.PW}}, attr{"dilations", []int{c.DH, c.DW}}, attr{"group", c.Groups})
}

// norm is a batch norm, which becomes a part of the convolution before it where that is
// asked for and nothing else reads the convolution or its weight.
func (w *walker) norm(o device.BatchNorm, kids []*gorgonia.Node) (*value, error) {
	if !o.Global {
		return nil, fmt.Errorf("a batch norm with the batch's own statistics is for training")
	}
	if w.fold {
		if v, ok, err := w.folded(o, kids); ok || err != nil {
			return v, err
		}
	}
	x, maps, err := w.alike(kids[0])
	if err != nil {
		return nil, err
	}
	if kids[0].Dims() == 4 && !maps {
		name, err := w.maps(kids[0])
		if err != nil {
			return nil, err
		}
		x, maps = []string{name}, true
	}
	for _, p := range kids[1:] {
		name, err := w.plain(p)
		if err != nil {
			return nil, err
		}
		x = append(x, name)
	}
	y := w.b.add("BatchNormalization", layer(kids[1]), x, attr{"epsilon", o.Eps})
	return as(w.relu(y, o.ReLU), maps), nil
}

// folded is a convolution together with the norm behind it: with k = γ/sqrt(σ²+ε) the
// weight is w·k and the bias β + (b − μ)·k.
func (w *walker) folded(o device.BatchNorm, kids []*gorgonia.Node) (*value, bool, error) {
	conv := kids[0]
	d, ok := conv.Op().(interface{ Descriptor() device.Op })
	if !ok {
		return nil, false, nil
	}
	c, ok := d.Descriptor().(device.Conv)
	if !ok || c.ReLU || c.Sum || w.uses[conv.ID()] > 1 {
		return nil, false, nil
	}
	params := children(w.graph, conv)
	for _, p := range append(params[1:len(params):len(params)], kids[1:]...) {
		if p.Op() != nil || w.uses[p.ID()] > 1 {
			return nil, false, nil
		}
	}
	x, err := w.maps(params[0])
	if err != nil {
		return nil, false, err
	}
	get := func(n *gorgonia.Node) ([]float64, error) {
		v := make([]float64, n.Shape().TotalSize())
		return v, w.store.Get(n.Name(), v)
	}
	var k, shift []float64
	ready := func() error {
		if k != nil {
			return nil
		}
		var p [4][]float64 // γ, β, μ, σ²
		for i := range p {
			var err error
			if p[i], err = get(kids[1+i]); err != nil {
				return err
			}
		}
		bias := make([]float64, c.OC)
		if c.Bias {
			var err error
			if bias, err = get(params[2]); err != nil {
				return err
			}
		}
		k, shift = make([]float64, c.OC), make([]float64, c.OC)
		for i := range k {
			k[i] = p[0][i] / math.Sqrt(p[3][i]+o.Eps)
			shift[i] = p[1][i] + (bias[i]-p[2][i])*k[i]
		}
		return nil
	}
	weight := params[1].Name()
	w.parameter(weight, func(dst []float32) error {
		if err := ready(); err != nil {
			return err
		}
		full, err := get(params[1])
		per := len(full) / c.OC
		for i, v := range full {
			dst[i] = float32(v * k[i/per])
		}
		return err
	})
	bias := strings.TrimSuffix(weight, "weight") + "bias"
	if !c.Bias {
		bias = w.b.unique(bias)
	}
	w.b.initializers = append(w.b.initializers, &initializer{name: bias, elem: float, shape: []int{c.OC}, load: func(dst []float32) error {
		if err := ready(); err != nil {
			return err
		}
		for i, v := range shift {
			dst[i] = float32(v)
		}
		return nil
	}})
	y := w.convNode(c, []string{x, weight, bias}, layer(params[1]))
	return &value{maps: w.relu(y, o.ReLU)}, true, nil
}

// pool is a pooling. Rounding up becomes padding below and on the right: runtimes do
// not agree about windows that begin beyond the image.
func (w *walker) pool(op string, p device.Pool, countPad bool, of *gorgonia.Node) (*value, error) {
	x, err := w.maps(of)
	if err != nil {
		return nil, err
	}
	behind := func(out, stride, kernel, in, pad int) int {
		if !p.Ceil {
			return pad
		}
		return max(0, (out-1)*stride+kernel-in-pad)
	}
	bottom, right := behind(p.OH(), p.SH, p.KH, p.H, p.PH), behind(p.OW(), p.SW, p.KW, p.W, p.PW)
	if countPad && (bottom > p.PH || right > p.PW) {
		return nil, fmt.Errorf("an average over windows that reach beyond the padding, which counts, is none of ONNX's")
	}
	attrs := []attr{{"kernel_shape", []int{p.KH, p.KW}}, {"strides", []int{p.SH, p.SW}}, {"pads", []int{p.PH, p.PW, bottom, right}}}
	if countPad {
		attrs = append(attrs, attr{"count_include_pad", 1})
	}
	return &value{maps: w.b.add(op, "", []string{x}, attrs...)}, nil
}

// resize interpolates. Nearest cells between whole multiples are gathered by index:
// which cell a runtime's division of floats finds there is not certain.
func (w *walker) resize(r device.Resize, of *gorgonia.Node) (*value, error) {
	x, err := w.maps(of)
	if err != nil {
		return nil, err
	}
	if r.OH == r.H && r.OW == r.W {
		return &value{maps: x}, nil
	}
	if r.Mode == device.Nearest && (r.OH%r.H != 0 || r.OW%r.W != 0) {
		for axis, size := range [4][2]int{2: {r.H, r.OH}, 3: {r.W, r.OW}} {
			if size[0] == size[1] {
				continue
			}
			index := make([]int64, size[1])
			for i := range index {
				index[i] = int64(i * size[0] / size[1])
			}
			x = w.b.add("Gather", "", []string{x, w.b.ints(nil, index...)}, attr{"axis", axis})
		}
		return &value{maps: x}, nil
	}
	attrs := map[device.ResizeMode][]attr{
		device.Nearest:         {{"mode", "nearest"}, {"coordinate_transformation_mode", "asymmetric"}, {"nearest_mode", "floor"}},
		device.Bilinear:        {{"mode", "linear"}, {"coordinate_transformation_mode", "half_pixel"}},
		device.BilinearAligned: {{"mode", "linear"}, {"coordinate_transformation_mode", "align_corners"}},
	}[r.Mode]
	return &value{maps: w.b.add("Resize", "", []string{x, "", "", w.sizes(x, of, r.OH, r.OW)}, attrs...)}, nil
}

// sizes is the shape [N,C,h,w] with N and C of x, the maps of node of.
func (w *walker) sizes(x string, of *gorgonia.Node, h, width int) string {
	d := w.dims(of)
	if d[0] > 0 {
		return w.b.ints(nil, int64(d[0]), int64(d[3]), int64(h), int64(width))
	}
	first := w.b.add("Shape", "", []string{x}, attr{"start", 0}, attr{"end", 2})
	return w.b.add("Concat", "", []string{first, w.b.ints(nil, int64(h), int64(width))}, attr{"axis", 0})
}

// changed is the axis along which two nodes differ in size, -1 for none.
func changed(a, b *gorgonia.Node) int {
	for i, d := range a.Shape() {
		if b.Shape()[i] != d {
			return i
		}
	}
	return -1
}

func (w *walker) concat(n *gorgonia.Node, kids []*gorgonia.Node) (*value, error) {
	x, maps, err := w.alike(kids...)
	if err != nil {
		return nil, err
	}
	i := max(changed(n, kids[0]), 0) // of one: any
	if w.dims(n)[i] < 0 {
		return nil, fmt.Errorf("images are put behind one another; name a batch size")
	}
	return as(w.b.add("Concat", "", x, attr{"axis", axis(i, n.Dims(), maps)}), maps), nil
}

func (w *walker) slice(n *gorgonia.Node, o device.Slice, of *gorgonia.Node) (*value, error) {
	x, maps, err := w.alike(of)
	if err != nil {
		return nil, err
	}
	i := changed(n, of)
	if i < 0 {
		return as(x[0], maps), nil
	}
	if w.dims(of)[i] < 0 {
		return nil, fmt.Errorf("some of the images are taken; name a batch size")
	}
	from := o.From / (o.Size / n.Shape()[i])
	y := w.b.add("Slice", "", []string{x[0], w.b.ints(nil, int64(from)), w.b.ints(nil, int64(from+n.Shape()[i])), w.b.ints(nil, int64(axis(i, n.Dims(), maps)))})
	return as(y, maps), nil
}

// pad puts zeros around x along one axis.
func (w *walker) pad(n *gorgonia.Node, o device.SliceBackward, of *gorgonia.Node) (*value, error) {
	x, maps, err := w.alike(of)
	if err != nil {
		return nil, err
	}
	i := changed(n, of)
	if i < 0 {
		return as(x[0], maps), nil
	}
	rank, inner := n.Dims(), o.Size/of.Shape()[i]
	pads := make([]int64, 2*rank)
	at := axis(i, rank, maps)
	pads[at] = int64(o.From / inner)
	pads[rank+at] = int64((o.Total - o.From - o.Size) / inner)
	return as(w.b.add("Pad", "", []string{x[0], w.b.ints(nil, pads...)}), maps), nil
}

// linear is x·wᵀ + b over the last axis.
func (w *walker) linear(l device.Linear, kids []*gorgonia.Node) (*value, error) {
	var in []string
	for _, k := range kids {
		name, err := w.plain(k)
		if err != nil {
			return nil, err
		}
		in = append(in, name)
	}
	hint := layer(kids[1])
	if kids[0].Dims() == 2 {
		return &value{plain: w.b.add("Gemm", hint, in, attr{"transB", 1})}, nil
	}
	y := w.b.add("MatMul", hint, []string{in[0], w.b.add("Transpose", in[1]+".T", in[1:2], attr{"perm", []int{1, 0}})})
	if l.Bias {
		y = w.b.add("Add", hint, []string{y, in[2]})
	}
	return &value{plain: y}, nil
}
