package devicetest

import (
	"fmt"
	"math"

	"manvision/device"
)

func updateCases() []Case {
	var list []Case
	for i, d := range storages() {
		g := seeded("update " + d.String())
		for _, o := range []device.SGD{
			{Of: d, LRScale: 1},
			{Of: d, LRScale: 1, Momentum: 0.9, WeightDecay: 1e-4},
			{Of: d, LRScale: 0.1, Momentum: 0.9, WeightDecay: 0.05, Nesterov: true},
			{Of: d, LRScale: 2, WeightDecay: 0.01},
		} {
			name := fmt.Sprintf("%v m%v wd%v x%v", d, o.Momentum, o.WeightDecay, o.LRScale)
			if o.Nesterov {
				name += " nesterov"
			}
			// The momentum's first content must not matter at the first step, and
			// must stay without momentum.
			list = append(list, Case{Op: o, Name: name, Steps: g.steps(d, 4, 0, 0), Terms: 1,
				Start: map[int][]float64{0: g.of(d), 1: g.of(d)}, Floor: map[int]float64{0: 1, 1: 1}})
		}
		o := device.AdamW{Of: d, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.05, LRScale: 1}
		if i%2 == 1 {
			o.Beta2, o.Eps, o.WeightDecay, o.LRScale = 0.95, 1e-6, 0, 0.5
		}
		zero := make([]float64, d.Elems())
		list = append(list,
			Case{Op: o, Name: d.String(), Steps: g.steps(d, 4, o.Beta1, o.Beta2), Terms: 1,
				Start: map[int][]float64{0: g.of(d), 1: zero, 2: zero}, Floor: map[int]float64{0: 1}},
			Case{Op: device.EMA{Of: d, Momentum: 0.995}, Name: d.String(), Steps: [][]any{{g.of(d)}, {g.of(d)}, {g.of(d)}}, Terms: 1,
				Start: map[int][]float64{0: g.of(d)}, Floor: floor(1)},
			Case{Op: device.SquaredNorm{Of: d}, Name: d.String(), Steps: [][]any{{g.of(d)}, {g.of(d)}}, Terms: d.Elems(),
				Start: map[int][]float64{0: {3.5}}},
			Case{Op: device.SquaredDistance{Of: d}, Name: d.String(), Steps: [][]any{{g.of(d), g.of(d)}, {g.of(d), g.of(d)}}, Terms: d.Elems(),
				Start: map[int][]float64{0: {0}}})
	}
	return append(list, togetherCases()...)
}

// togetherCases join single updates: members small and large, filters with padding.
func togetherCases() []Case {
	g := seeded("together")
	sgd, adam, ema, norm := Case{Name: "sgd"}, Case{Name: "adamw"}, Case{Name: "ema"}, Case{Name: "norm2"}
	small := Case{Name: "small"} // all of it less than what is worth a second thread
	for i, d := range storages() {
		s := device.SGD{Of: d, LRScale: 1 + float64(i), Momentum: 0.9, WeightDecay: 1e-4, Nesterov: i%2 == 0}
		sgd.join(s, g.steps(d, 3, 0, 0), map[int][]float64{0: g.of(d), 1: g.of(d)})
		a := device.AdamW{Of: d, Beta1: 0.9, Beta2: 0.999, Eps: 1e-8, WeightDecay: 0.05, LRScale: 1}
		adam.join(a, g.steps(d, 3, a.Beta1, a.Beta2), map[int][]float64{0: g.of(d), 1: make([]float64, d.Elems()), 2: make([]float64, d.Elems())})
		ema.join(device.EMA{Of: d, Momentum: 0.995}, [][]any{{g.of(d)}, {g.of(d)}}, map[int][]float64{0: g.of(d)})
		norm.join(device.SquaredNorm{Of: d}, [][]any{{g.of(d)}, {g.of(d)}}, map[int][]float64{0: {float64(i)}})
		if d.Elems() < 100 {
			small.join(device.EMA{Of: d, Momentum: 0.5}, [][]any{{g.of(d)}}, map[int][]float64{0: g.of(d)})
			small.join(device.SquaredNorm{Of: d}, [][]any{{g.of(d)}}, map[int][]float64{0: {float64(i)}})
		}
	}
	return []Case{sgd, adam, ema, norm, small}
}

// join makes op, with its inputs by step and first outputs, a member of the case's
// Together.
func (c *Case) join(op device.Op, steps [][]any, start map[int][]float64) {
	t, _ := c.Op.(device.Together)
	at := len(t.Outputs())
	t.Ops = append(t.Ops, op)
	c.Op = t
	if c.Steps == nil {
		c.Steps, c.Start, c.Floor = make([][]any, len(steps)), map[int][]float64{}, map[int]float64{}
	}
	for i, in := range steps {
		c.Steps[i] = append(c.Steps[i], in...)
	}
	for i, v := range start {
		c.Start[at+i] = v
		c.Floor[at+i] = 1
	}
	c.Terms = max(c.Terms, op.Inputs()[0].Elems())
}

// steps returns gradients and hyper-parameters of n optimizer steps, with another
// learning rate each and clipping in every second.
func (s source) steps(d device.Desc, n int, beta1, beta2 float64) [][]any {
	var list [][]any
	for t := 1; t <= n; t++ {
		h := make([]float64, device.HyperSlots)
		h[device.HyperLR] = single(0.1 / float64(t))
		h[device.HyperClip] = []float64{1, 0.375}[t%2]
		if t == 1 {
			h[device.HyperFirst] = 1
		}
		h[device.HyperBias1] = single(1 - math.Pow(beta1, float64(t)))
		h[device.HyperBias2] = single(1 - math.Pow(beta2, float64(t)))
		list = append(list, []any{s.of(d), h})
	}
	return list
}
