package device

import (
	"fmt"
	"math"
)

// Dropout is inverted dropout: y = x/(1−P) where an element is kept, else 0, each
// kept with probability 1−P. Which ones is a function of Seed, the step and the
// element's index alone (see Keep), so that nothing is stored: the gradient is the
// same operation on dy. Inputs x [Size], step int32 [1]; output y [Size].
type Dropout struct {
	Size int
	P    float64 // in [0, 1)
	Seed uint64  // of this layer
}

func (d Dropout) Kind() string { return "dropout" }
func (d Dropout) Inputs() []Desc {
	return []Desc{dense(d.Size), {DType: Int32, Shape: []int{1}}}
}
func (d Dropout) Outputs() []Desc   { return []Desc{dense(d.Size)} }
func (d Dropout) InPlace() [][2]int { return [][2]int{{0, 0}} }
func (d Dropout) Check() error {
	if !(d.P >= 0 && d.P < 1) {
		return fmt.Errorf("dropout: probability %v must be at least 0 and less than 1", d.P)
	}
	if int64(d.Size) > math.MaxUint32 {
		return fmt.Errorf("dropout of %d elements: at most %d can be told apart", d.Size, uint32(math.MaxUint32))
	}
	return positive(d, d.Size)
}

// Threshold is P in units of 2⁻³²: numbers below it are dropped.
func (d Dropout) Threshold() uint32 {
	return uint32(min(math.Round(d.P*0x1p32), math.MaxUint32))
}

// Keys returns the two keys of a step: the halves of splitmix64's finaliser of
// Seed and the step (Steele, Lea, Flood 2014).
func (d Dropout) Keys(step int32) (a, b uint32) {
	z := d.Seed + (uint64(uint32(step))+1)*0x9E3779B97F4A7C15
	z = (z ^ z>>30) * 0xBF58476D1CE4E5B9
	z = (z ^ z>>27) * 0x94D049BB133111EB
	z ^= z >> 31
	return uint32(z), uint32(z >> 32)
}

// Keep tells whether element i is kept under a step's keys: two rounds of
// MurmurHash3's finaliser, a key before each, give a 32-bit number that is
// compared with the threshold. Every device computes this in integers.
func (d Dropout) Keep(i int, a, b uint32) bool {
	return mix(mix(uint32(i)^a)+b) >= d.Threshold()
}

func mix(x uint32) uint32 {
	x = (x ^ x>>16) * 0x85EBCA6B
	x = (x ^ x>>13) * 0xC2B2AE35
	return x ^ x>>16
}
