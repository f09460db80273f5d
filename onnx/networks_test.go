package onnx

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"manvision/backbone"
	"manvision/classification"
	"manvision/detection"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/manpp"
	"manvision/nn"
	"manvision/segmentation"
)

func openCPU(t testing.TB) device.Device {
	t.Helper()
	dev, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { dev.Close() })
	return dev
}

// network makes a model on a backbone; width 0 is the published one.
func network(t testing.TB, dev device.Device, name string, width, stride int, prefix string) *manpp.Model {
	t.Helper()
	if width == 0 {
		width = backbone.PublishedWidth(name)
	}
	body, err := backbone.New(name, width)
	if err == nil && stride > 0 {
		body, err = backbone.Dilated(body, stride)
	}
	if err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(dev, 1)
	t.Cleanup(store.Free)
	return &manpp.Model{Store: store, Backbone: body, Strategy: manpp.E2E, Prefix: prefix}
}

// shake gives all parameters values after which no term of a network is without effect:
// statistics and scales differ by channel, biases are not 0, classifiers tell apart.
func shake(t testing.TB, s *nn.Store) {
	t.Helper()
	if err := s.Realize(); err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for _, v := range s.Vars() {
		x := make([]float32, v.Elems())
		if err := s.Get(v.Name, x); err != nil {
			t.Fatal(err)
		}
		_, norm := s.Lookup(strings.TrimSuffix(v.Name, ".weight") + ".running_var")
		for i := range x {
			u := r.Float32()
			switch {
			case strings.HasSuffix(v.Name, ".running_var"):
				x[i] = 0.75 + u
			case strings.HasSuffix(v.Name, ".running_mean"):
				x[i] = u - 0.5
			case norm: // a batch norm's weight
				x[i] = 0.4 + 0.4*u
			case strings.HasSuffix(v.Name, "cls_logits.bias"):
				x[i] = -3 + u
			case len(v.Shape) == 1 || v.Name == "class_token":
				x[i] += 0.2 * (u - 0.5)
			case strings.HasSuffix(v.Name, "cls_logits.weight") || strings.HasSuffix(v.Name, "head.weight") || strings.HasSuffix(v.Name, "bbox_reg.weight"):
				x[i] = 0.2 * (u - 0.5)
			case slices.Contains([]string{"fc.weight"}, v.Name):
				x[i] = 0.5 * (u - 0.5)
			}
		}
		if err := s.Set(v.Name, x); err != nil {
			t.Fatal(err)
		}
	}
}

// picture is a normalised input [n,h,w,3] and the same as [n,3,h,w].
func picture(n, h, w int) (here, there []float32) {
	r := rand.New(rand.NewPCG(3, 4))
	here = make([]float32, n*h*w*3)
	for i := range here {
		here[i] = float32(r.NormFloat64())
	}
	return here, swap(here, n, h*w, 3)
}

// swap changes [n,cells,channels] into [n,channels,cells].
func swap(x []float32, n, cells, channels int) []float32 {
	out := make([]float32, len(x))
	for i := range n {
		for p := range cells {
			for c := range channels {
				out[(i*channels+c)*cells+p] = x[(i*cells+p)*channels+c]
			}
		}
	}
	return out
}

func infoOf(classes int) Info {
	i := Info{Source: "test", Mean: [3]float32{0.485, 0.456, 0.406}, Std: [3]float32{0.229, 0.224, 0.225}, Resize: "none"}
	for k := range classes {
		i.Classes = append(i.Classes, "class "+string(rune('a'+k%26)))
	}
	return i
}

// classifier makes a filled classifier and its logits of a picture.
func classifier(t testing.TB, dev device.Device, name string, width, classes, n, h, w int) (*manpp.Model, *classification.Net, []float32) {
	t.Helper()
	m, net := network(t, dev, name, width, 0, classification.BodyPrefix), &classification.Net{Classes: classes}
	inf, err := net.NewInference(m, n, h, w, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer inf.Close()
	shake(t, m.Store)
	x, _ := picture(n, h, w)
	if err := inf.Input.Upload(x); err != nil {
		t.Fatal(err)
	}
	logits := make([]float32, n*classes)
	if err := inf.Run(logits); err != nil {
		t.Fatal(err)
	}
	return m, net, logits
}

// retinaNet makes a filled detector and its raw outputs of a picture.
func retinaNet(t testing.TB, dev device.Device, width int, net *detection.RetinaNet, n, h, w int) (m *manpp.Model, grid *detection.Grid, logits, deltas []float32) {
	t.Helper()
	m = network(t, dev, "resnet50", width, 0, detection.BodyPrefix)
	inf, err := net.NewInference(m, n, h, w, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer inf.Close()
	shake(t, m.Store)
	x, _ := picture(n, h, w)
	if err := inf.Input.Upload(x); err != nil {
		t.Fatal(err)
	}
	logits, deltas = make([]float32, n*inf.Grid.Len()*net.Classes), make([]float32, n*inf.Grid.Len()*4)
	if err := inf.Run(logits, deltas); err != nil {
		t.Fatal(err)
	}
	return m, inf.Grid, logits, deltas
}

// segmenter makes a filled segmentation network and its logits [n,classes,h,w] of a
// picture, interpolated here in plain Go.
func segmenter(t testing.TB, dev device.Device, name string, width int, net *segmentation.Net, n, h, w int) (*manpp.Model, []float32) {
	t.Helper()
	m := network(t, dev, name, width, net.OutputStride, segmentation.BodyPrefix)
	inf, err := net.NewInference(m, n, h, w, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer inf.Close()
	shake(t, m.Store)
	x, _ := picture(n, h, w)
	if err := inf.Input.Upload(x); err != nil {
		t.Fatal(err)
	}
	c := net.Classes
	small := make([]float32, n*inf.H*inf.W*c)
	if err := inf.Run(small); err != nil {
		t.Fatal(err)
	}
	at := func(i, out, in int) (int, int, float64) { // half-pixel centres
		p := max((float64(i)+0.5)*float64(in)/float64(out)-0.5, 0)
		lo := min(int(p), in-1)
		return lo, min(lo+1, in-1), p - float64(lo)
	}
	out := make([]float32, n*c*h*w)
	for i := range n {
		for y := range h {
			y0, y1, fy := at(y, h, inf.H)
			for x := range w {
				x0, x1, fx := at(x, w, inf.W)
				for k := range c {
					cell := func(y, x int) float64 { return float64(small[((i*inf.H+y)*inf.W+x)*c+k]) }
					out[((i*c+k)*h+y)*w+x] = float32((cell(y0, x0)*(1-fx)+cell(y0, x1)*fx)*(1-fy) + (cell(y1, x0)*(1-fx)+cell(y1, x1)*fx)*fy)
				}
			}
		}
	}
	return m, out
}
