//go:build matprofile

package data

import (
	"bytes"
	"os"
	"testing"

	"gocv.io/x/gocv"

	"manvision/data/augment"
)

// Run with -tags matprofile: gocv then counts the Mats that nobody closed.
func TestNoMatLeaks(t *testing.T) {
	before := gocv.MatProfile.Count()
	boxes, labels, files := newMemory(t, 12), newPairs(t, 12), newUnsized(t, 12)
	for _, path := range []string{files.Item(3).Path, boxes.items[2].Path, labels.Set().Pairs[2].Image, labels.Set().Pairs[5].Label} {
		if err := os.WriteFile(path, []byte("no image"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	plain := config(4)
	plain.Augment.Resize = augment.Resize{} // the jitter then works on the decoded image itself
	crops := labelConfig(4)
	crops.Augment.Photometric = true
	unscaled := crops // windows of the decoded image itself
	unscaled.Augment.Scale = [2]float64{}
	cubic := crops // windows of the whole, resized
	cubic.Augment.Interpolation = augment.Cubic
	evaluation := LoaderConfig{Batch: 3}
	evaluation.Augment.Resize = augment.Resize{ShortSides: []int{36}, Truncate: true}
	evaluation.Augment.Crop = augment.Crop{W: 32, H: 32, Center: true}
	for _, run := range []struct {
		src    Source
		cfg    LoaderConfig
		policy BadPolicy
	}{
		{boxes, plain, SkipBad}, {boxes, plain, FailOnBad},
		{labels, crops, SkipBad}, {labels, crops, FailOnBad}, {labels, unscaled, SkipBad}, {labels, cubic, SkipBad},
		{newTiny(t, 12), tinyConfig(4), FailOnBad}, {files, unsizedConfig(4), SkipBad}, {files, evaluation, SkipBad},
	} {
		run.cfg.OnBad = run.policy
		l := newLoader(t, run.src, run.cfg)
		for range 20 {
			b, err := l.Next()
			if err != nil {
				break
			}
			l.Recycle(b)
			if err := l.SeekStep(b.Step + 2); err != nil {
				t.Fatal(err)
			}
		}
		l.Close()
	}
	if n := gocv.MatProfile.Count(); n != before {
		var b bytes.Buffer
		gocv.MatProfile.WriteTo(&b, 1)
		t.Errorf("%d Mats left open\n%s", n-before, b.String())
	}
}
