package bench

import (
	"context"
	"fmt"
	"path/filepath"
	"sort"
	"time"

	"manvision/arch"
	"manvision/backbone"
	"manvision/data"
	"manvision/detection"
	"manvision/device"
	"manvision/internal/resident"
	"manvision/manpp"
	"manvision/nn"
)

// ResNet50Infer times logits of ResNet-50 with 1000 classes, batch norms folded, on
// random images [batch,size,size,3]: from pixels on the host to logits on the host.
func ResNet50Infer(dev device.Device, batch, size, steps int, profile bool) (*Steps, error) {
	body, err := backbone.New("resnet50", 64)
	if err != nil {
		return nil, err
	}
	base := resident.Baseline()
	start := time.Now()
	store := newStore(dev)
	defer store.Free()
	store.Fold, store.Prepare = true, true
	g := nn.NewGraph(store, nn.Eval)
	y, image := g.Input("input", device.Desc{Shape: []int{batch, size, size, 3}})
	for _, u := range body.Units {
		y = u.Forward(g, y, "")
	}
	logits := backbone.Classifier(g, y, "", 1000)
	p, err := g.Compile("resnet50", nil, logits)
	if err != nil {
		return nil, err
	}
	defer p.Close()
	if err := store.Realize(); err != nil {
		return nil, err
	}
	out := &Steps{Compile: time.Since(start).Seconds(), Planned: p.Bytes()}
	for _, t := range p.Tensors() {
		out.Planned += t.Bytes()
	}
	pixels, values := noise(batch*size*size*3), make([]float32, batch*1000)
	one := func() (float64, error) {
		if err := image.Upload(pixels); err != nil {
			return 0, err
		}
		if err := p.Run(); err != nil {
			return 0, err
		}
		return 0, p.Download(values, logits)
	}
	err = out.run(steps, one)
	if err == nil && profile {
		err = out.profile(steps, one, p)
	}
	out.Loss = nil
	out.memory(dev, base)
	return out, err
}

// Detections is what a benchmark of detection measured.
type Detections struct {
	Seconds  []float64 `json:"seconds"` // an image, of every counted pass over the images
	Images   int       `json:"images"`
	Found    int       `json:"detections"` // in all images
	Top      float64   `json:"top_score"`
	Resident int64     `json:"resident_peak"` // bytes
}

// Detect times torchvision's RetinaNet ResNet-50 with the weights of a file on a JPEG
// or all JPEGs of a folder, from files to boxes: decoding, resizing to the short side
// of 800 pixels, the network, suppression. Detections score at least score.
func Detect(dev device.Device, images, checkpoint string, score float64, steps int) (*Detections, error) {
	files := []string{images}
	if found, err := filepath.Glob(filepath.Join(images, "*.jpg")); err != nil {
		return nil, err
	} else if len(found) > 0 {
		files = found
	}
	sort.Strings(files)
	src := make(folder, len(files))
	for i, f := range files {
		src[i] = data.Item{ImageID: int64(i), Path: f}
	}
	a, err := arch.Find("retinanet_resnet50_fpn")
	if err != nil {
		return nil, err
	}
	d, _, err := a.LoadDetector(dev, checkpoint, score)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	out := &Detections{Images: len(src)}
	for i := range steps + warmup {
		start := time.Now()
		out.Found, out.Top = 0, 0
		err := d.Detect(context.Background(), src, func(_ *data.Sample, found []detection.Detection) error {
			out.Found += len(found)
			for _, f := range found {
				out.Top = max(out.Top, float64(f.Score))
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		if i >= warmup {
			out.Seconds = append(out.Seconds, time.Since(start).Seconds()/float64(len(src)))
		}
	}
	_, out.Resident = resident.Bytes()
	return out, nil
}

// RetinaNetInfer times the network of Detect alone, with random weights on a random
// image [1,height,width,3]: from pixels on the host to logits and box deltas there.
func RetinaNetInfer(dev device.Device, height, width, steps int, profile bool) (*Steps, error) {
	base := resident.Baseline()
	start := time.Now()
	body, err := backbone.New("resnet50", 64)
	if err != nil {
		return nil, err
	}
	store := newStore(dev)
	defer store.Free()
	store.Fold, store.Prepare = true, true
	net := &detection.RetinaNet{Classes: 91, Channels: 256, Convs: 4, Anchors: detection.TorchvisionAnchors(), Prior: 0.01, P6FromP5: true}
	inf, err := net.NewInference(&manpp.Model{Store: store, Backbone: body, Strategy: manpp.E2E, Prefix: detection.BodyPrefix}, 1, height, width, nil, nil)
	if err != nil {
		return nil, fmt.Errorf("%dx%d: %w", height, width, err)
	}
	defer inf.Close()
	if err := store.Realize(); err != nil {
		return nil, err
	}
	out := &Steps{Compile: time.Since(start).Seconds(), Planned: inf.Bytes() + store.Bytes()}
	pixels := noise(height * width * 3)
	logits, deltas := make([]float32, inf.Grid.Len()*inf.Classes), make([]float32, inf.Grid.Len()*4)
	one := func() (float64, error) {
		if err := inf.Input.Upload(pixels); err != nil {
			return 0, err
		}
		return 0, inf.Run(logits, deltas)
	}
	err = out.run(steps, one)
	if err == nil && profile {
		err = out.profile(steps, one, inf.Program())
	}
	out.Loss = nil
	out.memory(dev, base)
	return out, err
}
