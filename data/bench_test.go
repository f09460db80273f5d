package data

import (
	"fmt"
	"image"
	_ "image/jpeg"
	"os"
	"path/filepath"
	"testing"

	"manvision/data/augment"
	"manvision/internal/testdata"
)

// BenchmarkLoader is COCO images through the whole loader: short side 600, long
// side at most 1000, ImageNet normalisation, batches of 2 on canvases of
// multiples of 32. Its peer is benchmarks/load_peer.py.
func BenchmarkLoader(b *testing.B) {
	src := folder(b)
	for _, workers := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			l, err := NewLoader(src, LoaderConfig{
				Batch: 2, Workers: workers,
				Augment: augment.Config{Resize: augment.Resize{ShortSides: []int{600}, LongMax: 1000}},
			})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			for range 8 {
				batch, err := l.Next()
				if err != nil {
					b.Fatal(err)
				}
				l.Recycle(batch)
			}
			b.ReportAllocs()
			for b.Loop() {
				batch, err := l.Next()
				if err != nil {
					b.Fatal(err)
				}
				l.Recycle(batch)
			}
			b.ReportMetric(2*float64(b.N)/b.Elapsed().Seconds(), "images/s")
		})
	}
}

// folder is a Source over the real images without their annotations.
func folder(t testing.TB) *memory {
	files, _ := filepath.Glob(filepath.Join(testdata.Shared(t, "coco/train2017"), "*.jpg"))
	m := &memory{}
	for i, path := range files {
		f, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		c, _, err := image.DecodeConfig(f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		m.items = append(m.items, Item{ImageID: int64(i), Path: path, Width: c.Width, Height: c.Height})
	}
	return m
}
