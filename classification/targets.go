package classification

import (
	"errors"
	"fmt"
	"math"

	"manvision/device"
	"manvision/exec"
)

// Targets holds the labels of one batch, and the images where decoders rebuild them,
// where the graphs read them.
type Targets struct {
	net       *Net
	n, h, w   int
	soft      *exec.Tensor // [N,Classes]
	labels    *exec.Tensor // int32 [N]; nil where no loss compares labels
	image     *exec.Tensor // [N,H,W,3] in [0,1]; nil without a decoder
	hostSoft  []float64
	hostImage []float32
}

func newTargets(s *Net, dev device.Device, n, h, w int, decoder, relates bool) (*Targets, error) {
	t := &Targets{net: s, n: n, h: h, w: w}
	if n < 1 || h < 1 || w < 1 {
		return nil, fmt.Errorf("classification: targets of %d images of %dx%d", n, h, w)
	}
	var err error
	if t.soft, err = exec.NewTensor(dev, device.Desc{Shape: []int{n, s.Classes}}); err != nil {
		return nil, err
	}
	t.hostSoft = make([]float64, n*s.Classes)
	if relates {
		if t.labels, err = exec.NewTensor(dev, device.Desc{DType: device.Int32, Shape: []int{n}}); err != nil {
			return nil, err
		}
	}
	if decoder {
		if t.image, err = exec.NewTensor(dev, device.Desc{Shape: []int{n, h, w, 3}}); err != nil {
			return nil, err
		}
		t.hostImage = make([]float32, n*h*w*3)
	}
	return t, nil
}

// Set checks and uploads a batch: labels [N] below Net.Classes, and images [N,H,W,3]
// as the network sees them, normalised with Net.Mean and Net.Std. Images are read
// only where a decoder rebuilds them and may be nil elsewhere.
func (t *Targets) Set(labels []int32, images []float32) error {
	return t.set(labels, nil, nil, images)
}

// SetMixed is Set for images mixed of two (mixup, Zhang et al. 2018): image i is
// share[i] of one of class labels[i] and the rest one of class others[i]. Losses that
// compare the labels of images (contrastive, similarity) cannot be trained on these.
func (t *Targets) SetMixed(labels, others []int32, share []float64, images []float32) error {
	if t.labels != nil {
		return errors.New("classification: mixed images have no label that contrastive and similarity losses could compare; switch mixup off")
	}
	if len(others) != t.n || len(share) != t.n {
		return fmt.Errorf("classification: %d labels and %d shares to mix for %d images", len(others), len(share), t.n)
	}
	for i, v := range share {
		if !(v >= 0 && v <= 1) {
			return fmt.Errorf("classification: image %d of the batch: a share of %v to mix must be in [0, 1]", i, v)
		}
	}
	return t.set(labels, others, share, images)
}

func (t *Targets) set(labels, others []int32, share []float64, images []float32) error {
	if len(labels) != t.n {
		return fmt.Errorf("classification: %d labels for %d images", len(labels), t.n)
	}
	classes, e := t.net.Classes, t.net.Smoothing
	for i := range t.hostSoft {
		t.hostSoft[i] = e / float64(classes)
	}
	add := func(i int, label int32, by float64) error {
		if label < 0 || int(label) >= classes {
			return fmt.Errorf("classification: image %d of the batch: label %d; the %d classes are 0 to %d", i, label, classes, classes-1)
		}
		t.hostSoft[i*classes+int(label)] += (1 - e) * by
		return nil
	}
	for i, l := range labels {
		by := 1.0
		if share != nil {
			by = share[i]
			if err := add(i, others[i], 1-by); err != nil {
				return err
			}
		}
		if err := add(i, l, by); err != nil {
			return err
		}
	}
	if err := t.soft.Upload(t.hostSoft); err != nil {
		return fmt.Errorf("classification: labels: %w", err)
	}
	if t.labels != nil {
		if err := t.labels.Upload(labels); err != nil {
			return fmt.Errorf("classification: labels: %w", err)
		}
	}
	if t.image == nil {
		return nil
	}
	if len(images) != len(t.hostImage) {
		return fmt.Errorf("classification: the reconstruction needs %d values of %d images of %dx%d, got %d", len(t.hostImage), t.n, t.h, t.w, len(images))
	}
	mean, std := t.net.Mean, t.net.Std
	for i, v := range images {
		x := v*std[i%3] + mean[i%3]
		if math.IsNaN(float64(x)) {
			return fmt.Errorf("classification: image %d of the batch holds a value that is no number", i/(t.h*t.w*3))
		}
		t.hostImage[i] = min(max(x, 0), 1) // padding and rounding may leave [0,1]
	}
	if err := t.image.Upload(t.hostImage); err != nil {
		return fmt.Errorf("classification: images: %w", err)
	}
	return nil
}

// Free gives the storage back.
func (t *Targets) Free() {
	for _, x := range []*exec.Tensor{t.soft, t.labels, t.image} {
		if x != nil {
			x.Free()
		}
	}
}
