package augment

import (
	"encoding/json"
	"hash/crc32"
	"image"
	"math"
	"os"
	"path/filepath"
	"testing"

	"manvision/internal/testdata"
)

// Real JPEGs, one of them grey, from file to the pixels that torchvision's
// classification weights see: bit by bit what torchvision 0.14.1 and Pillow 9.4.0
// make of them (testdata/gen_real.py).
func TestRealImagesAreTorchvisions(t *testing.T) {
	dir := testdata.Shared(t, "coco/train2017")
	b, err := os.ReadFile("testdata/real.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		File      string
		W, H      int
		Eval      uint32
		EvalCubic uint32 `json:"eval_cubic"`
		Part      [4]int
		Train     uint32
	}
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	std := identity()
	draw := func(cfg Config, path string, plan func(w, h int) Params) []uint8 {
		cfg.Mean, cfg.Std = std.Mean, std.Std
		r, err := NewRenderer(cfg)
		if err != nil {
			t.Fatal(err)
		}
		defer r.Close()
		dst := make([]float32, 224*224*3)
		if _, err := r.RenderUnsized(path, plan, dst, 224, 224); err != nil {
			t.Fatal(err)
		}
		px := make([]uint8, len(dst))
		for i, v := range dst {
			px[i] = uint8(v + 0.5)
		}
		return px
	}
	var differs, most float64
	for _, k := range cases {
		path := filepath.Join(dir, k.File)
		evaluate := func(how Interpolation, short int) []uint8 {
			cfg := Config{Interpolation: how, Resize: Resize{ShortSides: []int{short}, Truncate: true}, Crop: Crop{W: 224, H: 224, Center: true}}
			rng := NewRandom(1)
			return draw(cfg, path, func(w, h int) Params {
				if w != k.W || h != k.H {
					t.Errorf("%s is %dx%d, want %dx%d", k.File, w, h, k.W, k.H)
				}
				return cfg.Plan(&rng, w, h)
			})
		}
		pil := evaluate(Antialias, 256)
		if crc32.ChecksumIEEE(pil) != k.Eval {
			t.Errorf("%s: evaluation's pixels differ", k.File)
		}
		if crc32.ChecksumIEEE(evaluate(AntialiasCubic, 248)) != k.EvalCubic {
			t.Errorf("%s: evaluation's pixels with the cubic filter differ", k.File)
		}
		train := draw(Config{Interpolation: Antialias}, path, func(w, h int) Params {
			return Params{SrcW: w, SrcH: h, Cut: image.Rect(k.Part[0], k.Part[1], k.Part[2], k.Part[3]), InW: 224, InH: 224, Flip: true}
		})
		if crc32.ChecksumIEEE(train) != k.Train {
			t.Errorf("%s: a part's pixels differ", k.File)
		}
		sum := 0.0
		for i, v := range evaluate(Linear, 256) {
			d := math.Abs(float64(v) - float64(pil[i]))
			sum, most = sum+d, max(most, d)
		}
		differs += sum / float64(len(pil)) / float64(len(cases))
	}
	t.Logf("Linear differs from Pillow by %.2f levels on average, at most by %v", differs, most)
	if differs < 1 {
		t.Error("Linear is nearly Pillow's: the comment on Antialias is wrong")
	}
}
