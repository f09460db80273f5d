package onnx

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"io"
	"math"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protowire"
	"gorgonia.org/gorgonia"

	"manvision/classification"
	"manvision/detection"
	"manvision/device/ref"
	"manvision/nn"
	"manvision/segmentation"
)

// message is a parsed protocol-buffer message: by field number, integers and bytes.
type message struct {
	ints  map[protowire.Number][]int64
	bytes map[protowire.Number][][]byte
}

func parse(t *testing.T, b []byte) message {
	t.Helper()
	m := message{map[protowire.Number][]int64{}, map[protowire.Number][][]byte{}}
	for len(b) > 0 {
		field, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
		switch kind {
		case protowire.VarintType:
			var v uint64
			v, n = protowire.ConsumeVarint(b)
			m.ints[field] = append(m.ints[field], int64(v))
		case protowire.Fixed32Type:
			var v uint32
			v, n = protowire.ConsumeFixed32(b)
			m.ints[field] = append(m.ints[field], int64(v))
		case protowire.BytesType:
			var v []byte
			v, n = protowire.ConsumeBytes(b)
			m.bytes[field] = append(m.bytes[field], v)
		default:
			t.Fatalf("field %d of wire type %d", field, kind)
		}
		if n < 0 {
			t.Fatal(protowire.ParseError(n))
		}
		b = b[n:]
	}
	return m
}

func (m message) str(field protowire.Number) string {
	if len(m.bytes[field]) == 0 {
		return ""
	}
	return string(m.bytes[field][0])
}

func (m message) strs(field protowire.Number) (out []string) {
	for _, b := range m.bytes[field] {
		out = append(out, string(b))
	}
	return out
}

// tensor is a parsed TensorProto.
type tensor struct {
	dims []int64
	elem int64
	raw  []byte
}

func (t tensor) floats() []float32 {
	out := make([]float32, len(t.raw)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(t.raw[4*i:]))
	}
	return out
}

// parsed is a file as a reader of ONNX sees it.
type parsed struct {
	ops      map[string]int
	tensors  map[string]tensor
	inputs   map[string]string // name: type and axes, such as 1[N,3,32,32]
	outputs  map[string]string
	metadata map[string]string
}

func ports(t *testing.T, list [][]byte) map[string]string {
	out := map[string]string{}
	for _, b := range list {
		v := parse(t, b)
		kind := parse(t, parse(t, v.bytes[2][0]).bytes[1][0])
		var dims []string
		for _, d := range parse(t, kind.bytes[2][0]).bytes[1] {
			m := parse(t, d)
			if name := m.str(2); name != "" {
				dims = append(dims, name)
			} else {
				dims = append(dims, Dim{Size: int(m.ints[1][0])}.String())
			}
		}
		out[v.str(1)] = dataType(kind.ints[1][0]).String() + "[" + strings.Join(dims, ",") + "]"
	}
	return out
}

// read writes a file and reads it back: every node's inputs are made before it, no
// name is made twice, constants have the bytes that their shapes ask for.
func read(t *testing.T, f *File, err error) parsed {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	n, err := f.WriteTo(&b)
	if err != nil || n != int64(b.Len()) || n != f.Size() {
		t.Fatalf("%v; told %d bytes, planned %d, wrote %d", err, n, f.Size(), b.Len())
	}
	m := parse(t, b.Bytes())
	set := parse(t, m.bytes[8][0])
	if m.ints[1][0] != 8 || m.str(2) != "manvision" || set.ints[2][0] != 17 || set.str(1) != "" {
		t.Errorf("IR version %v, producer %q, operator set %v of %q", m.ints[1], m.str(2), set.ints[2], set.str(1))
	}
	g := parse(t, m.bytes[7][0])
	p := parsed{ops: map[string]int{}, tensors: map[string]tensor{}, inputs: ports(t, g.bytes[11]), outputs: ports(t, g.bytes[12]), metadata: map[string]string{}}
	known := map[string]bool{"": true}
	made := func(name string) {
		if known[name] {
			t.Errorf("%q is made twice", name)
		}
		known[name] = true
	}
	for name := range p.inputs {
		made(name)
	}
	for _, raw := range g.bytes[5] {
		i := parse(t, raw)
		x := tensor{elem: i.ints[2][0], raw: i.bytes[9][0]}
		elems := 1
		for dims := i.bytes[1][0]; len(dims) > 0; {
			d, n := protowire.ConsumeVarint(dims)
			x.dims, dims, elems = append(x.dims, int64(d)), dims[n:], elems*int(d)
		}
		if len(x.raw) != elems*dataType(x.elem).bytes() {
			t.Errorf("%s %v has %d bytes", i.str(8), x.dims, len(x.raw))
		}
		made(i.str(8))
		p.tensors[i.str(8)] = x
	}
	nodes := map[string]bool{}
	for _, raw := range g.bytes[1] {
		n := parse(t, raw)
		for _, in := range n.strs(1) {
			if !known[in] {
				t.Errorf("%s %q reads %q before it is made", n.str(4), n.str(3), in)
			}
		}
		for _, out := range n.strs(2) {
			made(out)
		}
		if nodes[n.str(3)] {
			t.Errorf("two nodes are called %q", n.str(3))
		}
		nodes[n.str(3)] = true
		p.ops[n.str(4)]++
	}
	for name := range p.outputs {
		if !known[name] {
			t.Errorf("output %q is never made", name)
		}
	}
	for _, raw := range m.bytes[14] {
		e := parse(t, raw)
		p.metadata[e.str(1)] = e.str(2)
	}
	return p
}

