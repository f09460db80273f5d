package cpu

import (
	"math"
	"math/rand"
	"slices"
	"testing"

	"manvision/device"
)

// pixelGradient runs the pixel cross-entropy and its gradient on so many threads.
func pixelGradient(t *testing.T, threads int, o device.PixelCrossEntropy, logits []float32, labels []int32) (loss float32, dx []float32) {
	t.Helper()
	d := newDevice(t, threads)
	f := bind(t, d, o)
	b := bind(t, d, device.PixelCrossEntropyBackward{PixelCrossEntropy: o})
	for _, k := range []bound{f, b} {
		for i, v := range []any{logits, labels} {
			if err := d.Upload(k.in[i].Ptr(), o.Inputs()[i], v); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := d.Do(f.Run); err != nil {
		t.Fatal(err)
	}
	state := device.Desc{Shape: []int{2}}
	v := make([]float32, 2)
	for _, err := range []error{d.Download(v, state, f.out[1].Ptr()), d.Upload(b.in[2].Ptr(), state, v),
		d.Upload(b.in[3].Ptr(), device.Desc{}, []float32{1}), d.Do(b.Run)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	one, dx := make([]float32, 1), make([]float32, o.Inputs()[0].Elems())
	for _, err := range []error{d.Download(one, device.Desc{}, f.out[0].Ptr()), d.Download(dx, o.Inputs()[0], b.out[0].Ptr())} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return one[0], dx
}

func pixelData(o device.PixelCrossEntropy) ([]float32, []int32) {
	rng := rand.New(rand.NewSource(2))
	logits, labels := make([]float32, o.Inputs()[0].Elems()), make([]int32, o.Inputs()[1].Elems())
	for i := range logits {
		logits[i] = float32(rng.NormFloat64())
	}
	for i := range labels {
		if labels[i] = int32(rng.Intn(o.C + 1)); labels[i] == int32(o.C) {
			labels[i] = o.IgnoreIndex
		}
	}
	return logits, labels
}

// TestPixelLossThreads: threads share no row, so the gradient has the same bits
// however many there are; with mining these depend on which pixels are kept. The
// mean's sum is cut by threads: 1e-6.
func TestPixelLossThreads(t *testing.T) {
	o := device.PixelCrossEntropy{N: 2, H: 9, W: 11, C: 19, OH: 71, OW: 150, IgnoreIndex: 255, Weight: 1}
	for _, kept := range []int{0, 3000} {
		o.MinKept = kept
		logits, labels := pixelData(o)
		loss, dx := pixelGradient(t, 1, o, logits, labels)
		for _, threads := range []int{2, 3, 4} {
			l, d := pixelGradient(t, threads, o, logits, labels)
			if math.Abs(float64(l-loss)) > 1e-6*float64(loss) || !slices.Equal(d, dx) {
				t.Errorf("%d kept, %d threads: loss %v, one thread %v; gradients equal: %v", kept, threads, l, loss, slices.Equal(d, dx))
			}
		}
	}
}

// TestPixelLossBadLabel: a label that is no class must not pass for a number.
func TestPixelLossBadLabel(t *testing.T) {
	for _, bad := range []int32{-1, 3, 1 << 30} {
		for _, mined := range []int{0, 5} {
			o := device.PixelCrossEntropy{N: 1, H: 2, W: 2, C: 3, OH: 8, OW: 8, IgnoreIndex: 255, Weight: 1, MinKept: mined}
			logits, labels := pixelData(o)
			labels[20] = bad
			loss, dx := pixelGradient(t, 1, o, logits, labels)
			if loss == loss || !slices.ContainsFunc(dx, func(v float32) bool { return v != v }) {
				t.Errorf("label %d: loss %v, gradient %v", bad, loss, dx)
			}
		}
	}
}
