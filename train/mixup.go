package train

import (
	"math"

	"manvision/data"
	"manvision/data/augment"
)

// mixupStream tells mixup's random numbers from those of other uses of a seed.
const mixupStream = 0x6d69787570

// mixup mixes every image of a batch, in place, with that at the same distance from
// the batch's other end (Zhang et al. 2018, arXiv 1710.09412; one factor a batch, as in
// timm): image i becomes share of itself and 1-share of its partner, whose classes are
// returned. share is drawn from Beta(alpha, alpha) by the seed and the batch's step
// alone.
func mixup(b *data.Batch, seed uint64, alpha float64) (others []int32, shares []float64) {
	r := augment.NewRandom(seed, mixupStream, uint64(b.Step))
	share := beta(&r, alpha)
	size := len(b.Images) / b.N
	for i := range b.N {
		j := b.N - 1 - i
		others = append(others, b.Classes[j])
		shares = append(shares, share)
		if i >= j {
			continue
		}
		x, y := b.Images[i*size:][:size], b.Images[j*size:][:size]
		s := float32(share)
		for k := range x {
			x[k], y[k] = s*x[k]+(1-s)*y[k], s*y[k]+(1-s)*x[k]
		}
	}
	return others, shares
}

// beta draws from Beta(a, a), a above 0.
func beta(r *augment.Random, a float64) float64 {
	x, y := gamma(r, a), gamma(r, a)
	if x+y == 0 { // both below the smallest number, as happens for tiny a
		return float64(r.Intn(2))
	}
	return x / (x + y)
}

// gamma draws from the gamma distribution of shape a and scale 1 (Marsaglia and Tsang:
// A Simple Method for Generating Gamma Variables, ACM TOMS 2000).
func gamma(r *augment.Random, a float64) float64 {
	if a < 1 {
		return gamma(r, a+1) * math.Pow(1-r.Float64(), 1/a)
	}
	d := a - 1.0/3
	for {
		x := r.Normal()
		v := 1 + x/math.Sqrt(9*d)
		if v <= 0 {
			continue
		}
		v = v * v * v
		if math.Log(1-r.Float64()) < x*x/2+d-d*v+d*math.Log(v) {
			return d * v
		}
	}
}
