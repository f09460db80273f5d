package cpu

import (
	"flag"
	"slices"
	"testing"
	"time"

	"manvision/device"
)

var threads = flag.Int("threads", 0, "threads of the benchmarks' device; 0 means all cores")

// run measures a kernel that computes flops (0 when bytes matter). Besides the
// mean it reports the best run: on a shared machine the mean mostly shows how often
// a thread of the team lost its core.
func run(b *testing.B, d *Device, op device.Op, flops float64) {
	k := bind(b, d, op)
	var bytes int64
	for _, descs := range [][]device.Desc{op.Inputs(), op.Outputs()} {
		for _, desc := range descs {
			size, err := d.Size(desc)
			if err != nil {
				b.Fatal(err)
			}
			bytes += size
		}
	}
	b.ReportAllocs()
	best := time.Hour
	err := d.Do(func() error {
		if err := k.Run(); err != nil {
			return err
		}
		b.ResetTimer()
		for range b.N {
			start := time.Now()
			if err := k.Run(); err != nil {
				return err
			}
			best = min(best, time.Since(start))
		}
		b.StopTimer()
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(best.Microseconds()), "best-µs")
	if flops > 0 {
		b.ReportMetric(flops/best.Seconds()/1e9, "best-GFLOP/s")
	} else {
		b.ReportMetric(float64(bytes)/best.Seconds()/1e9, "best-GB/s")
	}
}

func BenchmarkConv(b *testing.B) {
	d := newDevice(b, *threads)
	for _, c := range slices.Concat(resnet50(8, 224, 224), towers(), deeplab(2, 64, 64)) {
		for dir := forward; dir <= backwardWeights; dir++ {
			op := operation(c.Conv, dir)
			b.Run(name(c.Conv)+"/"+op.Kind(), func(b *testing.B) { run(b, d, op, c.FLOPs()) })
		}
	}
}

// BenchmarkLoops shows what the bandwidth-bound operations reach; GB/s counts
// every argument once.
func BenchmarkLoops(b *testing.B) {
	d := newDevice(b, *threads)
	norm := device.BatchNorm{N: 8, H: 56, W: 56, C: 256, Eps: 1e-5, ReLU: true}
	size := norm.X().Elems()
	pool := device.Pool{N: 8, H: 112, W: 112, C: 64, KH: 3, KW: 3, SH: 2, SW: 2, PH: 1, PW: 1}
	filter := device.Desc{Layout: device.Filter, Shape: []int{512, 512, 3, 3}}
	up := device.Resize{N: 2, H: 38, W: 50, C: 256, OH: 76, OW: 100}
	pixel := device.PixelCrossEntropy{N: 2, H: 64, W: 64, C: 21, OH: 512, OW: 512, IgnoreIndex: 255, Weight: 1}
	mined := pixel
	mined.Threshold, mined.MinKept = 0.7, 100000
	focal := device.FocalLoss{Rows: 2 * 76 * 100 * 9, Classes: 80, Alpha: 0.25, Gamma: 2}
	for _, op := range []device.Op{
		norm, device.BatchNormBackward{BatchNorm: norm},
		device.ReLU{Size: size}, device.Add{Of: norm.X(), ReLU: true}, device.ReLUBackward{Size: size},
		device.Fuse{Size: size}, device.FuseBackward{Size: size},
		device.MaxPool{Pool: pool}, device.MaxPoolBackward{Pool: pool},
		device.GlobalAvgPool{N: 8, H: 7, W: 7, C: 2048}, device.GlobalAvgPoolBackward{N: 8, H: 7, W: 7, C: 2048},
		up, device.ResizeBackward{Resize: up},
		device.Linear{M: 8, K: 2048, N: 1000, Bias: true}, device.LinearBackwardData{Linear: device.Linear{M: 8, K: 2048, N: 1000}},
		device.LinearBackwardWeights{Linear: device.Linear{M: 8, K: 2048, N: 1000, Bias: true}},
		focal, device.FocalLossBackward{FocalLoss: focal},
		device.CrossEntropy{Rows: 100000, Classes: 19, IgnoreIndex: 255}, device.CrossEntropyBackward{CrossEntropy: device.CrossEntropy{Rows: 100000, Classes: 19, IgnoreIndex: 255}},
		pixel, device.PixelCrossEntropyBackward{PixelCrossEntropy: pixel}, mined,
		device.SigmoidBCE{Size: 2 * 512 * 512 * 3, Weight: 1}, device.SigmoidBCEBackward{SigmoidBCE: device.SigmoidBCE{Size: 2 * 512 * 512 * 3, Weight: 1}}, device.Dropout{Size: size, P: 0.5},
		device.SGD{Of: filter, Momentum: 0.9, WeightDecay: 1e-4, LRScale: 1}, device.AdamW{Of: filter, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, LRScale: 1},
		device.EMA{Of: filter, Momentum: 0.99}, device.SquaredNorm{Of: filter},
	} {
		b.Run(op.Kind(), func(b *testing.B) { run(b, d, op, 0) })
	}
}
