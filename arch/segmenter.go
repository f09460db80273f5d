package arch

import (
	"context"
	"fmt"

	"manvision/data"
	"manvision/data/augment"
	"manvision/device"
	"manvision/internal/lru"
	"manvision/segmentation"
	"manvision/weights"
)

// Segmenter is a segmentation network of torchvision, with VOC's 21 classes. It is not
// for use by several goroutines at once.
type Segmenter struct {
	*network
	Names []string // of the classes
	// Skipped are the bad images that the last Segment left out, if SkipBad is set.
	SkipBad bool
	Skipped []data.Skip

	net    *segmentation.Net
	sizes  *lru.Cache[[2]int, *segmentation.Inference]
	canvas []float32
	logits []float32
	labels []uint8
}

// shortSide is what segmentation's images are brought to, with antialiasing.
const shortSide = 520

// LoadSegmenter builds the network and fills it from a file; an auxiliary classifier in
// it is passed over. The device stays the caller's.
func (a Arch) LoadSegmenter(dev device.Device, path string) (*Segmenter, *weights.Report, error) {
	cfg := imageNet(augment.Config{Interpolation: augment.Antialias, Resize: augment.Resize{ShortSides: []int{shortSide}, Truncate: true}})
	n, err := a.newNetwork(dev, segmentation.BodyPrefix, cfg)
	if err != nil {
		return nil, nil, err
	}
	s := &Segmenter{network: n, Names: a.Classes(), sizes: lru.New[[2]int, *segmentation.Inference](programs)}
	s.net = &segmentation.Net{Classes: len(s.Names), Head: a.head, OutputStride: 8}
	if err = n.check(Segmentation); err == nil { // declares the parameters
		_, err = s.program(64, 64)
	}
	var r *weights.Report
	if err == nil {
		r, err = n.fill(path, false)
	}
	if err != nil {
		s.Close()
		return nil, r, err
	}
	return s, r, nil
}

func (s *Segmenter) program(h, w int) (*segmentation.Inference, error) {
	return s.sizes.Get([2]int{h, w}, func() (*segmentation.Inference, error) {
		return s.net.NewInference(s.model, 1, h, w, s.input, s.arena)
	})
}

// Labels returns the class of every pixel, [outH*outW], of a normalised image [h,w,3]:
// that of the greatest logit, the logits interpolated bilinearly to outH x outW. The
// result is valid until the next call.
func (s *Segmenter) Labels(image []float32, h, w, outH, outW int) ([]uint8, error) {
	inf, err := s.program(h, w)
	if err != nil {
		return nil, err
	}
	if err := inf.Input.Upload(image); err != nil {
		return nil, err
	}
	s.logits = grow(s.logits, inf.H*inf.W*inf.Classes)
	if err := inf.Run(s.logits); err != nil {
		return nil, err
	}
	if err := finite(s.logits); err != nil {
		return nil, err
	}
	if cap(s.labels) < outH*outW {
		s.labels = make([]uint8, outH*outW)
	}
	s.labels = s.labels[:outH*outW]
	argmax(s.labels, outH, outW, s.logits, inf.H, inf.W, inf.Classes)
	return s.labels, nil
}

// argmax interpolates logits [h,w,c] to a label map, with half-pixel centres.
func argmax(labels []uint8, outH, outW int, logits []float32, h, w, c int) {
	row := make([]float32, w*c) // logits between two rows
	for y := range outH {
		y0, y1, fy := between(y, outH, h)
		for i := range row {
			row[i] = logits[y0*w*c+i]*(1-fy) + logits[y1*w*c+i]*fy
		}
		for x := range outW {
			x0, x1, fx := between(x, outW, w)
			a, b := row[x0*c:][:c], row[x1*c:][:c]
			best, class := a[0]*(1-fx)+b[0]*fx, 0
			for k := 1; k < c; k++ {
				if v := a[k]*(1-fx) + b[k]*fx; v > best {
					best, class = v, k
				}
			}
			labels[y*outW+x] = uint8(class)
		}
	}
}

// between returns the two of n cells that place i of out lies between, and how near
// the second is.
func between(i, out, n int) (int, int, float32) {
	at := max(0, (float32(i)+0.5)*float32(n)/float32(out)-0.5)
	i0 := min(int(at), n-1)
	return i0, min(i0+1, n-1), at - float32(i0)
}

// Segment labels every image of src and hands out the class of every pixel, in the
// image's own size, valid until each returns.
func (s *Segmenter) Segment(ctx context.Context, src data.Source, each func(i int, labels []uint8) error) error {
	s.Skipped = nil
	for i := range src.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		item := src.Item(i)
		w, h, err := item.Open(s.render)
		if skip, err := leaveOut(err, i, s.SkipBad, &s.Skipped); err != nil {
			return err
		} else if skip {
			continue
		}
		var random augment.Random
		p := s.config.Plan(&random, w, h)
		s.canvas = grow(s.canvas, p.InW*p.InH*3)
		err = s.render.Draw(p, s.canvas, p.InH, p.InW)
		if err == nil {
			_, err = s.Labels(s.canvas, p.InH, p.InW, h, w)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", item.Path, err)
		}
		if err := each(i, s.labels); err != nil {
			return err
		}
	}
	return nil
}

// Close frees the network.
func (s *Segmenter) Close() {
	s.sizes.Close()
	s.free()
}
