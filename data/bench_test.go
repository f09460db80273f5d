package data

import (
	"fmt"
	"image"
	_ "image/jpeg"
	"os"
	"path/filepath"
	"testing"
	"time"

	"manvision/data/augment"
	"manvision/data/cityscapes"
	"manvision/data/labelmap"
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

// BenchmarkSegmentationLoader is real CityScapes frames (2048x1024, PNG) with
// their label maps through the whole loader: random scale 0.5 to 2, crop 1024x512
// with at most 0.75 of one class, mirror, photometric distortion, batches of 2.
// The metrics in ms are a worker's work per image.
func BenchmarkSegmentationLoader(b *testing.B) {
	src := NewSegmentation(frames(b))
	for _, workers := range []int{1, 2, 4} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			l, err := NewLoader(src, LoaderConfig{
				Batch: 2, Workers: workers, Shuffle: true, Labels: true,
				Augment: augment.Config{
					Scale: [2]float64{0.5, 2}, Crop: augment.Crop{W: 1024, H: 512, MaxShare: 0.75},
					FlipProb: 0.5, Photometric: true,
				},
			})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			for range 4 {
				batch, err := l.Next()
				if err != nil {
					b.Fatal(err)
				}
				l.Recycle(batch)
			}
			before := l.Stats().Work
			b.ReportAllocs()
			for b.Loop() {
				batch, err := l.Next()
				if err != nil {
					b.Fatal(err)
				}
				l.Recycle(batch)
			}
			images := 2 * float64(b.N)
			b.ReportMetric(images/b.Elapsed().Seconds(), "images/s")
			after := l.Stats().Work
			per := func(name string, d time.Duration) { b.ReportMetric(d.Seconds()*1e3/images, name) }
			per("read-ms", after.Read-before.Read)
			per("decode-ms", after.Decode-before.Decode)
			per("labels-ms", after.Labels-before.Labels)
			per("resize-ms", after.Resize-before.Resize)
			per("colour-ms", after.Colour-before.Colour)
			per("norm-ms", after.Normalize-before.Normalize)
		})
	}
}

// frames are the real frames of training and validation.
func frames(t testing.TB) *labelmap.Set {
	root := testdata.Shared(t, "cityscapes")
	set, err := cityscapes.Open(root, "train", cityscapes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	val, err := cityscapes.Open(root, "val", cityscapes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	set.Pairs = append(set.Pairs, val.Pairs...)
	return set
}
