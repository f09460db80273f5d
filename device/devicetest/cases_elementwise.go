package devicetest

import (
	"fmt"
	"math"

	"manvision/device"
)

// storages are descriptions over which elementwise operations must work.
func storages() []device.Desc {
	filter := func(groups int, shape ...int) device.Desc {
		return device.Desc{Layout: device.Filter, Shape: shape, Groups: groups}
	}
	return []device.Desc{
		{Shape: []int{1}}, {Shape: []int{}}, {Shape: []int{7}}, {Shape: []int{2, 7, 9, 17}}, {Shape: []int{4099}}, {Shape: []int{70001}},
		filter(1, 1, 1, 1, 1), filter(1, 64, 3, 7, 7), filter(1, 17, 5, 3, 3), filter(1, 36, 256, 3, 3), filter(1, 64, 64, 1, 1),
		filter(32, 32, 1, 3, 3), filter(17, 17, 1, 3, 3), filter(32, 128, 2, 3, 3), filter(3, 9, 2, 5, 3),
	}
}

func dense(shape ...int) device.Desc { return device.Desc{Shape: shape} }

func elementwiseCases() []Case {
	var list []Case
	for _, n := range []int{1, 7, 64, 1000, 4099, 70001} {
		name := fmt.Sprint(n)
		g := seeded(name)
		x, dy := g.ties(n), g.normal(n, 0, 1)
		s, a, b := g.normal(1, 1, 0.3), g.normal(n, 0, 1), g.normal(n, 0, 1)
		list = append(list,
			Case{Op: device.ReLU{Size: n}, Name: name, Steps: [][]any{{x}}, Exact: true},
			Case{Op: device.ReLUBackward{Size: n}, Name: name, Steps: [][]any{{x, dy}}, Exact: true},
			Case{Op: device.ReLUBackward{Size: n, Sum: true}, Name: name + " sum", Steps: [][]any{{x, dy, b}}, Terms: 1, Floor: floor(1)},
			Case{Op: device.Fuse{Size: n}, Name: name, Steps: [][]any{{s, a, b}}, Terms: 1, Floor: floor(1)},
			Case{Op: device.FuseBackward{Size: n}, Name: name, Steps: [][]any{{s, a, b, dy}}, Terms: n,
				Floor: map[int]float64{2: math.Sqrt(float64(n))}})
	}
	for _, d := range storages() {
		name := d.String()
		g := seeded(name)
		a, b := g.of(d), g.of(d)
		list = append(list, Case{Op: device.Add{Of: d}, Name: name, Steps: [][]any{{a, b}}, Terms: 1, Floor: floor(1)})
		if d.Layout == device.Dense {
			list = append(list, Case{Op: device.Add{Of: d, ReLU: true}, Name: name + " relu", Steps: [][]any{{a, b}}, Terms: 1, Floor: floor(1)})
		}
		for _, v := range []float64{0, 1, -0.3} {
			list = append(list, Case{Op: device.Fill{Of: d, Value: v}, Name: fmt.Sprintf("%s %v", name, v), Steps: [][]any{{}}, Terms: 1})
		}
	}
	return list
}

func columnCases() []Case {
	var list []Case
	many := make([]int, 40)
	for i := range many {
		many[i] = 1 + i%7
	}
	for _, o := range []device.Concat{
		{Outer: 1, Sizes: []int{1}}, {Outer: 5, Sizes: []int{3, 1, 17}}, {Outer: 2, Sizes: []int{64, 64}},
		{Outer: 3, Sizes: many}, {Outer: 1, Sizes: []int{50000, 3}}, {Outer: 126, Sizes: []int{16, 5}},
	} {
		name := fmt.Sprintf("%d rows of %d parts, %d columns", o.Outer, len(o.Sizes), o.Total())
		g := seeded(name)
		var in []any
		for _, d := range o.Inputs() {
			in = append(in, g.of(d))
		}
		list = append(list, Case{Op: o, Name: name, Steps: [][]any{in}, Exact: true})
	}
	for _, o := range []device.Slice{
		{Outer: 3, Total: 10, From: 0, Size: 4}, {Outer: 3, Total: 10, From: 6, Size: 4}, {Outer: 7, Total: 17, From: 5, Size: 1},
		{Outer: 1, Total: 1, From: 0, Size: 1}, {Outer: 4, Total: 9, From: 0, Size: 9}, {Outer: 2, Total: 40000, From: 19999, Size: 20001},
	} {
		name := fmt.Sprintf("%d rows, [%d,%d) of %d", o.Outer, o.From, o.From+o.Size, o.Total)
		g := seeded(name)
		list = append(list,
			Case{Op: o, Name: name, Steps: [][]any{{g.of(o.Inputs()[0])}}, Exact: true},
			Case{Op: device.SliceBackward{Slice: o}, Name: name, Steps: [][]any{{g.of(o.Outputs()[0])}}, Exact: true})
	}
	return list
}
