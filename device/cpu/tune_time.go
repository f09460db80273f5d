package cpu

/*
#include "engine.h"
*/
import "C"

import (
	"errors"
	"slices"
	"strconv"
	"time"
	"unsafe"

	"manvision/device"
)

// Bounds of timing: a way is taken instead of the rule's where its time is below worth of
// the rule's in the median of pairs; one that takes hopeless times as long is timed once.
// Rounds end with fewestRounds once tuneBudget is spent, at mostRounds in any case.
const (
	worth                    = 0.95
	hopeless                 = 1.5
	fewestRounds, mostRounds = 5, 15
	tuneBudget               = 0.05 // seconds
)

// scratchBound is how much scratch a way may take, if that is more than twice the rule's:
// beyond it plans would grow for little.
const scratchBound = 64 << 20

// stopwatch returns the seconds that a run takes.
func stopwatch(_ way, run func() error) (float64, error) {
	start := time.Now()
	err := run()
	return time.Since(start).Seconds(), err
}

// choose times the ways of a convolution in turn, on the device's thread, on random
// numbers.
func (t *tuning) choose(d *Device, c device.Conv, dir direction) (choice, error) {
	start := time.Now()
	ways := d.waysOf(c, dir)
	out := choice{Conv: convName(c, dir), Threads: d.threads, Way: ways[0], Rule: ways[0], Seconds: map[way]float64{}}
	if len(ways) == 1 {
		return out, nil
	}
	defer func() { t.spent += time.Since(start).Seconds() }()
	var op device.Op = c
	switch dir {
	case backwardData:
		op = device.ConvBackwardData{Conv: c}
	case backwardWeights:
		op = device.ConvBackwardWeights{Conv: c}
	}
	var kernels []*kernel
	defer func() {
		for _, k := range kernels {
			k.free()
		}
	}()
	var kept []way
	for _, w := range ways {
		k, err := d.newKernel(op)
		if err != nil {
			return out, err
		}
		if err = k.by(w, c, dir); err != nil || len(kept) > 0 && k.scratch > max(scratchBound, 2*kernels[0].scratch) {
			k.free()
			if err != nil && len(kept) == 0 {
				return out, err
			}
			continue
		}
		kernels, kept = append(kernels, k), append(kept, w)
		if err := t.bind(k, op); err != nil {
			return out, err
		}
	}
	times := make([][]float64, len(kept))
	run := func(i int) error {
		s, err := t.clock(kept[i], kernels[i].Run)
		times[i] = append(times[i], s)
		return err
	}
	for i := range kept { // touches memory
		if err := kernels[i].Run(); err != nil {
			return out, err
		}
	}
	spent := 0.0
	for round := range mostRounds {
		if round >= fewestRounds && spent > tuneBudget {
			break
		}
		for i := range kept {
			if i > 0 && round > 0 && times[i][0] > hopeless*times[0][0] {
				continue
			}
			if err := run(i); err != nil {
				return out, err
			}
			spent += times[i][len(times[i])-1]
		}
	}
	best := worth
	for i, w := range kept {
		ratios := make([]float64, len(times[i]))
		for j, s := range times[i] {
			ratios[j] = s / times[0][j]
		}
		if r := median(ratios); i > 0 && len(ratios) >= fewestRounds && r < best {
			best, out.Way = r, w
		}
		out.Seconds[w] = round4(median(times[i]))
	}
	return out, nil
}

// median of a list, which it leaves as it is.
func median(list []float64) float64 {
	s := slices.Sorted(slices.Values(list))
	return (s[(len(s)-1)/2] + s[len(s)/2]) / 2
}

// round4 keeps four digits.
func round4(v float64) float64 {
	r, _ := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 4, 64), 64)
	return r
}

// bind gives a kernel memory with random numbers, of the pool that all share.
func (t *tuning) bind(k *kernel, op device.Op) error {
	room := func(pool, i int, bytes int64) (device.Ptr, error) {
		for len(t.rooms[pool]) <= i {
			t.rooms[pool] = append(t.rooms[pool], constant{})
		}
		r := &t.rooms[pool][i]
		if r.size < bytes {
			if r.p != nil {
				C.mv_free(r.p, C.int64_t(r.size))
			}
			*r = constant{C.mv_alloc(C.int64_t(bytes)), bytes}
			if r.p == nil {
				*r = constant{}
				return nil, errors.New("cpu device: out of memory timing a convolution")
			}
			if pool == 0 {
				scatter(unsafe.Slice((*float32)(r.p), bytes/4))
			}
		}
		return r.p, nil
	}
	rooms := func(pool int, list []device.Desc) ([]device.Ptr, error) {
		var out []device.Ptr
		for i, desc := range list {
			size, err := k.d.Size(desc)
			if err != nil {
				return nil, err
			}
			p, err := room(pool, i, size)
			if err != nil {
				return nil, err
			}
			out = append(out, p)
		}
		return out, nil
	}
	in, err := rooms(0, op.Inputs())
	if err != nil {
		return err
	}
	out, err := rooms(1, op.Outputs())
	if err != nil {
		return err
	}
	// The pool may grow for the next kernel: each has its own scratch.
	scratch := k.constant(max(k.scratch, 64))
	return k.Bind(in, out, scratch.constant)
}

// scatter fills memory with numbers in [-0.5, 0.5), the same ones each time.
func scatter(v []float32) {
	x := uint32(2463534242)
	for i := range v {
		x ^= x << 13
		x ^= x >> 17
		x ^= x << 5
		v[i] = float32(x>>8)/(1<<24) - 0.5
	}
}

// freeRooms gives the memory back.
func (t *tuning) freeRooms() {
	for pool, list := range t.rooms {
		for _, r := range list {
			if r.p != nil {
				C.mv_free(r.p, C.int64_t(r.size))
			}
		}
		t.rooms[pool] = nil
	}
}
