package exec

import "sort"

// align is the granularity of offsets in the arena: a cache line.
const align = 64

// span is one buffer of a plan: it is alive during steps first..last, both
// included, and lies at offset once placed.
type span struct {
	size        int64
	first, last int
	offset      int64
}

// place gives every span an offset such that spans alive at the same step do not
// overlap, and returns the arena size. It tries some orders of greedy best fit (by size,
// by area, by duration; by size and, of equals, duration or end) and keeps the best.
func place(spans []*span) int64 {
	for _, s := range spans {
		s.size = (s.size + align - 1) / align * align
	}
	orders := []func(a, b *span) bool{
		func(a, b *span) bool { return a.size > b.size },
		func(a, b *span) bool {
			return a.size*int64(a.last-a.first+1) > b.size*int64(b.last-b.first+1)
		},
		func(a, b *span) bool { return a.last-a.first > b.last-b.first },
		func(a, b *span) bool {
			return a.size > b.size || a.size == b.size && a.last-a.first > b.last-b.first
		},
		func(a, b *span) bool { return a.size > b.size || a.size == b.size && a.last > b.last },
	}
	best := int64(-1)
	bestOffsets := make([]int64, len(spans))
	for _, less := range orders {
		order := append([]*span(nil), spans...)
		sort.SliceStable(order, func(i, j int) bool { return less(order[i], order[j]) })
		if top := fit(order); best < 0 || top < best {
			best = top
			for i, s := range spans {
				bestOffsets[i] = s.offset
			}
		}
	}
	for i, s := range spans {
		s.offset = bestOffsets[i]
	}
	return max(best, 0)
}

// fit places the spans in the given order, each into the tightest gap between
// those placed before it that are alive at the same time.
func fit(order []*span) (top int64) {
	var placed []*span // sorted by offset
	for _, s := range order {
		bestOff, bestGap := int64(-1), int64(-1)
		end := int64(0)
		for _, p := range placed {
			if p.last < s.first || s.last < p.first {
				continue
			}
			if gap := p.offset - end; gap >= s.size && (bestGap < 0 || gap < bestGap) {
				bestOff, bestGap = end, gap
			}
			end = max(end, p.offset+p.size)
		}
		if bestOff < 0 {
			bestOff = end
		}
		s.offset = bestOff
		top = max(top, bestOff+s.size)
		i := sort.Search(len(placed), func(i int) bool { return placed[i].offset > bestOff })
		placed = append(placed, nil)
		copy(placed[i+1:], placed[i:])
		placed[i] = s
	}
	return top
}

// lowerBound is the largest sum of sizes alive at one step: no placement can be
// smaller.
func lowerBound(spans []*span, steps int) int64 {
	live := make([]int64, steps+1)
	for _, s := range spans {
		live[s.first] += s.size
		if s.last+1 <= steps {
			live[s.last+1] -= s.size
		}
	}
	var sum, peak int64
	for _, d := range live {
		sum += d
		peak = max(peak, sum)
	}
	return peak
}
