package data_test

import (
	"fmt"
	"testing"
	"time"

	"manvision/data"
	"manvision/data/augment"
	"manvision/data/cifar"
	"manvision/internal/testdata"
)

// BenchmarkClassificationLoader is real CIFAR-10 through the whole loader: batches
// of 128 with a crop of 32x32 from 4 mirrored pixels around the image, mirror,
// CIFAR's normalisation. ms/batch is what a worker works for one batch.
func BenchmarkClassificationLoader(b *testing.B) {
	set, err := cifar.Open(testdata.Shared(b, "cifar10"), cifar.Train, cifar.Options{})
	if err != nil {
		b.Fatal(err)
	}
	src, err := data.NewClassification(set)
	if err != nil {
		b.Fatal(err)
	}
	for _, workers := range []int{1, 2} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			l, err := data.NewLoader(src, data.LoaderConfig{
				Batch: 128, Workers: workers, Shuffle: true, Seed: 1,
				Augment: augment.Config{
					Crop: augment.Crop{W: 32, H: 32, Pad: 4, Reflect: true}, FlipProb: 0.5,
					Mean: cifar.Mean, Std: cifar.Std,
				},
			})
			if err != nil {
				b.Fatal(err)
			}
			defer l.Close()
			next := func() {
				batch, err := l.Next()
				if err != nil {
					b.Fatal(err)
				}
				l.Recycle(batch)
			}
			// Drain what was made ahead before the clock starts.
			for range 70 {
				next()
			}
			before := l.Stats().Work
			b.ReportAllocs()
			for b.Loop() {
				next()
			}
			after := l.Stats().Work
			per := func(name string, d time.Duration) { b.ReportMetric(d.Seconds()*1e3/float64(b.N), name) }
			per("ms/batch", after.Decode-before.Decode+after.Resize-before.Resize+after.Normalize-before.Normalize)
			b.ReportMetric(128*float64(b.N)/b.Elapsed().Seconds(), "images/s")
		})
	}
}
