package data

import (
	"fmt"
	"sort"
	"testing"

	"pgregory.net/rapid"
)

// Every epoch uses every image, in batches of one group each, and any batch can
// be asked for at any time.
func TestSamplerProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 60).Draw(t, "n")
		batch := rapid.IntRange(1, 9).Draw(t, "batch")
		shuffle := rapid.Bool().Draw(t, "shuffle")
		last := Last(rapid.SampledFrom([]int{int(LastFill), int(LastShort), int(LastPad)}).Draw(t, "last"))
		seed := rapid.Uint64().Draw(t, "seed")
		var group []uint8
		if rapid.Bool().Draw(t, "grouped") {
			group = rapid.SliceOfN(rapid.Uint8Range(0, 2), n, n).Draw(t, "group")
		}
		s, err := NewSampler(n, batch, shuffle, last, seed, group)
		if err != nil {
			t.Fatal(err)
		}
		spe := s.StepsPerEpoch()
		var all []string
		for step := int64(0); step < 3*spe; step++ {
			epoch, idx := s.Batch(step)
			if epoch != step/spe {
				t.Fatalf("step %d in epoch %d", step, epoch)
			}
			if last == LastFill && len(idx) != batch || len(idx) == 0 || len(idx) > batch {
				t.Fatalf("batch of %d", len(idx))
			}
			for _, i := range idx {
				if group != nil && group[i] != group[idx[0]] {
					t.Fatalf("batch %v mixes groups", idx)
				}
			}
			all = append(all, fmt.Sprint(idx))
		}
		for e := int64(0); e < 3; e++ {
			seen := map[int32]int{}
			for step := e * spe; step < (e+1)*spe; step++ {
				_, idx := s.Batch(step)
				for _, i := range idx {
					seen[i]++
				}
			}
			if len(seen) != n {
				t.Fatalf("epoch %d uses %d of %d images", e, len(seen), n)
			}
		}
		jump, _ := NewSampler(n, batch, shuffle, last, seed, group)
		for k := 0; k < 5; k++ {
			step := rapid.Int64Range(0, 3*spe-1).Draw(t, "step")
			if _, idx := jump.Batch(step); fmt.Sprint(idx) != all[step] {
				t.Fatalf("step %d: %v, in order %s", step, idx, all[step])
			}
		}
	})
}

func TestShuffleIsFair(t *testing.T) {
	// 4,000 shuffles of 6: each index is first about 667 times; 5 standard
	// deviations of the binomial are 118.
	first := make([]int, 6)
	s, err := NewSampler(6, 6, true, LastFill, 1, nil)
	if err != nil {
		t.Fatal(err)
	}
	for e := int64(0); e < 4000; e++ {
		_, idx := s.Batch(e)
		first[idx[0]]++
	}
	sort.Ints(first)
	if first[0] < 549 || first[5] > 785 {
		t.Errorf("first places %v", first)
	}
}
