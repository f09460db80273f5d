package cocoeval

import (
	"math"
	"slices"
)

// classScore holds a class's numbers; objects[a] is 0 where it has none to find
// in area range a, and then its numbers there do not exist.
type classScore struct {
	objects    [numAreas]int
	detections int
	precision  [numAreas][numThresholds]float64 // mean over the recall points
	recall     [numAreas][numThresholds]float64 // at the last limit on detections
	limited    [2][numThresholds]float64        // all areas, at the first two limits
	points     [3][numRecalls]float64           // precision at each recall, all areas: IoU 0.50, 0.75, mean of 0.50:0.95
}

// score turns the matches of a class into precision and recall.
func (c *class) score(maxDets [3]int) classScore {
	s := classScore{detections: len(c.kept)}
	for i := range c.objects {
		ob := &c.objects[i]
		for a, r := range areaRanges {
			if !ob.crowd && ob.area >= r[0] && ob.area <= r[1] {
				s.objects[a]++
			}
		}
	}
	if s.objects[0] == 0 || len(c.kept) == 0 {
		return s
	}
	order := make([]ranked, len(c.kept))
	for i := range c.kept {
		order[i] = ranked{c.kept[i].d.score, int32(i)}
	}
	slices.SortFunc(order, bestFirst)
	var curves [numThresholds][]float64
	for a := range numAreas {
		if s.objects[a] > 0 {
			c.curves(order, a, &curves)
			for t := range numThresholds {
				s.precision[a][t] = meanPrecision(curves[t], s.objects[a])
				s.recall[a][t] = float64(len(curves[t])) / float64(s.objects[a])
			}
			if a == 0 {
				s.sample(&curves)
			}
		}
	}
	for k, limit := range maxDets[:2] {
		var n [numThresholds]int
		for i := range c.kept {
			bits := c.found[0][i] &^ c.ignored[0][i]
			if bits == 0 || int(c.kept[i].rank) >= limit {
				continue
			}
			for t := range numThresholds {
				n[t] += int(bits >> t & 1)
			}
		}
		for t := range numThresholds {
			s.limited[k][t] = float64(n[t]) / float64(s.objects[0])
		}
	}
	return s
}

// curves replaces the contents of dst, for every threshold, by the precision at
// every object found in area range a, best scores first.
func (c *class) curves(order []ranked, a int, dst *[numThresholds][]float64) {
	// pycocotools keeps the division from 0/0 by the spacing of floats at 1.
	const spacing = 0x1p-52
	for t := range dst {
		dst[t] = dst[t][:0]
	}
	var misses [numThresholds]int // beside those that miss at every threshold
	missesAll := 0
	found, ignored := c.found[a], c.ignored[a]
	for _, r := range order {
		f, ign := found[r.at], ignored[r.at]
		if f == 0 && ign == 0 {
			missesAll++
			continue
		}
		if ign == allThresholds {
			continue
		}
		for t := range numThresholds {
			switch {
			case ign>>t&1 != 0:
			case f>>t&1 == 0:
				misses[t]++
			default:
				hits := len(dst[t]) + 1
				dst[t] = append(dst[t], float64(hits)/(float64(hits+misses[t]+missesAll)+spacing))
			}
		}
	}
}

// sample reads the curves of all areas, which meanPrecision has made monotone, at the
// recall points.
func (s *classScore) sample(curves *[numThresholds][]float64) {
	for t, curve := range curves {
		i := 0
		for k, r := range recallPoints {
			for i < len(curve) && float64(i+1)/float64(s.objects[0]) < r {
				i++
			}
			if i == len(curve) {
				break
			}
			switch t {
			case 0:
				s.points[0][k] = curve[i]
			case at75:
				s.points[1][k] = curve[i]
			}
			s.points[2][k] += curve[i] / numThresholds
		}
	}
}

// meanPrecision makes the curve fall monotonically and returns its mean over the
// recall points; recalls that are never reached have precision 0. It overwrites
// curve.
func meanPrecision(curve []float64, objects int) float64 {
	for i := len(curve) - 2; i >= 0; i-- {
		curve[i] = math.Max(curve[i], curve[i+1])
	}
	sum, i := 0.0, 0
	for _, r := range recallPoints {
		for i < len(curve) && float64(i+1)/float64(objects) < r {
			i++
		}
		if i == len(curve) {
			break
		}
		sum += curve[i]
	}
	return sum / numRecalls
}
