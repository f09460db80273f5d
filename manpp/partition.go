package manpp

import (
	"fmt"
	"strings"

	"manvision/backbone"
)

// Partition lists the index of the last unit of every block but the final one,
// ascending. An empty partition is one block.
type Partition []int

// Stages cuts after layer1, layer2 and layer3: four blocks, the stem in the
// first.
func Stages(b *backbone.Backbone) Partition {
	ends := b.StageEnds()
	return Partition(ends[1 : len(ends)-1])
}

// EveryUnit makes a block of every residual unit, the stem in the first.
func EveryUnit(b *backbone.Backbone) Partition {
	var p Partition
	for i := 1; i < len(b.Units)-1; i++ {
		p = append(p, i)
	}
	return p
}

// stemName is how partitions name the stem, which has no name of its own.
const stemName = "stem"

// WithStem makes the stem a block of its own in front of p: the variant "EMA_first"
// of MAN++ for CIFAR (METHOD §1.4).
func (p Partition) WithStem() Partition {
	if len(p) > 0 && p[0] == 0 {
		return p
	}
	return append(Partition{0}, p...)
}

// Names gives the last unit of every block but the final one, as Cuts takes them.
func (p Partition) Names(b *backbone.Backbone) []string {
	var names []string
	for _, c := range p {
		n := b.Units[c].Name
		if n == "" {
			n = stemName
		}
		names = append(names, n)
	}
	return names
}

// Cuts makes a partition of unit names ("layer1.2"), each the last of its block;
// "stem" makes the stem a block of its own.
func Cuts(b *backbone.Backbone, names []string) (Partition, error) {
	var p Partition
	for _, n := range names {
		at := -1
		var known []string
		for i, u := range b.Units {
			if u.Name == n && n != "" || i == 0 && n == stemName {
				at = i
			}
			if u.Name != "" {
				known = append(known, u.Name)
			}
		}
		if at < 0 {
			return nil, fmt.Errorf("partition: no unit %q in %s (units: %s)", n, b.Name, strings.Join(known, " "))
		}
		p = append(p, at)
	}
	return p, p.Check(b)
}

// Check reports cuts that are out of order or cut nothing off.
func (p Partition) Check(b *backbone.Backbone) error {
	for i, c := range p {
		if c < 0 || c >= len(b.Units)-1 {
			return fmt.Errorf("partition: cut %d after unit %d: %s has units 0 to %d and the last ends the final block", i, c, b.Name, len(b.Units)-1)
		}
		if i > 0 && c <= p[i-1] {
			return fmt.Errorf("partition: cut %d after unit %d does not follow the one after unit %d", i, c, p[i-1])
		}
	}
	return nil
}

// Blocks returns the first and last unit of every block.
func (p Partition) Blocks(b *backbone.Backbone) [][2]int {
	var out [][2]int
	first := 0
	for _, c := range p {
		out = append(out, [2]int{first, c})
		first = c + 1
	}
	return append(out, [2]int{first, len(b.Units) - 1})
}

// Balanced cuts the backbone into k blocks such that the costliest block is as
// cheap as possible. cost[i] is what unit i adds to its block; a block also pays
// for its auxiliary network, two clones of the unit after it.
func Balanced(cost []int64, k int) (Partition, error) {
	n := len(cost)
	if k < 1 || k > n {
		return nil, fmt.Errorf("partition: %d blocks of %d units", k, n)
	}
	sum := make([]int64, n+1)
	for i, c := range cost {
		sum[i+1] = sum[i] + c
	}
	block := func(from, to int) int64 { // units from..to-1
		c := sum[to] - sum[from]
		if to < n {
			c += 2 * cost[to]
		}
		return c
	}
	// best[b][i]: the least possible largest cost of cutting units 0..i-1 into b blocks.
	const none = int64(-1)
	best := make([][]int64, k+1)
	from := make([][]int, k+1)
	for b := range best {
		best[b], from[b] = make([]int64, n+1), make([]int, n+1)
		for i := range best[b] {
			best[b][i] = none
		}
	}
	best[0][0] = 0
	for b := 1; b <= k; b++ {
		for i := b; i <= n; i++ {
			for j := b - 1; j < i; j++ {
				if best[b-1][j] == none {
					continue
				}
				if c := max(best[b-1][j], block(j, i)); best[b][i] == none || c < best[b][i] {
					best[b][i], from[b][i] = c, j
				}
			}
		}
	}
	var p Partition
	for b, i := k, n; b > 1; b-- {
		i = from[b][i]
		p = append(Partition{i - 1}, p...)
	}
	return p, nil
}
