package torchfile

import (
	"encoding/json"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"manvision/internal/golden"
	"manvision/internal/testdata"
	"manvision/weights"
)

// Names are those of a torchvision network's state_dict, with shapes
// (arch/testdata/names_*.json, torchvision 0.14).
func Names(t testing.TB, arch string) []weights.Tensor {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testdata.Root(), "arch", "testdata", "names_"+arch+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var out []weights.Tensor
	if err := json.Unmarshal(b, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

// Torchvision writes a file of a torchvision network with formula weights, those of
// names with a gain multiplied by it.
func Torchvision(t testing.TB, arch string, gains map[string]float32) string {
	t.Helper()
	all := Fill(Names(t, arch))
	for _, w := range all {
		if gain, ok := gains[w.Name]; ok {
			for i := range w.Data {
				w.Data[i] *= gain
			}
		}
	}
	path := filepath.Join(t.TempDir(), arch+".pth")
	if err := Write(path, all, "", false); err != nil {
		t.Fatal(err)
	}
	return path
}

// Picture is a golden of a classifier on a picture of a file: arch/testdata/picture_*.json
// (torchvision 0.14's preset: short side 256, the middle 224 pixels).
type Picture struct {
	Size          [2]int // height, width
	Gains         map[string]float32
	Classes       []int // the five most probable
	Probabilities []float64
	CrossEntropy  float64 `json:"cross_entropy"` // of the second of Classes
}

// ReadPicture reads the golden of a network and writes its picture to a PNG file.
func ReadPicture(t testing.TB, arch, file string) Picture {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(testdata.Root(), "arch", "testdata", "picture_"+arch+".json"))
	if err != nil {
		t.Fatal(err)
	}
	var p Picture
	if err := json.Unmarshal(b, &p); err != nil {
		t.Fatal(err)
	}
	h, w := p.Size[0], p.Size[1]
	img := image.NewNRGBA(image.Rect(0, 0, w, h))
	u := golden.U("picture", Seed, h*w*3)
	for i := range h * w {
		for k := range 3 {
			img.Pix[i*4+k] = uint8((u[i*3+k] + 1) * 128)
		}
		img.Pix[i*4+3] = 255
	}
	f, err := os.Create(file)
	if err == nil {
		err = errors.Join(png.Encode(f, img), f.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}
