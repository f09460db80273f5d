package bench

import (
	"math"
	"strings"
	"testing"

	"manvision/device/cpu"
	"manvision/manpp"
)

func TestClassify(t *testing.T) {
	dev, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	for name, c := range map[string]CIFAR{
		"e2e":     {Depth: 32, Blocks: 1, Batch: 4},
		"man":     {Depth: 32, Blocks: 16, Strategy: manpp.MAN, Batch: 4},
		"infopro": {Depth: 32, Blocks: 8, Strategy: manpp.InfoPro, Batch: 4},
	} {
		s, err := c.Train(dev, 1, true)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if len(s.Seconds) != 1 || len(s.Loss) != 1 || math.IsNaN(s.Loss[0]) || s.Planned <= 0 || s.Peak <= 0 || len(s.Times) == 0 {
			t.Errorf("%s: %+v", name, s)
		}
	}
	for want, run := range map[string]func() (*Steps, error){
		"no published cuts": func() (*Steps, error) {
			return CIFAR{Depth: 32, Blocks: 7, Strategy: manpp.MANPP, Batch: 4}.Train(dev, 1, false)
		},
		"trains one block": func() (*Steps, error) {
			return CIFAR{Depth: 32, Blocks: 16, Strategy: manpp.E2E, Batch: 4}.Train(dev, 1, false)
		},
		"unknown backbone": func() (*Steps, error) { return CIFAR{Depth: 31, Blocks: 1, Batch: 4}.Train(dev, 1, false) },
		"at least 1":       func() (*Steps, error) { return CIFAR{Depth: 32, Blocks: 1}.Train(dev, 1, false) },
		"one of":           func() (*Steps, error) { return ViT{Size: "huge", Blocks: 1, Batch: 1}.Train(dev, 1, false) },
		"timed with 1 or 4": func() (*Steps, error) {
			return ViT{Size: "tiny", Blocks: 2, Batch: 1}.Train(dev, 1, false)
		},
	} {
		if _, err := run(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
