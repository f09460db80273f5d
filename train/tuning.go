package train

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"manvision/config"
	"manvision/device"
	"manvision/weights"
)

// tuningJSON holds the algorithms that a run with tune chose, for going on with it.
const tuningJSON = "tuning.json"

// tune has the device choose algorithms by timing where the recipe asks for it; given:
// see device.Tuner.
func tune(cfg *config.Config, dev device.Device, given []byte) error {
	if !cfg.Tune {
		return nil
	}
	t, ok := dev.(device.Tuner)
	if !ok {
		return fmt.Errorf("tune: device %s has one algorithm for each operation; leave tune out", dev.Name())
	}
	return t.Tune(given)
}

// tune is that of a run, which goes on with the choices that it has made.
func (r *run) tune(dev device.Device) error {
	if r.cfg.Tune && (r.o.Resume || r.o.ResumeAuto) && r.o.Policy != ResumeWeights {
		path := filepath.Join(r.cfg.Output, tuningJSON)
		b, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
		case err != nil:
			return err
		default:
			if err := tune(r.cfg, dev, b); err != nil {
				return fmt.Errorf("%s: %w; without the file --resume-policy lr chooses anew", path, err)
			}
			r.choices = b
			return nil
		}
	}
	return tune(r.cfg, dev, nil)
}

// keepChoices writes tuning.json where something has been chosen since.
func (r *run) keepChoices() error {
	if !r.cfg.Tune {
		return nil
	}
	t := r.model.Net().Store.Device().(device.Tuner) // see tune
	n := t.Choices()
	if n == r.chosen {
		return nil
	}
	all, err := t.Tuned()
	if err != nil {
		return err
	}
	if err := weights.ReplaceFile(filepath.Join(r.cfg.Output, tuningJSON), func(w io.Writer) error {
		_, err := w.Write(all.Choices)
		return err
	}); err != nil {
		return err
	}
	r.chosen = n
	r.say(all.Text)
	return nil
}
