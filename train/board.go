package train

import (
	"fmt"
	"slices"

	"manvision/report/tensorboard"
	"manvision/weights"
)

// boardFolder is where event files lie in a run's output.
const boardFolder = "tensorboard"

// scalars are a record's numbers by TensorBoard's tags.
func scalars(r *record) []tensorboard.Scalar {
	list := []tensorboard.Scalar{
		{Tag: "loss/final", Value: r.Loss}, {Tag: "train/lr", Value: r.LR}, {Tag: "train/grad_norm", Value: r.GradNorm},
		{Tag: "train/epoch", Value: float64(r.Epoch)}, {Tag: "train/skipped_steps", Value: float64(r.Skipped)},
		{Tag: "speed/images_per_second", Value: r.Images}, {Tag: "speed/data_wait", Value: r.DataWait},
		{Tag: "memory/resident", Value: float64(r.Memory)},
	}
	for _, of := range []struct {
		tag    string
		values []float64
	}{{"loss/block", r.Blocks}, {"fusion/s", r.Scales}, {"fusion/lb_ema", r.Distances}, {"speed/seconds_block", r.BlockTime}} {
		for i, v := range of.values {
			list = append(list, tensorboard.Scalar{Tag: fmt.Sprint(of.tag, i+1), Value: v})
		}
	}
	for i, v := range r.BlockMemory {
		list = append(list, tensorboard.Scalar{Tag: fmt.Sprint("memory/block", i+1), Value: float64(v)})
	}
	return list
}

// evaluated are an evaluation's numbers by TensorBoard's tags.
func evaluated(m weights.Metrics) []tensorboard.Scalar {
	var list []tensorboard.Scalar
	for name, v := range m {
		if finiteNumber(v) {
			list = append(list, tensorboard.Scalar{Tag: "eval/" + name, Value: v})
		}
	}
	slices.SortFunc(list, func(a, b tensorboard.Scalar) int {
		if a.Tag < b.Tag {
			return -1
		}
		return 1
	})
	return list
}
