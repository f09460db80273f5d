package data

import (
	"fmt"

	"manvision/data/augment"
)

// Last says what becomes of the images that do not fill a batch at the end of an
// epoch (of each group, when images are grouped).
type Last int

const (
	// LastFill completes the batch with the epoch's first images again, so that
	// every image is used in every epoch and every batch is full.
	LastFill Last = iota
	// LastDrop leaves them out.
	LastDrop
	// LastShort makes a smaller batch.
	LastShort
	// LastPad makes a full-size batch whose surplus canvases are empty.
	LastPad
)

// Sampler orders the indices [0,n) into batches. Batch step is a pure function
// of the sampler's settings and step.
//
// Each epoch is a fresh Fisher-Yates shuffle of all indices keyed by (seed,
// epoch): a jump to any step costs one shuffle (a millisecond for train2017),
// however far it is. With groups, each batch comes from one group: every group
// is shuffled and cut into batches, and the order of the batches is shuffled.
type Sampler struct {
	n, batch int
	shuffle  bool
	last     Last
	seed     uint64
	groups   [][]int32
	steps    int64 // per epoch

	epoch   int64 // the one order and cuts hold, -1 for none
	order   []int32
	batches [][]int32
}

// NewSampler returns a sampler over n images. group, if not nil, has a small
// group number for each image.
func NewSampler(n, batch int, shuffle bool, last Last, seed uint64, group []uint8) (*Sampler, error) {
	switch {
	case n < 1:
		return nil, fmt.Errorf("sampler: the data set is empty")
	case batch < 1:
		return nil, fmt.Errorf("sampler: batch size %d must be at least 1", batch)
	case group != nil && len(group) != n:
		return nil, fmt.Errorf("sampler: %d group numbers for %d images", len(group), n)
	case last < LastFill || last > LastPad:
		return nil, fmt.Errorf("sampler: unknown rule %d for the last batch", last)
	}
	s := &Sampler{n: n, batch: batch, shuffle: shuffle, last: last, seed: seed, epoch: -1}
	if group == nil {
		group = make([]uint8, n)
	}
	byGroup := make([][]int32, 256)
	for i, g := range group {
		byGroup[g] = append(byGroup[g], int32(i))
	}
	for g, members := range byGroup {
		if len(members) == 0 {
			continue
		}
		s.groups = append(s.groups, members)
		if last == LastDrop {
			if len(members) < batch {
				return nil, fmt.Errorf("sampler: group %d has %d images, less than a batch of %d, so dropping the last batch would never use them; fill it instead", g, len(members), batch)
			}
			s.steps += int64(len(members) / batch)
		} else {
			s.steps += int64((len(members) + batch - 1) / batch)
		}
	}
	return s, nil
}

// StepsPerEpoch is the number of batches in an epoch.
func (s *Sampler) StepsPerEpoch() int64 { return s.steps }

// Batch returns the epoch of a global step and the indices of its batch, valid
// until the next call. Under LastShort and LastPad there may be fewer than a
// batch's.
func (s *Sampler) Batch(step int64) (epoch int64, indices []int32) {
	epoch = step / s.steps
	if epoch != s.epoch {
		s.arrange(epoch)
	}
	return epoch, s.batches[step%s.steps]
}

func (s *Sampler) arrange(epoch int64) {
	s.epoch = epoch
	s.order, s.batches = s.order[:0], s.batches[:0]
	if cap(s.order) < s.n+len(s.groups)*s.batch {
		s.order = make([]int32, 0, s.n+len(s.groups)*s.batch)
	}
	for g, members := range s.groups {
		start := len(s.order)
		s.order = append(s.order, members...)
		if s.shuffle {
			r := augment.NewRandom(s.seed, uint64(epoch), uint64(g), orderStream)
			r.Shuffle(s.order[start:])
		}
		if s.last == LastFill {
			for k := 0; (len(s.order)-start)%s.batch != 0; k++ {
				s.order = append(s.order, s.order[start+k])
			}
		}
		for ; start < len(s.order); start += s.batch {
			end := start + s.batch
			if end > len(s.order) {
				if s.last == LastDrop {
					break
				}
				end = len(s.order)
			}
			s.batches = append(s.batches, s.order[start:end])
		}
	}
	if s.shuffle && len(s.groups) > 1 {
		r := augment.NewRandom(s.seed, uint64(epoch), batchStream)
		for i := len(s.batches) - 1; i > 0; i-- {
			j := r.Intn(i + 1)
			s.batches[i], s.batches[j] = s.batches[j], s.batches[i]
		}
	}
}

// Names of the random streams, so that no two uses share one.
const (
	orderStream  = 0x6f72646572 // "order"
	batchStream  = 0x6261746368 // "batch"
	sampleStream = 0x73616d706c // "sampl"
)
