package cocoeval

import (
	"cmp"
	"slices"

	"manvision/data/coco/mask"
)

// class holds one class's detections while they are evaluated: those that count,
// by image, best score first. Bit t of found and ignored belongs to threshold t.
type class struct {
	label   int
	objects []object
	kept    []kept
	found   [numAreas][]uint16 // takes an object
	ignored [numAreas][]uint16 // counts neither for nor against
}

type kept struct {
	d    *detection
	rank int32 // among the detections of its image, from 0
}

// ranked is a position with its score as a key that sorts best first.
type ranked struct {
	score float64
	at    int32
}

func bestFirst(a, b ranked) int {
	switch {
	case a.score > b.score:
		return -1
	case a.score < b.score:
		return 1
	}
	return cmp.Compare(a.at, b.at)
}

// arrange sorts a class's detections (positions in all, in the order given) by
// image and falling score and drops those beyond limit in an image.
func (c *class) arrange(all []detection, of []int32, images, limit int) {
	first := make([]int32, images+1)
	for _, i := range of {
		first[all[i].image+1]++
	}
	for i := range images {
		first[i+1] += first[i]
	}
	sorted := make([]ranked, len(of))
	next := slices.Clone(first[:images])
	for _, i := range of {
		n := &next[all[i].image]
		sorted[*n] = ranked{all[i].score, i}
		*n++
	}
	c.kept = make([]kept, 0, len(of))
	for im := range images {
		cell := sorted[first[im]:first[im+1]]
		if len(cell) > 1 {
			slices.SortFunc(cell, bestFirst)
		}
		for r, s := range cell[:min(limit, len(cell))] {
			c.kept = append(c.kept, kept{&all[s.at], int32(r)})
		}
	}
	for a := range numAreas {
		c.found[a] = make([]uint16, len(c.kept))
		c.ignored[a] = make([]uint16, len(c.kept))
	}
}

// span is a run of whole images of a class.
type span struct {
	c              *class
	from, to       int // in kept
	objFrom, objTo int // in objects
}

// spans cuts a class into parts of about size detections. Objects of images
// without detections are in none.
func (c *class) spans(size int) []span {
	var out []span
	obj := 0
	for from := 0; from < len(c.kept); {
		to := min(from+size, len(c.kept))
		for to < len(c.kept) && c.kept[to].d.image == c.kept[to-1].d.image {
			to++
		}
		for obj < len(c.objects) && c.objects[obj].image < c.kept[from].d.image {
			obj++
		}
		end := obj
		for end < len(c.objects) && c.objects[end].image <= c.kept[to-1].d.image {
			end++
		}
		out = append(out, span{c, from, to, obj, end})
		from, obj = to, end
	}
	return out
}

// candidate is an object that a detection overlaps enough at the lowest
// threshold.
type candidate struct {
	object int32
	iou    float64
}

// matcher is a worker's scratch space.
type matcher struct {
	segm, zeroIDIsMiss bool
	candidates         []candidate
	first              []int32  // of the detection in the image: its candidates
	taken              []uint16 // by object: thresholds at which it is taken
	skip               []bool   // by object: ignored in the area range
}

func (m *matcher) span(s span) {
	c := s.c
	obj := s.objFrom
	for from := s.from; from < s.to; {
		image := c.kept[from].d.image
		to := from + 1
		for to < s.to && c.kept[to].d.image == image {
			to++
		}
		for obj < s.objTo && c.objects[obj].image < image {
			obj++
		}
		end := obj
		for end < s.objTo && c.objects[end].image == image {
			end++
		}
		m.image(c, from, to, c.objects[obj:end])
		from, obj = to, end
	}
}

// image matches the detections kept[from:to] of one image with its objects. At
// every threshold and for every area range, detections choose in the order of
// their scores: the free object with the highest IoU, the last of equals;
// objects that are ignored only where no other will do. Crowds are never used up.
func (m *matcher) image(c *class, from, to int, objects []object) {
	dets := c.kept[from:to]
	m.overlaps(dets, objects)
	for a := range numAreas {
		lo, hi := areaRanges[a][0], areaRanges[a][1]
		found, ignored := c.found[a][from:to], c.ignored[a][from:to]
		if len(m.candidates) > 0 {
			m.taken = append(m.taken[:0], make([]uint16, len(objects))...)
			m.skip = m.skip[:0]
			for i := range objects {
				ob := &objects[i]
				m.skip = append(m.skip, ob.crowd || ob.area < lo || ob.area > hi)
			}
		}
		for i := range dets {
			var out uint16 // thresholds at which the detection's size excuses a miss
			if area := dets[i].d.area; area < lo || area > hi {
				out = allThresholds
			}
			cands := m.candidates[m.first[i]:m.first[i+1]]
			if len(cands) == 0 {
				ignored[i] = out
				continue
			}
			var hit, ign uint16
			for t := range numThresholds {
				bit := uint16(1) << t
				k := m.choose(cands, objects, t)
				if k < 0 {
					continue
				}
				m.taken[k] |= bit
				if m.skip[k] {
					ign |= bit
				}
				if !(m.zeroIDIsMiss && objects[k].zeroID) {
					hit |= bit
				}
			}
			found[i] = hit
			ignored[i] = ign | out&^hit
		}
	}
}

// choose returns the object that a detection takes at threshold t, -1 for none.
func (m *matcher) choose(cands []candidate, objects []object, t int) int32 {
	for _, skipped := range [2]bool{false, true} {
		best, at := min(thresholds[t], 1-1e-10), int32(-1)
		for _, c := range cands {
			if c.iou < best || m.skip[c.object] != skipped {
				continue
			}
			if m.taken[c.object]>>t&1 != 0 && !objects[c.object].crowd {
				continue
			}
			best, at = c.iou, c.object
		}
		if at >= 0 {
			return at
		}
	}
	return -1
}

// overlaps lists every detection's candidates in the order of the objects.
func (m *matcher) overlaps(dets []kept, objects []object) {
	m.candidates = m.candidates[:0]
	m.first = append(m.first[:0], 0)
	for i := range dets {
		d := dets[i].d
		for j := range objects {
			ob := &objects[j]
			var iou float64
			if m.segm {
				iou = mask.IoUInBoxes(d.mask, ob.mask, &d.bounds, &ob.bounds, ob.crowd)
			} else {
				iou = mask.BoxIoU(&d.box, &ob.box, ob.crowd)
			}
			if iou >= thresholds[0] {
				m.candidates = append(m.candidates, candidate{int32(j), iou})
			}
		}
		m.first = append(m.first, int32(len(m.candidates)))
	}
}