func TestClassifierFile(t *testing.T) {
	m, net, _ := classifier(t, openCPU(t), "resnet18", 8, 3, 1, 32, 48)
	info := infoOf(3)
	f, err := Classifier(m, net, info, Options{Batch: 1, H: 32, W: 48})
	p := read(t, f, err)
	if p.inputs["images"] != "float32[1,3,32,48]" || p.outputs["logits"] != "float32[1,3]" || len(p.outputs) != 1 {
		t.Errorf("inputs %v, outputs %v", p.inputs, p.outputs)
	}
	// ResNet-18: 20 convolutions with a norm each, 8 sums, 17 ReLUs, no transposition.
	for op, n := range map[string]int{"Conv": 20, "BatchNormalization": 20, "Add": 8, "Relu": 17, "MaxPool": 1, "GlobalAveragePool": 1, "Gemm": 1, "Transpose": 0} {
		if p.ops[op] != n {
			t.Errorf("%d %s, want %d", p.ops[op], op, n)
		}
	}
	for _, v := range m.Store.Vars() {
		x, ok := p.tensors[v.Name]
		want := make([]float32, v.Elems())
		if err := m.Store.Get(v.Name, want); err != nil {
			t.Fatal(err)
		}
		if !ok || !slices.Equal(x.floats(), want) || len(x.dims) != len(v.Shape) {
			t.Errorf("%s is not in the file as it is in the model", v.Name)
		}
	}
	if p.metadata["manvision.task"] != "classification" || p.metadata["manvision.classes"] != `["class a","class b","class c"]` {
		t.Errorf("metadata %v", p.metadata)
	}
	var how struct {
		Mean, Std [3]float32
		Inside    bool `json:"normalised_inside"`
	}
	if err := json.Unmarshal([]byte(p.metadata["manvision.preprocessing"]), &how); err != nil || how.Mean != info.Mean || how.Std != info.Std || how.Inside {
		t.Errorf("%v: %s", err, p.metadata["manvision.preprocessing"])
	}

	f, err = Classifier(m, net, info, Options{H: 32, W: 48, Fold: true, Decode: true, Normalize: true})
	p = read(t, f, err)
	if p.inputs["images"] != "float32[N,3,32,48]" || p.outputs["probabilities"] != "float32[N,3]" {
		t.Errorf("inputs %v, outputs %v", p.inputs, p.outputs)
	}
	if p.ops["BatchNormalization"] != 0 || p.ops["Sub"] != 1 || p.ops["Div"] != 1 || p.ops["Softmax"] != 1 {
		t.Errorf("operations %v", p.ops)
	}
	get := func(name string) []float32 {
		v, _ := m.Store.Lookup(name)
		x := make([]float32, v.Elems())
		if err := m.Store.Get(name, x); err != nil {
			t.Fatal(err)
		}
		return x
	}
	w, gamma, beta, mean, variance := get("conv1.weight"), get("bn1.weight"), get("bn1.bias"), get("bn1.running_mean"), get("bn1.running_var")
	gotW, gotB := p.tensors["conv1.weight"].floats(), p.tensors["conv1.bias"].floats()
	for c := range gamma {
		k := float64(gamma[c]) / math.Sqrt(float64(variance[c])+1e-5)
		if d := float64(gotB[c]) - (float64(beta[c]) - float64(mean[c])*k); math.Abs(d) > 1e-6 {
			t.Errorf("folded bias %d is %g off", c, d)
		}
		for i := range 3 * 49 {
			if d := float64(gotW[c*147+i]) - float64(w[c*147+i])*k; math.Abs(d) > 1e-6 {
				t.Fatalf("folded weight %d,%d is %g off", c, i, d)
			}
		}
	}
}

func TestTransformerFile(t *testing.T) {
	m, net, _ := classifier(t, openCPU(t), "vit_ti_16", 48, 3, 1, 32, 32)
	f, err := Classifier(m, net, infoOf(3), Options{H: 32, W: 32})
	p := read(t, f, err)
	if p.ops["LayerNormalization"] != 25 || p.ops["Softmax"] != 12 || p.ops["Erf"] != 12 || p.ops["Conv"] != 1 {
		t.Errorf("operations %v", p.ops)
	}
	_, err = Classifier(m, net, infoOf(3), Options{Batch: 1, H: 64, W: 64})
	if err == nil || !strings.Contains(err.Error(), "64x64") {
		t.Errorf("another size than the positions': %v", err)
	}
}

