package onnx

import (
	"manvision/detection"
	"manvision/device"
)

const bilinear = device.Bilinear

// decode adds detection.PostProcessor's work in standard operations: of every pyramid
// level the best pairs of anchor and class, their boxes decoded and clipped to the
// input, suppression class by class over all levels, the best of what is left. logits
// [1,A,C] and deltas [1,A,4] are names of values. Outputs boxes, scores and labels.
func (w *walker) decode(logits, deltas string, grid *detection.Grid, classes int, post detection.PostConfig, o Options) {
	b := w.b
	scores, index, count := w.candidates(logits, grid, classes, post.TopK)
	c := b.ints(nil, int64(classes))
	anchor := b.add("Div", "candidate_anchors", []string{index, c})
	label := b.add("Mod", "candidate_labels", []string{index, c})

	boxes := w.boxes(anchor, deltas, grid, post.Coder, o) // [K,4]
	side := func(i int64) string {
		return b.add("Gather", "", []string{boxes, b.ints([]int{}, i)}, attr{"axis", 1})
	}
	// A box without area gets the score 0, which none is selected with.
	area := b.add("And", "", []string{b.add("Greater", "", []string{side(2), side(0)}), b.add("Greater", "", []string{side(3), side(1)})})
	zero := b.scalar(0)
	scores = b.add("Where", "candidate_scores", []string{area, scores, zero})

	all := make([]int64, classes)
	for i := range all {
		all[i] = int64(i)
	}
	own := b.add("Equal", "", []string{label, b.ints([]int{classes, 1}, all...)}) // [C,K]
	table := b.add("Where", "", []string{own, scores, zero})
	axis0 := b.ints(nil, 0)
	most := count
	if post.MaxDetections > 0 {
		most = min(count, post.MaxDetections)
	}
	selected := b.add("NonMaxSuppression", "selected", []string{
		b.add("Unsqueeze", "", []string{boxes, axis0}), b.add("Unsqueeze", "", []string{table, axis0}),
		b.ints(nil, int64(most)), b.floats("constant", []int{1}, float32(post.NMSIoU)), b.floats("constant", []int{1}, float32(post.ScoreThreshold)),
	}) // [n,3]: image, class, candidate
	chosen := b.add("Gather", "", []string{selected, b.ints([]int{}, 2)}, attr{"axis", 1})
	found := b.add("Gather", "", []string{scores, chosen}, attr{"axis", 0})
	k := b.add("Min", "", []string{b.add("Shape", "", []string{found}), b.ints(nil, int64(most))})
	best := b.addN("TopK", "best", 2, []string{found, k}, attr{"axis", 0}, attr{"largest", 1}, attr{"sorted", 1})
	chosen = b.add("Gather", "", []string{chosen, best[1]}, attr{"axis", 0})
	b.result(b.add("Gather", "", []string{boxes, chosen}, attr{"axis", 0}), "boxes")
	b.result(best[0], "scores")
	b.result(b.add("Gather", "", []string{label, chosen}, attr{"axis", 0}), "labels")
}

// candidates are the topK best of every level (0: all): probabilities [K], indices
// anchor·C + class [K], and K.
func (w *walker) candidates(logits string, grid *detection.Grid, classes, topK int) (scores, index string, k int) {
	b := w.b
	var values, places []string
	for i, l := range grid.Levels {
		end := grid.Len()
		if i+1 < len(grid.Levels) {
			end = grid.Levels[i+1].First
		}
		n := (end - l.First) * classes
		best := n
		if topK > 0 {
			best = min(n, topK)
		}
		k += best
		x := b.add("Slice", "", []string{logits, b.ints(nil, int64(l.First)), b.ints(nil, int64(end)), b.ints(nil, 1)})
		x = b.add("Reshape", "", []string{x, b.ints(nil, int64(n))})
		top := b.addN("TopK", "level", 2, []string{x, b.ints(nil, int64(best))}, attr{"axis", 0}, attr{"largest", 1}, attr{"sorted", 1})
		values = append(values, top[0])
		places = append(places, b.add("Add", "", []string{top[1], b.ints(nil, int64(l.First*classes))}))
	}
	scores = b.add("Sigmoid", "", []string{b.add("Concat", "", values, attr{"axis", 0})})
	return scores, b.add("Concat", "", places, attr{"axis", 0}), k
}

// boxes decodes the deltas of chosen anchors and clips the boxes to the input.
func (w *walker) boxes(anchor, deltas string, grid *detection.Grid, coder detection.BoxCoder, o Options) string {
	b := w.b
	centres, sizes := make([]float32, 0, 2*grid.Len()), make([]float32, 0, 2*grid.Len())
	for _, a := range grid.Boxes {
		// In float32, as detection.BoxCoder does.
		centres = append(centres, (a[0]+a[2])/2, (a[1]+a[3])/2)
		sizes = append(sizes, max(a[2]-a[0], 1), max(a[3]-a[1], 1))
	}
	of := func(values string, axis int) string {
		return b.add("Gather", "", []string{values, anchor}, attr{"axis", axis})
	}
	n := grid.Len()
	centre, size := of(b.floats("anchor_centres", []int{n, 2}, centres...), 0), of(b.floats("anchor_sizes", []int{n, 2}, sizes...), 0)
	d := of(b.add("Reshape", "", []string{deltas, b.ints(nil, int64(n), 4)}), 0)
	part := func(from int64, weights ...float64) string {
		x := b.add("Slice", "", []string{d, b.ints(nil, from), b.ints(nil, from+2), b.ints(nil, 1)})
		if weights[0] != 1 || weights[1] != 1 {
			x = b.add("Div", "", []string{x, b.floats("coder", []int{2}, float32(weights[0]), float32(weights[1]))})
		}
		return x
	}
	k := coder.Weights
	if k == [4]float64{} {
		k = [4]float64{1, 1, 1, 1}
	}
	shift, log := part(0, k[0], k[1]), part(2, k[2], k[3])
	if !coder.NoClamp {
		log = b.add("Min", "", []string{log, b.scalar(detection.MaxLogSize)})
	}
	middle := b.add("Add", "", []string{b.add("Mul", "", []string{shift, size}), centre})
	half := b.add("Mul", "", []string{b.add("Mul", "", []string{b.add("Exp", "", []string{log}), size}), b.scalar(0.5)})
	box := b.add("Concat", "", []string{b.add("Sub", "", []string{middle, half}), b.add("Add", "", []string{middle, half})}, attr{"axis", 1})
	box = b.add("Max", "", []string{box, b.scalar(0)})
	limit := b.floats("limits", []int{4}, float32(o.W), float32(o.H), float32(o.W), float32(o.H))
	return b.add("Min", "candidate_boxes", []string{box, limit})
}

// postProperty tells what decodes a detector's outputs.
func postProperty(p detection.PostConfig) []Property {
	weights := p.Coder.Weights
	if weights == [4]float64{} {
		weights = [4]float64{1, 1, 1, 1}
	}
	return []Property{{"manvision.postprocessing", inJSON(map[string]any{
		"score_threshold": p.ScoreThreshold, "top_k_per_level": p.TopK, "nms_iou": p.NMSIoU, "max_detections": p.MaxDetections,
		"box_weights": weights, "max_log_size": detection.MaxLogSize,
	})}}
}
