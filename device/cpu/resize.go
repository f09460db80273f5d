package cpu

import (
	"math"
	"unsafe"

	"manvision/device"
)

// taps says which two source positions an output position reads along one axis,
// and with which weights.
type taps struct {
	index  []int32
	weight []float32
}

func tapsOf(in, out int, mode device.ResizeMode) taps {
	t := taps{make([]int32, 2*out), make([]float32, 2*out)}
	for o := range out {
		if mode == device.Nearest {
			i := int32(min(o*in/out, in-1))
			t.index[2*o], t.index[2*o+1], t.weight[2*o] = i, i, 1
			continue
		}
		var at float64
		if mode == device.BilinearAligned {
			if out > 1 {
				at = float64(o) * float64(in-1) / float64(out-1)
			}
		} else {
			at = math.Max(0, (float64(o)+0.5)*float64(in)/float64(out)-0.5)
		}
		i := min(int(at), in-1)
		f := at - float64(i)
		t.index[2*o], t.index[2*o+1] = int32(i), int32(min(i+1, in-1))
		t.weight[2*o], t.weight[2*o+1] = float32(1-f), float32(f)
	}
	return t
}

// readers inverts taps: for each source position the outputs that read it.
type readers struct {
	start, index []int32
	weight       []float32
}

func (t taps) readers(in int) readers {
	lists := make([][][2]float64, in)
	for o := range len(t.index) / 2 {
		for j := range 2 {
			if w := t.weight[2*o+j]; w != 0 {
				i := t.index[2*o+j]
				lists[i] = append(lists[i], [2]float64{float64(o), float64(w)})
			}
		}
	}
	r := readers{start: make([]int32, 1, in+1)}
	for _, list := range lists {
		for _, e := range list {
			r.index = append(r.index, int32(e[0]))
			r.weight = append(r.weight, float32(e[1]))
		}
		r.start = append(r.start, int32(len(r.index)))
	}
	return r
}

func (k *kernel) resize(fn unsafe.Pointer, r device.Resize) error {
	y, x := tapsOf(r.H, r.OH, r.Mode), tapsOf(r.W, r.OW, r.Mode)
	list := append(k.arguments(), k.ints(y.index), k.floats(y.weight), k.ints(x.index), k.floats(x.weight))
	return k.loop(fn, list, []int{r.N, r.H, r.W, r.C, r.OH, r.OW, number(r.Mode == device.Nearest)})
}

func (k *kernel) resizeBackward(fn unsafe.Pointer, r device.Resize) error {
	y, x := tapsOf(r.H, r.OH, r.Mode).readers(r.H), tapsOf(r.W, r.OW, r.Mode).readers(r.W)
	list := append(k.arguments(), k.ints(y.start), k.ints(y.index), k.floats(y.weight), k.ints(x.start), k.ints(x.index), k.floats(x.weight))
	return k.loop(fn, list, []int{r.N, r.H, r.W, r.C, r.OH, r.OW})
}
