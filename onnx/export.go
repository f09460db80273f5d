package onnx

import (
	"encoding/json"
	"fmt"
	"runtime/debug"
	"slices"

	"gorgonia.org/gorgonia"

	"manvision/classification"
	"manvision/detection"
	"manvision/manpp"
	"manvision/nn"
	"manvision/segmentation"
)

// Options say what a file is for.
type Options struct {
	// Batch is the number of images at a time; 0 leaves it to the run, which calls that
	// axis N.
	Batch int
	// H and W are the input's size in pixels.
	H, W int
	// Decode adds what makes results of outputs: probabilities of classes, boxes after
	// suppression, label maps.
	Decode bool
	// Fold makes a batch norm part of the convolution before it. Otherwise it is a
	// BatchNormalization with parameters under their own names.
	Fold bool
	// Normalize takes pixels from 0 to 255 and makes Info's normalisation the file's
	// first operations. Otherwise the input is normalised already.
	Normalize bool
}

// Info is what a file's metadata tell beside the network.
type Info struct {
	Source  string   // of the weights
	Classes []string // names in the order of the outputs
	// Labels are what classes are called in the data's own files: COCO's category ids,
	// CityScapes' label ids. nil: their places.
	Labels []int
	// Mean and Std normalise RGB in [0,1]: (v/255 - Mean)/Std. Std must not be zero.
	Mean, Std [3]float32
	// Resize tells in words how a picture gets the input's size.
	Resize string
}

func (o Options) check() error {
	if o.Batch < 0 || o.H < 1 || o.W < 1 {
		return fmt.Errorf("onnx: batch %d of %dx%d pixels: sizes must be positive", o.Batch, o.H, o.W)
	}
	return nil
}

// Classifier exports a classifier: output logits [N,classes], or decoded probabilities
// [N,classes].
func Classifier(m *manpp.Model, net *classification.Net, info Info, o Options) (*File, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	w, outs, err := walk(m.Store, o, func(g *nn.Graph, images *gorgonia.Node) []*gorgonia.Node {
		return []*gorgonia.Node{net.Logits(g, m, m.Features(g, images))}
	})
	if err != nil && m.Backbone.ViT != nil {
		return nil, fmt.Errorf("%w; a vision transformer looks at images of the size that it was trained with", err)
	}
	if err != nil {
		return nil, err
	}
	y, err := w.plain(outs[0])
	if err != nil {
		return nil, err
	}
	name := "logits"
	if o.Decode {
		name, y = "probabilities", w.b.add("Softmax", "", []string{y}, attr{"axis", -1})
	}
	w.b.result(y, name)
	return w.file("classification", info, o, []Value{w.output(name, float, w.dims(outs[0])...)}, nil)
}

// Segmenter exports a segmentation network: output logits [N,classes,H,W] in the input's
// size, interpolated bilinearly, or decoded the label map [N,H,W] of the greatest ones:
// uint8, or int64 beyond 256 classes.
func Segmenter(m *manpp.Model, net *segmentation.Net, info Info, o Options) (*File, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	w, outs, err := walk(m.Store, o, func(g *nn.Graph, images *gorgonia.Node) []*gorgonia.Node {
		logits := net.Outputs(g, m.Features(g, images))
		if g.Err() != nil || logits.Shape()[1] == o.H && logits.Shape()[2] == o.W {
			return []*gorgonia.Node{logits}
		}
		return []*gorgonia.Node{g.Resize(logits, o.H, o.W, bilinear)}
	})
	if err != nil {
		return nil, err
	}
	y, err := w.maps(outs[0])
	if err != nil {
		return nil, err
	}
	d := w.dims(outs[0])
	out := w.output("logits", float, d[0], d[3], o.H, o.W)
	if o.Decode {
		y = w.b.add("ArgMax", "", []string{y}, attr{"axis", 1}, attr{"keepdims", 0})
		out = w.output("labels", int64s, d[0], o.H, o.W)
		if net.Classes <= 256 {
			y = w.b.add("Cast", "", []string{y}, attr{"to", int(uint8s)})
			out = w.output("labels", uint8s, d[0], o.H, o.W)
		}
	}
	w.b.result(y, out.Name)
	return w.file("segmentation", info, o, []Value{out}, nil)
}

