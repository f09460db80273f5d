package devicetest

import (
	"hash/fnv"
	"math"
	"math/rand/v2"

	"manvision/device"
)

// Case is one operation with its data. All numbers are exact in float32, so that
// every device starts from the same ones.
type Case struct {
	Op   device.Op
	Name string
	// Steps holds the inputs of each run; later runs go on with the outputs of
	// the ones before where these are read and written. An input is []float64,
	// []int32, or nil where From makes it.
	Steps [][]any
	// From makes an input that only a device can make (Bits, Window).
	From *From
	// Start holds the first content of outputs that are read and written.
	Start map[int][]float64
	// Terms is the K of Tolerance.
	Terms int
	// Floor gives by output the magnitude to which errors are relative when all
	// of the output is smaller.
	Floor map[int]float64
	// Exact marks a case that must have no error whatever its kind's tolerance.
	Exact bool
}

// From is a forward operation whose output Out is input To of the case.
type From struct {
	Op      device.Op
	In      []any
	Out, To int
}

// Cases lists all cases, those of one kind together.
func Cases() []Case {
	var all []Case
	for _, list := range [][]Case{
		convCases(), sumCases(), linearCases(), normCases(), poolCases(), resizeCases(),
		columnCases(), elementwiseCases(), lossCases(), classLossCases(), pixelCases(), transformerCases(), updateCases(),
	} {
		all = append(all, list...)
	}
	// Stable grouping by kind, in order of first appearance.
	order := map[string]int{}
	groups := [][]Case{}
	for _, c := range all {
		k := c.Op.Kind()
		if _, seen := order[k]; !seen {
			order[k] = len(groups)
			groups = append(groups, nil)
		}
		groups[order[k]] = append(groups[order[k]], c)
	}
	all = all[:0:0]
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}

// source is a deterministic generator of data.
type source struct{ *rand.Rand }

// seeded returns the generator of that name.
func seeded(name string) source {
	h := fnv.New64a()
	h.Write([]byte(name))
	return source{rand.New(rand.NewPCG(h.Sum64(), 1))}
}

// single rounds to the nearest float32.
func single(v float64) float64 { return float64(float32(v)) }

// normal returns n numbers of the given mean and standard deviation.
func (s source) normal(n int, mean, std float64) []float64 {
	v := make([]float64, n)
	for i := range v {
		v[i] = single(mean + std*s.NormFloat64())
	}
	return v
}

// of returns standard normal numbers for a description.
func (s source) of(d device.Desc) []float64 { return s.normal(d.Elems(), 0, 1) }

// ties returns n numbers out of few different ones, zero and minus zero included.
func (s source) ties(n int) []float64 {
	v := make([]float64, n)
	for i := range v {
		if v[i] = float64(s.IntN(7)-3) / 2; v[i] == 0 && s.IntN(2) == 0 {
			v[i] = math.Copysign(0, -1)
		}
	}
	return v
}

// labels returns n labels drawn from the given ones.
func (s source) labels(n int, from ...int32) []int32 {
	v := make([]int32, n)
	for i := range v {
		v[i] = from[s.IntN(len(from))]
	}
	return v
}
