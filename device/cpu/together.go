package cpu

/*
#include "engine.h"
#include "kernels.h"
#include "loops.h"
*/
import "C"

import (
	"fmt"
	"unsafe"

	"manvision/device"
)

// piece is how many floats one step of a Together takes at most: loops of that size
// stay on the thread that calls them.
const piece = C.MV_SMALL

// update adds the loop of one parameter's update.
func (k *kernel) update(op device.Op) error {
	u := updateOf(op)
	return k.elementwise(u.loop, u.of, u.n, u.f...)
}

// elementUpdate is the loop of an update, its sizes behind the first and its constants.
type elementUpdate struct {
	loop unsafe.Pointer
	of   device.Desc
	n    []int
	f    []float64
}

func updateOf(op device.Op) elementUpdate {
	switch o := op.(type) {
	case device.SGD:
		return elementUpdate{C.mv_sgd, o.Of, []int{number(o.Nesterov)}, []float64{o.Momentum, o.WeightDecay, o.LRScale}}
	case device.AdamW:
		return elementUpdate{C.mv_adamw, o.Of, nil, []float64{o.Beta1, o.Beta2, o.Eps, o.WeightDecay, o.LRScale}}
	case device.EMA:
		return elementUpdate{C.mv_ema, o.Of, nil, []float64{o.Momentum}}
	}
	panic(fmt.Sprintf("cpu device: %T is no update of single elements", op))
}

// together cuts the storages of all members into pieces that the threads share out
// among each other. Every number comes out as from the members one by one: elements
// do not depend on each other, and sums keep the threads' parts and their order.
func (k *kernel) together(o device.Together) error {
	var parts []int // of every SquaredNorm
	sums, total := 0, 0
	sizes := make([]int, len(o.Ops))
	for i, op := range o.Ops {
		var err error
		if sizes[i], err = k.stored(op.Inputs()[0]); err != nil {
			return err
		}
		total += sizes[i]
		if _, ok := op.(device.SquaredNorm); ok {
			parts = append(parts, k.shares(sizes[i]))
			sums += k.shares(sizes[i])
		}
	}
	partial := k.reserve(int64(8 * sums))
	adds := []place{partial}
	in, out := 0, k.in
	for i, op := range o.Ops {
		nin, nout := len(op.Inputs()), len(op.Outputs())
		if _, ok := op.(device.SquaredNorm); ok {
			n := k.shares(sizes[i])
			for t := range n {
				lo, hi := share(sizes[i], t, n)
				if err := k.loop(C.mv_squares, []place{offset(argument(in), 4*lo), partial}, []int{hi - lo}); err != nil {
					return err
				}
				partial = offset(partial, 8)
			}
			adds = append(adds, argument(out))
		} else {
			u := updateOf(op)
			for lo := 0; lo < sizes[i]; lo += piece {
				places := []place{offset(argument(in), 4*lo)}
				for j := 1; j < nin; j++ {
					places = append(places, argument(in+j)) // per-step numbers
				}
				for j := range nout {
					places = append(places, offset(argument(out+j), 4*lo))
				}
				if err := k.loop(u.loop, places, append([]int{min(piece, sizes[i]-lo)}, u.n...), u.f...); err != nil {
					return err
				}
			}
		}
		in, out = in+nin, out+nout
	}
	if total > piece {
		C.mv_kernel_spread(k.c)
	}
	if len(parts) == 0 {
		return nil
	}
	return k.loop(C.mv_add_squares, adds, append([]int{len(parts)}, parts...))
}

func offset(p place, bytes int) place {
	p.off += C.int64_t(bytes)
	return p
}

// shares is the number of parts into which mv_norm2 cuts a storage.
func (k *kernel) shares(size int) int {
	if size > C.MV_SMALL {
		return k.d.threads
	}
	return 1
}

// share is part t of n of a storage, as mv_span cuts it.
func share(size, t, n int) (lo, hi int) {
	const unit = 64
	blocks := (size + unit - 1) / unit
	return min(blocks*t/n*unit, size), min(blocks*(t+1)/n*unit, size)
}
