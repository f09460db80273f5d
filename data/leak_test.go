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
	src := newMemory(t, 12)
	if err := os.WriteFile(src.items[2].Path, []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, policy := range []BadPolicy{SkipBad, FailOnBad} {
		cfg := config(4)
		cfg.OnBad = policy
		cfg.Augment.Resize = augment.Resize{} // the jitter then works on the decoded image itself
		l := newLoader(t, src, cfg)
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
