package mask

// BoxIoU returns the intersection over union of two boxes x, y, w, h. With crowd
// the second is a crowd region and the union is replaced by the first box's
// area. Boxes that only touch have 0.
func BoxIoU(d, g *[4]float64, crowd bool) float64 {
	w := min(d[0]+d[2], g[0]+g[2]) - max(d[0], g[0])
	if w <= 0 {
		return 0
	}
	h := min(d[1]+d[3], g[1]+g[3]) - max(d[1], g[1])
	if h <= 0 {
		return 0
	}
	// The conversions keep a compiler from fusing multiply and add, which
	// would round differently from one processor to the next.
	inter := float64(w * h)
	area := float64(d[2] * d[3])
	if !crowd {
		area = area + float64(g[2]*g[3]) - inter
	}
	return inter / area
}

// IoU returns the intersection over union of a detection and a ground-truth
// mask. With crowd the second is a crowd region and the union is replaced by the
// first mask's area. Masks of different sizes have 0.
func IoU(d, g *RLE, crowd bool) float64 {
	db, gb := d.Box(), g.Box()
	return IoUInBoxes(d, g, &db, &gb, crowd)
}

// IoUInBoxes is [IoU] for masks whose boxes ([RLE.Box]) are known: masks with
// boxes apart are not walked.
func IoUInBoxes(d, g *RLE, db, gb *[4]float64, crowd bool) float64 {
	if d.H != g.H || d.W != g.W || !(BoxIoU(db, gb, crowd) > 0) {
		return 0
	}
	inter, union := overlap(d.Counts, g.Counts)
	if inter == 0 {
		return 0
	}
	if crowd {
		return float64(inter) / float64(d.Area())
	}
	return float64(inter) / float64(union)
}

// overlap counts the pixels set in both and in any of two masks of equal size.
func overlap(a, b []uint32) (inter, union int) {
	if len(a) == 0 || len(b) == 0 {
		return 0, 0
	}
	i, j := 0, 0
	ra, rb := a[0], b[0]
	for {
		step := min(ra, rb)
		on := i&1 + j&1
		if on == 2 {
			inter += int(step)
		}
		if on != 0 {
			union += int(step)
		}
		ra -= step
		rb -= step
		if ra == 0 {
			if i++; i == len(a) {
				break
			}
			ra = a[i]
		}
		if rb == 0 {
			if j++; j == len(b) {
				break
			}
			rb = b[j]
		}
	}
	// Both cover the same pixels, so what is left of either is empty runs.
	return inter, union
}
