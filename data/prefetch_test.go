package data

import (
	"sync/atomic"
	"testing"
	"time"
)

// counted counts the images that workers begin.
type counted struct {
	Source
	n atomic.Int64
}

func (c *counted) Item(i int) Item {
	c.n.Add(1)
	return c.Source.Item(i)
}

func TestPrefetchIsBounded(t *testing.T) {
	src := &counted{Source: newMemory(t, 12)}
	cfg := config(4)
	cfg.Canvases = []Canvas{{64, 64}}
	const batch = 3 * 64 * 64 * 3 * 4
	cfg.PrefetchBytes = 2*batch + batch/2
	l := newLoader(t, src, cfg)
	for taken := int64(1); taken <= 3; taken++ {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		l.Recycle(b)
		// Two batches ahead fit; they must come and no more.
		want := 3 * (taken + 2)
		for deadline := time.Now().Add(20 * time.Second); src.n.Load() < want; {
			if time.Now().After(deadline) {
				t.Fatalf("only %d images begun, want %d", src.n.Load(), want)
			}
			time.Sleep(time.Millisecond)
		}
		time.Sleep(30 * time.Millisecond)
		if n := src.n.Load(); n != want {
			t.Errorf("after %d batches %d images begun, want %d", taken, n, want)
		}
	}
}