func TestSegmenterFile(t *testing.T) {
	net := &segmentation.Net{Classes: 4, Head: segmentation.DeepLabV3, OutputStride: 8, Channels: 8}
	m, _ := segmenter(t, openCPU(t), "resnet18", 8, net, 1, 33, 48)
	f, err := Segmenter(m, net, infoOf(4), Options{H: 33, W: 48})
	p := read(t, f, err)
	if p.outputs["logits"] != "float32[N,4,33,48]" || p.ops["Resize"] != 2 {
		t.Errorf("outputs %v, operations %v", p.outputs, p.ops)
	}
	if _, ok := p.tensors["classifier.4.weight"]; !ok {
		t.Error("there is no classifier.4.weight")
	}
	info := infoOf(4)
	info.Labels = []int{7, 8, 11, 12}
	f, err = Segmenter(m, net, info, Options{Batch: 2, H: 33, W: 48, Decode: true})
	p = read(t, f, err)
	if p.outputs["labels"] != "uint8[2,33,48]" || p.metadata["manvision.labels"] != "[7,8,11,12]" {
		t.Errorf("outputs %v, labels %s", p.outputs, p.metadata["manvision.labels"])
	}
	info.Labels = []int{1}
	if _, err := Segmenter(m, net, info, Options{Batch: 2, H: 33, W: 48}); err == nil {
		t.Error("one label for four classes was taken")
	}
}

func TestDetectorFile(t *testing.T) {
	net := &detection.RetinaNet{Classes: 3, Channels: 8, Convs: 1, Anchors: detection.DefaultAnchors(), Prior: 0.01}
	m, grid, _, _ := retinaNet(t, openCPU(t), 8, net, 1, 50, 64)
	post := detection.DefaultPost()
	f, err := Detector(m, net, post, infoOf(3), Options{H: 50, W: 64})
	p := read(t, f, err)
	// 7x8 + 4x4 + 2x2 + 1 + 1 cells with nine anchors each.
	if p.outputs["logits"] != "float32[N,702,3]" || p.outputs["deltas"] != "float32[N,702,4]" || p.outputs["anchors"] != "float32[702,4]" {
		t.Errorf("outputs %v", p.outputs)
	}
	boxes := p.tensors["anchor_boxes"].floats()
	if [4]float32(boxes[400:404]) != grid.Boxes[100] {
		t.Errorf("anchor 100 is %v, want %v", boxes[400:404], grid.Boxes[100])
	}
	f, err = Detector(m, net, post, infoOf(3), Options{Batch: 1, H: 50, W: 64, Decode: true})
	p = read(t, f, err)
	if p.outputs["boxes"] != "float32[detections,4]" || p.outputs["scores"] != "float32[detections]" || p.outputs["labels"] != "int64[detections]" || p.ops["NonMaxSuppression"] != 1 {
		t.Errorf("outputs %v, operations %v", p.outputs, p.ops)
	}
	if _, err := Detector(m, net, post, infoOf(3), Options{Batch: 2, H: 50, W: 64, Decode: true}); err == nil || !strings.Contains(err.Error(), "batch of 1") {
		t.Errorf("two images to decode: %v", err)
	}
}

func TestTooLarge(t *testing.T) {
	f := &File{build: newBuilder()}
	f.build.initializers = append(f.build.initializers, &initializer{name: "w", elem: float, shape: []int{1 << 15, 1 << 14}, load: func([]float32) error {
		t.Fatal("read before the size was looked at")
		return nil
	}})
	var b bytes.Buffer
	n, err := f.WriteTo(&b)
	if err == nil || n != 0 || b.Len() != 0 || !strings.Contains(err.Error(), "2.15 GB") {
		t.Errorf("%v; %d bytes written", err, b.Len())
	}
}

func TestDamagedWeights(t *testing.T) {
	m, net, _ := classifier(t, openCPU(t), "cifar_resnet20", 4, 3, 1, 16, 16)
	f, err := Classifier(m, net, infoOf(3), Options{Batch: 1, H: 16, W: 16})
	if err != nil {
		t.Fatal(err)
	}
	if err := m.Store.Set("fc.bias", []float32{0, float32(math.NaN()), 0}); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteTo(io.Discard); err == nil || !strings.Contains(err.Error(), "fc.bias") {
		t.Errorf("a weight that is not a number: %v", err)
	}
}

// The errors of what cannot be translated name the operation.
func TestUntranslated(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	store := nn.NewStore(dev, 1)
	defer store.Free()
	_, _, err := walk(store, Options{Batch: 1, H: 8, W: 8}, func(g *nn.Graph, images *gorgonia.Node) []*gorgonia.Node {
		s := g.Scalar("s", 1)
		return []*gorgonia.Node{g.Fuse(s, images, g.ReLU(images))}
	})
	var op *opError
	if !errors.As(err, &op) || op.kind != "fuse" || !strings.Contains(err.Error(), "no translation to ONNX") {
		t.Errorf("got %v", err)
	}
	if _, err := Classifier(nil, &classification.Net{Classes: 2}, infoOf(2), Options{Batch: 1}); err == nil {
		t.Error("an input without pixels was taken")
	}
}
