package tinymodel

import (
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"path/filepath"
	"testing"
)

const classesRecipe = `name: tiny
task: classification
model: {backbone: resnet18, width: 8}
manpp: {strategy: e2e}
data:
  format: folders
  root: pictures
  train: {images: train}
  val: {images: val}
  classification: {size: [32, 32], resize: 36}
  workers: 2
optim: {lr: 0.01}
schedule: {name: constant}
train: {batch: 4, steps: 4, log_every: 2}
threads: 2
`

// TrainClasses trains a classifier of red and blue pictures, dir/pictures/train and
// val, and writes dir/recipe.yaml and dir/model.safetensors.
func TrainClasses(t testing.TB, dir string) {
	t.Helper()
	for class, c := range map[string]color.Color{"blue": color.RGBA{B: 200, A: 255}, "red": color.RGBA{R: 200, A: 255}} {
		for _, file := range []string{"train/" + class + "/1.png", "train/" + class + "/2.png", "val/" + class + "/" + class + ".png"} {
			path := filepath.Join(dir, "pictures", file)
			if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
				t.Fatal(err)
			}
			img := image.NewRGBA(image.Rect(0, 0, 48, 40))
			draw.Draw(img, img.Bounds(), image.NewUniform(c), image.Point{}, draw.Src)
			f, err := os.Create(path)
			if err == nil {
				err = png.Encode(f, img)
			}
			if err == nil {
				err = f.Close()
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	run(t, dir, classesRecipe)
}
