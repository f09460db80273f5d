package augment

import "math"

// Random is a counter-based stream of random numbers: draw k of a stream is a
// pure function of the stream's key and k, so a sample's augmentation depends on
// (seed, epoch, index) only, never on which worker makes it or when.
//
// The mixing function is SplitMix64 (Steele, Lea, Flood: Fast Splittable
// Pseudorandom Number Generators, OOPSLA 2014).
type Random struct{ state uint64 }

const golden = 0x9e3779b97f4a7c15

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// NewRandom returns the stream named by the keys: NewRandom(seed, epoch, index).
// Different key lists give independent streams.
func NewRandom(keys ...uint64) Random {
	s := uint64(0x243f6a8885a308d3)
	for _, k := range keys {
		s = mix(s + golden + mix(k+golden))
	}
	return Random{s}
}

// Uint64 returns 64 random bits.
func (r *Random) Uint64() uint64 {
	r.state += golden
	return mix(r.state)
}

// Float64 returns a number in [0,1) with 53 random bits.
func (r *Random) Float64() float64 { return float64(r.Uint64()>>11) / (1 << 53) }

// Uniform returns a number in [lo,hi).
func (r *Random) Uniform(lo, hi float64) float64 { return lo + (hi-lo)*r.Float64() }

// Normal returns a standard normal number (Box-Muller; two draws of the stream).
func (r *Random) Normal() float64 {
	u := 1 - r.Float64()
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*r.Float64())
}

// Intn returns an integer in [0,n); n must be positive. The bias of the
// reduction is below n/2^64.
func (r *Random) Intn(n int) int {
	if n <= 0 {
		panic("augment: Intn of a non-positive number")
	}
	return int(r.Uint64() % uint64(n))
}

// Shuffle permutes v (Fisher-Yates).
func (r *Random) Shuffle(v []int32) {
	for i := len(v) - 1; i > 0; i-- {
		j := r.Intn(i + 1)
		v[i], v[j] = v[j], v[i]
	}
}
