package arch

import (
	"context"
	"errors"
	"fmt"

	"manvision/classification"
	"manvision/data"
	"manvision/data/augment"
	"manvision/device"
	"manvision/weights"
)

// side is that of classified images, in pixels.
const side = 224

// Classifier is an image classifier of torchvision. It is not for use by several
// goroutines at once.
type Classifier struct {
	*network
	Names []string // of the classes
	// Short is what images' shorter side is brought to, with antialiasing, before the
	// middle is cut out: 256, or 232 for torchvision's second weights.
	Short int
	// Skipped are the bad images that the last Classify left out, if SkipBad is set.
	SkipBad bool
	Skipped []data.Skip

	net    *classification.Net
	inf    *classification.Inference
	canvas []float32
	logits []float32
}

// LoadClassifier builds the network and fills it from a file. The report says what
// became of the file's tensors. The device stays the caller's.
func (a Arch) LoadClassifier(dev device.Device, path string) (*Classifier, *weights.Report, error) {
	return a.classifier(dev, path, side)
}

func (a Arch) classifier(dev device.Device, path string, side int) (*Classifier, *weights.Report, error) {
	short := 256
	file, err := identify(path)
	if err != nil {
		return nil, nil, err
	}
	if file != nil && file.resize > 0 {
		short = file.resize
	}
	cfg := imageNet(augment.Config{Interpolation: augment.Antialias, Resize: augment.Resize{ShortSides: []int{short}, Truncate: true},
		Crop: augment.Crop{W: side, H: side, Center: true}})
	n, err := a.newNetwork(dev, classification.BodyPrefix, cfg)
	if err != nil {
		return nil, nil, err
	}
	c := &Classifier{network: n, Names: a.Classes(), Short: short}
	if err = n.check(Classification); err == nil {
		c.net = &classification.Net{Classes: len(c.Names)}
		c.inf, err = c.net.NewInference(n.model, 1, side, side, n.input, n.arena)
	}
	var r *weights.Report
	if err == nil {
		r, err = n.fill(path, false)
	}
	if err != nil {
		c.Close()
		return nil, r, err
	}
	c.canvas, c.logits = make([]float32, side*side*3), make([]float32, len(c.Names))
	return c, r, nil
}

// Logits returns the logits of a normalised image [224,224,3], valid until the next
// call.
func (c *Classifier) Logits(image []float32) ([]float32, error) {
	if err := c.inf.Input.Upload(image); err != nil {
		return nil, err
	}
	return c.logits, c.inf.Run(c.logits)
}

// Classify hands out the logits of every image of src, valid until each returns.
func (c *Classifier) Classify(ctx context.Context, src data.Source, each func(i int, logits []float32) error) error {
	c.Skipped = nil
	side := c.config.Crop.W
	for i := range src.Len() {
		if err := ctx.Err(); err != nil {
			return err
		}
		item := src.Item(i)
		path := item.Path
		var random augment.Random
		var err error
		if item.Pixels != nil {
			err = c.render.RenderRGB(item.Pixels, c.config.Plan(&random, item.Width, item.Height), c.canvas, side, side)
		} else {
			_, err = c.render.RenderUnsized(path, func(w, h int) augment.Params { return c.config.Plan(&random, w, h) }, c.canvas, side, side)
		}
		if skip, err := leaveOut(err, i, c.SkipBad, &c.Skipped); err != nil {
			return err
		} else if skip {
			continue
		}
		logits, err := c.Logits(c.canvas)
		if err == nil {
			err = finite(logits)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err := each(i, logits); err != nil {
			return err
		}
	}
	return nil
}

// leaveOut sorts the errors of bad images that are to be left out from others.
func leaveOut(err error, i int, skip bool, skipped *[]data.Skip) (bool, error) {
	var bad *augment.ImageError
	if skip && errors.As(err, &bad) {
		*skipped = append(*skipped, data.Skip{Index: i, Err: err})
		return true, nil
	}
	return false, err
}

func finite(logits []float32) error {
	for i, v := range logits {
		if v-v != 0 {
			return fmt.Errorf("output %d is %v: the weights are damaged", i, v)
		}
	}
	return nil
}

// Close frees the network.
func (c *Classifier) Close() {
	if c.inf != nil {
		c.inf.Close()
	}
	c.free()
}