// Detector exports a RetinaNet: outputs logits [N,A,classes], before the sigmoid, deltas
// [N,A,4] and anchors [A,4], x1 y1 x2 y2 in pixels of the input. Decoded, for a batch of
// one, outputs are boxes [detections,4], x1 y1 x2 y2 in pixels of the input, scores and
// labels [detections], best first: what detection.PostProcessor makes of them by post.
func Detector(m *manpp.Model, net *detection.RetinaNet, post detection.PostConfig, info Info, o Options) (*File, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	if err := post.Validate(); err != nil {
		return nil, err
	}
	if o.Decode && o.Batch != 1 {
		return nil, fmt.Errorf("onnx: a detector that decodes its outputs takes one image at a time, as their numbers of boxes differ: use a batch of 1, or raw outputs")
	}
	grid, err := net.Anchors.Grid(o.H, o.W)
	if err != nil {
		return nil, err
	}
	w, outs, err := walk(m.Store, o, func(g *nn.Graph, images *gorgonia.Node) []*gorgonia.Node {
		logits, deltas := net.Outputs(g, m.Features(g, images))
		return []*gorgonia.Node{logits, deltas}
	})
	if err != nil {
		return nil, err
	}
	if a := outs[0].Shape()[1]; a != grid.Len() {
		return nil, fmt.Errorf("onnx: %d anchors for %d outputs: the detector cannot look at images of %dx%d", grid.Len(), a, o.H, o.W)
	}
	var names [2]string
	for i, n := range outs {
		if names[i], err = w.plain(n); err != nil {
			return nil, err
		}
	}
	how := postProperty(post)
	if o.Decode {
		w.decode(names[0], names[1], grid, net.Classes, post, o)
		found := Dim{Name: "detections"}
		return w.file("detection", info, o, []Value{
			{Name: "boxes", Type: float.String(), elem: float, Dims: []Dim{found, {Size: 4}}},
			{Name: "scores", Type: float.String(), elem: float, Dims: []Dim{found}},
			{Name: "labels", Type: int64s.String(), elem: int64s, Dims: []Dim{found}},
		}, how)
	}
	anchors := make([]float32, 0, 4*grid.Len())
	for _, b := range grid.Boxes {
		anchors = append(anchors, b[:]...)
	}
	w.b.result(names[0], "logits")
	w.b.result(names[1], "deltas")
	w.b.result(w.b.floats("anchor_boxes", []int{grid.Len(), 4}, anchors...), "anchors")
	return w.file("detection", info, o, []Value{
		w.output("logits", float, w.dims(outs[0])...), w.output("deltas", float, w.dims(outs[1])...), w.output("anchors", float, grid.Len(), 4),
	}, how)
}

// output describes an output; a size of -1 is the number of images.
func (w *walker) output(name string, elem dataType, dims ...int) Value {
	v := Value{Name: name, Type: elem.String(), elem: elem}
	for _, d := range dims {
		v.Dims = append(v.Dims, axisOf(d))
	}
	return v
}

func axisOf(d int) Dim {
	if d < 1 {
		return Dim{Name: "N"}
	}
	return Dim{Size: d}
}

// file puts the parts together.
func (w *walker) file(task string, info Info, o Options, outs []Value, more []Property) (*File, error) {
	if n := len(info.Labels); n > 0 && n != len(info.Classes) {
		return nil, fmt.Errorf("onnx: %d labels for %d classes", n, len(info.Classes))
	}
	for _, s := range info.Std {
		if !(s > 0) {
			return nil, fmt.Errorf("onnx: standard deviation %v of the normalisation must be above 0", s)
		}
	}
	if o.Normalize {
		w.normalize(info)
	}
	f := &File{build: w.b, name: task, version: version(), Outputs: outs,
		Inputs: []Value{{Name: inputName, Type: float.String(), elem: float, Dims: []Dim{axisOf(o.Batch), {Size: 3}, {Size: o.H}, {Size: o.W}}}}}
	for _, t := range w.b.initializers {
		if t.load != nil {
			f.Parameters += int64(t.elems())
		}
	}
	input := map[string]any{"layout": "NCHW", "channels": "RGB", "height": o.H, "width": o.W, "mean": info.Mean, "std": info.Std, "resize": info.Resize,
		"normalised_inside": o.Normalize, "input": "(pixel/255 - mean)/std"}
	if o.Normalize {
		input["input"] = "pixel, 0 to 255"
	}
	f.Metadata = append([]Property{{"manvision.version", f.version}, {"manvision.task", task}, {"manvision.source", info.Source},
		{"manvision.classes", inJSON(info.Classes)}, {"manvision.preprocessing", inJSON(input)}}, more...)
	if info.Labels != nil {
		f.Metadata = append(f.Metadata, Property{"manvision.labels", inJSON(info.Labels)})
	}
	return f, nil
}

// normalize puts the normalisation of pixels in front of whatever reads the input.
func (w *walker) normalize(info Info) {
	var mean, std [3]float32
	for i := range mean {
		mean[i], std[i] = info.Mean[i]*255, info.Std[i]*255
	}
	b := w.b
	first := len(b.nodes)
	x := b.add("Sub", "centred", []string{inputName, b.floats("mean", []int{1, 3, 1, 1}, mean[:]...)})
	x = b.add("Div", "normalised", []string{x, b.floats("std", []int{1, 3, 1, 1}, std[:]...)})
	for _, n := range b.nodes[:first] {
		for i, in := range n.in {
			if in == inputName {
				n.in[i] = x
			}
		}
	}
	b.nodes = slices.Concat(b.nodes[first:], b.nodes[:first]) // in the order of computation
}

func inJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err) // of a type that has no JSON form
	}
	return string(b)
}

// version is the program's, with the commit it was built of where that is known.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			v += " " + s.Value
		}
	}
	return v
}
