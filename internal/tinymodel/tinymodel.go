// Package tinymodel trains a detector or a segmentation network in a second, for
// tests of the commands that need a checkpoint.
package tinymodel

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"manvision/config"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/train"
)

// recipe is of images and layers so small that a step takes milliseconds.
const recipe = `name: tiny
model: {backbone: resnet18, width: 16, fpn_channels: 16, head_convs: 1, anchors: {sizes: [16, 32, 64, 96, 128]}}
manpp: {strategy: manpp, partition: stages, local_head_convs: 1}
data:
  format: shapes
  root: shapes
  train: {images: train, annotations: annotations/instances_train.json}
  val: {images: val, annotations: annotations/instances_val.json}
  shapes: {train: 12, val: 6, size: 64, seed: 3}
  fixed_size: [64, 64]
  workers: 2
optim: {lr: 0.01}
schedule: {name: cosine, warmup_steps: 2}
train: {batch: 4, steps: 4, log_every: 2}
eval: {batch: 4, score_threshold: 0.005}
threads: 2
`

// segmentationRecipe is recipe for label maps.
const segmentationRecipe = `name: tiny
task: segmentation
model: {backbone: resnet18, width: 16, segmentation: {aspp_channels: 16, aspp_rates: [1, 2, 3], aux_weight: 0}}
manpp: {strategy: manpp, partition: stages, local_channels: 8}
data:
  format: shapes
  root: shapes
  shapes: {train: 12, val: 6, size: 64, seed: 3}
  scale: [1, 1]
  crop: [64, 64]
  cat_max_ratio: 1
  workers: 2
optim: {lr: 0.01}
schedule: {name: cosine, warmup_steps: 2}
train: {batch: 4, steps: 4, log_every: 2}
threads: 2
`

// TrainSegmentation is Train of a network that labels pixels; shapes/ has label maps.
func TrainSegmentation(t testing.TB, dir string) {
	t.Helper()
	run(t, dir, segmentationRecipe)
}

// cityRecipe looks at CityScapes' frames in a sixteenth of their size.
const cityRecipe = `name: tiny
task: segmentation
model: {backbone: resnet18, width: 16, segmentation: {aspp_channels: 16, aspp_rates: [1, 2, 3], aux_weight: 0}}
manpp: {strategy: manpp, partition: stages, local_channels: 8}
data:
  format: cityscapes
  root: %q
  val: {split: train}
  base_size: [128, 64]
  scale: [1, 1]
  crop: [128, 64]
  cat_max_ratio: 1
  workers: 2
optim: {name: adamw, lr: 0.003}
schedule: {name: cosine, warmup_steps: 2}
train: {batch: 5, steps: 12, log_every: 4}
eval: {segmentation: {size: [128, 64]}}
threads: 2
`

// TrainCity is TrainSegmentation on the training frames of a CityScapes folder. It
// returns what training's own evaluation says on the same frames.
func TrainCity(t testing.TB, dir, root string) *train.Summary {
	t.Helper()
	return run(t, dir, fmt.Sprintf(cityRecipe, root))
}

// Train writes recipe.yaml, shapes/ and the checkpoint model.safetensors into dir.
func Train(t testing.TB, dir string) {
	t.Helper()
	run(t, dir, recipe)
}

func run(t testing.TB, dir, recipe string) *train.Summary {
	t.Helper()
	path := filepath.Join(dir, "recipe.yaml")
	if err := os.WriteFile(path, []byte(recipe), 0o666); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(path, []string{"output=" + filepath.Join(dir, "run")})
	if err != nil {
		t.Fatal(err)
	}
	res, err := train.Run(context.Background(), cfg, train.Options{
		Open: func(threads int) (device.Device, error) { return cpu.New(cpu.Options{Threads: threads}) }})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(res.Checkpoint, filepath.Join(dir, "model.safetensors")); err != nil {
		t.Fatal(err)
	}
	return res.Summary
}
