package nn

import (
	"hash/fnv"
	"math"
)

// Init fills a parameter's initial values. rng is seeded by the store's seed and
// the parameter's name alone, so that the order in which a model is built does
// not matter.
type Init func(dst []float64, shape []int, rng *Stream)

// Stream is a counter-based random stream (splitmix64).
type Stream struct{ state uint64 }

// NewStream returns the stream of a seed and a name.
func NewStream(seed uint64, name string) *Stream {
	h := fnv.New64a()
	h.Write([]byte(name))
	return &Stream{h.Sum64() ^ seed*0x9E3779B97F4A7C15}
}

// Uniform returns a number in [0, 1).
func (s *Stream) Uniform() float64 {
	s.state += 0x9E3779B97F4A7C15
	z := s.state
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	return float64((z^z>>31)>>11) * 0x1p-53
}

// Normal returns a standard normal number (Box-Muller).
func (s *Stream) Normal() float64 {
	u := 1 - s.Uniform()
	return math.Sqrt(-2*math.Log(u)) * math.Cos(2*math.Pi*s.Uniform())
}

// Constant fills with one value.
func Constant(v float64) Init {
	return func(dst []float64, _ []int, _ *Stream) {
		for i := range dst {
			dst[i] = v
		}
	}
}

// Gaussian draws from N(0, std).
func Gaussian(std float64) Init {
	return func(dst []float64, _ []int, rng *Stream) {
		for i := range dst {
			dst[i] = std * rng.Normal()
		}
	}
}

// KaimingFanOut draws from N(0, sqrt(2/fanOut)), fanOut = O·KH·KW: the usual
// initialisation of ResNet convolutions (He et al. 2015).
func KaimingFanOut(dst []float64, shape []int, rng *Stream) {
	fan := shape[0]
	for _, d := range shape[2:] {
		fan *= d
	}
	Gaussian(math.Sqrt(2/float64(fan)))(dst, shape, rng)
}

// FrameworkDefault draws from U(−1/sqrt(fanIn), 1/sqrt(fanIn)): PyTorch's default
// for the weights of convolutions and linear layers.
func FrameworkDefault(dst []float64, shape []int, rng *Stream) {
	fan := 1
	for _, d := range shape[1:] {
		fan *= d
	}
	UniformIn(1/math.Sqrt(float64(fan)))(dst, shape, rng)
}

// UniformIn draws from U(−bound, bound).
func UniformIn(bound float64) Init {
	return func(dst []float64, _ []int, rng *Stream) {
		for i := range dst {
			dst[i] = bound * (2*rng.Uniform() - 1)
		}
	}
}

// TruncatedNormal draws from N(0, std) within ±2, PyTorch's trunc_normal_.
func TruncatedNormal(std float64) Init {
	return func(dst []float64, _ []int, rng *Stream) {
		for i := range dst {
			dst[i] = 3
			for math.Abs(dst[i]) > 2 {
				dst[i] = std * rng.Normal()
			}
		}
	}
}

// XavierUniform draws from U(−a, a), a = sqrt(6/(fanIn+fanOut)) (Glorot and Bengio
// 2010).
func XavierUniform(dst []float64, shape []int, rng *Stream) {
	fan := 1
	for _, d := range shape[1:] {
		fan *= d
	}
	UniformIn(math.Sqrt(6/float64(fan+shape[0])))(dst, shape, rng)
}
