package main

import (
	"cmp"
	"slices"
)

// ends keeps the n entries with the least and the n with the greatest scores. Of equal
// scores the earlier counts as the lesser.
type ends[T any] struct {
	n           int
	least, most []scored[T]
	seen        int
}

type scored[T any] struct {
	score float64
	at    int // order of arrival
	value T
}

func order[T any](a, b scored[T]) int {
	return cmp.Or(cmp.Compare(a.score, b.score), cmp.Compare(a.at, b.at))
}

// wants says whether an entry of that score would be kept, so that it is only then
// worth making.
func (e *ends[T]) wants(score float64) bool {
	return len(e.least) < e.n || score < e.least[len(e.least)-1].score || score >= e.most[0].score
}

// add offers an entry.
func (e *ends[T]) add(score float64, value T) {
	s := scored[T]{score, e.seen, value}
	e.seen++
	e.least = insert(e.least, s)
	if len(e.least) > e.n {
		e.least = e.least[:e.n]
	}
	e.most = insert(e.most, s)
	if len(e.most) > e.n {
		e.most = slices.Delete(e.most, 0, 1)
	}
}

func insert[T any](list []scored[T], s scored[T]) []scored[T] {
	i, _ := slices.BinarySearchFunc(list, s, order[T])
	return slices.Insert(list, i, s)
}

// worst lists the least first, best the greatest first. An entry that is at both ends,
// because there are few, is only among the worse half or the better half.
func (e *ends[T]) worst() []scored[T] { return e.least[:min(len(e.least), (e.seen+1)/2)] }

func (e *ends[T]) best() []scored[T] {
	out := slices.Clone(e.most)
	slices.Reverse(out)
	return out[:min(len(out), e.seen/2)]
}
