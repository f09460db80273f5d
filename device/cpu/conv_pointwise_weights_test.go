package cpu

import (
	"math/rand"
	"testing"

	"manvision/device"
)

// A weight gradient by a product of matrices stays within 1e-5 of the convolution's
// (relative to the largest value), whichever side is longer and however many threads
// have rows.
func TestPointwiseWeights(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for _, threads := range []int{1, 2, 3} {
		d := newDevice(t, threads)
		for _, c := range []device.Conv{
			square(2, 64, 64, 64, 256, 1, 1), square(1, 64, 65, 256, 64, 1, 1), square(1, 70, 61, 24, 400, 1, 1),
			square(2, 5, 3, 17, 45, 1, 1), square(1, 1, 1, 16, 8, 1, 1), square(1, 3, 3, 64, 64, 1, 1),
		} {
			c.Bias = rng.Intn(2) == 0
			op := operation(c, backwardWeights)
			want := results(t, d, op, func(k *kernel) error {
				p, err := d.convPlanOf(c, backwardWeights)
				if err != nil {
					return err
				}
				return k.convBy(p, c, backwardWeights, nil)
			})
			got := results(t, d, op, func(k *kernel) error { return k.pointwiseWeights(c) })
			for j := range want {
				if e := relativeError(want[j], got[j]); !(e <= 1e-5) {
					t.Errorf("%s, %d threads, output %d: relative error %.1e", name(c), threads, j, e)
				}
			}
		}
	}
}

// What the rule chooses where it was measured.
func TestPointwiseWeightsRule(t *testing.T) {
	for _, m := range []struct {
		c    device.Conv
		want bool
	}{
		{square(8, 56, 56, 64, 256, 1, 1), true}, {square(8, 56, 56, 256, 64, 1, 1), true}, {square(8, 28, 28, 128, 512, 1, 1), true},
		{square(8, 56, 56, 64, 64, 1, 1), false}, {square(8, 14, 14, 256, 1024, 1, 1), false}, {square(8, 56, 56, 64, 1024, 1, 1), false},
		{square(1, 28, 28, 128, 512, 1, 1), false}, {square(8, 56, 56, 16, 64, 1, 1), false}, {square(8, 56, 56, 256, 128, 1, 2), false},
	} {
		if got := pointwiseWeightsFor(m.c); got != m.want {
			t.Errorf("%s: %v", name(m.c), got)
		}
	}
}
