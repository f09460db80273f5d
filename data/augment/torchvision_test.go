package augment

import (
	"encoding/json"
	"hash/crc32"
	"image"
	"os"
	"testing"
)

// torchvisionCases are made by testdata/gen_torchvision.py with torchvision
// 0.14.1 and Pillow 9.4.0.
type torchvisionCases struct {
	PictureCRC uint32 `json:"picture_crc"`
	Resize     []struct {
		From   [2]int
		Filter string
		goldenPixels
	}
	Boxes []struct {
		Box    [4]int
		Filter string
		goldenPixels
	}
	Evaluation []struct {
		From        [2]int
		Short, Side int
		Resized     [2]int
		goldenPixels
	}
	Padded []struct {
		From [2]int
		Pad  int
		Mode string
		At   [2]int
		Flip bool
		goldenPixels
	}
	Parts []struct {
		From         [2]int
		Scale, Ratio [2]float64
		Draws        []float64
		Part         [4]int
	}
}

type goldenPixels struct {
	W, H int
	CRC  uint32
}

func readTorchvision(t *testing.T) (c torchvisionCases) {
	t.Helper()
	b, err := os.ReadFile("testdata/torchvision.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &c); err != nil {
		t.Fatal(err)
	}
	if crc := crc32.ChecksumIEEE(formula(37, 23)); crc != c.PictureCRC {
		t.Fatalf("the test picture is not the script's: %d, want %d", crc, c.PictureCRC)
	}
	return c
}

// formula is the script's picture.
func formula(w, h int) []uint8 {
	var px []uint8
	for y := 0; y < h; y++ {
		for x := 0; x < w; x++ {
			for c := 0; c < 3; c++ {
				px = append(px, uint8((37*x+91*y+53*c)*(x*y+7*c+1)>>2))
			}
		}
	}
	return px
}

// checkDrawn renders the picture and compares every pixel.
func checkDrawn(t *testing.T, cfg Config, p Params, want goldenPixels) {
	t.Helper()
	std := identity()
	cfg.Mean, cfg.Std = std.Mean, std.Std
	r, err := NewRenderer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if p.InW != want.W || p.InH != want.H {
		t.Errorf("%+v gives %dx%d, want %dx%d", cfg, p.InW, p.InH, want.W, want.H)
		return
	}
	dst := make([]float32, want.W*want.H*3)
	if err := r.RenderRGB(formula(p.SrcW, p.SrcH), p, dst, want.H, want.W); err != nil {
		t.Fatal(err)
	}
	px := make([]uint8, len(dst))
	for i, v := range dst {
		px[i] = uint8(v + 0.5)
	}
	if crc := crc32.ChecksumIEEE(px); crc != want.CRC {
		t.Errorf("%+v of %dx%d: the pixels differ; the first row begins %v", p, p.SrcW, p.SrcH, px[:min(len(px), 12)])
	}
}

func filterOf(name string) Interpolation {
	return map[string]Interpolation{"antialias": Antialias, "antialias-cubic": AntialiasCubic}[name]
}

// Antialias and AntialiasCubic are Pillow's filters, bit by bit; a window of the
// result is computed alone.
func TestAntialiasIsPillows(t *testing.T) {
	cases := readTorchvision(t)
	for _, k := range cases.Resize {
		cfg := Config{Interpolation: filterOf(k.Filter), Resize: Resize{Width: k.W, Height: k.H}}
		rng := NewRandom(1)
		checkDrawn(t, cfg, cfg.Plan(&rng, k.From[0], k.From[1]), k.goldenPixels)
	}
	for _, k := range cases.Boxes {
		p := Params{SrcW: 64, SrcH: 48, Cut: image.Rect(k.Box[0], k.Box[1], k.Box[2], k.Box[3]), InW: k.W, InH: k.H}
		checkDrawn(t, Config{Interpolation: filterOf(k.Filter)}, p, k.goldenPixels)
	}
}

// Short side, rounding, centre and padding of evaluation are torchvision's.
func TestEvaluationIsTorchvisions(t *testing.T) {
	for _, k := range readTorchvision(t).Evaluation {
		cfg := Config{
			Interpolation: Antialias,
			Resize:        Resize{ShortSides: []int{k.Short}, Truncate: true},
			Crop:          Crop{W: k.Side, H: k.Side, Center: true},
		}
		rng := NewRandom(1)
		p := cfg.Plan(&rng, k.From[0], k.From[1])
		if w, h := p.full(); w != k.Resized[0] || h != k.Resized[1] {
			t.Errorf("%v to %d: %dx%d, want %v", k.From, k.Short, w, h, k.Resized)
		}
		checkDrawn(t, cfg, p, k.goldenPixels)
	}
}

// A crop of the padded image, mirrored or not, is torchvision's RandomCrop.
func TestPaddedCropIsTorchvisions(t *testing.T) {
	for _, k := range readTorchvision(t).Padded {
		p := Params{
			SrcW: k.From[0], SrcH: k.From[1], ScaledW: k.From[0], ScaledH: k.From[1],
			CropX: k.At[0] - k.Pad, CropY: k.At[1] - k.Pad, InW: k.W, InH: k.H, Flip: k.Flip, Padding: PadBlack,
		}
		if k.Mode == "reflect" {
			p.Padding = PadReflect
		}
		checkDrawn(t, Config{}, p, k.goldenPixels)
	}
}

// With the same random numbers RandomPart takes RandomResizedCrop's part.
func TestRandomPartIsTorchvisions(t *testing.T) {
	fallback := 0
	for _, k := range readTorchvision(t).Parts {
		draws := k.Draws
		next := func() float64 {
			if len(draws) == 0 {
				t.Fatalf("%v: more draws than torchvision's %v", k.From, k.Draws)
			}
			v := draws[0]
			draws = draws[1:]
			return v
		}
		calls := 0
		uniform := func(lo, hi float64) float64 {
			// The script wrote down values already in range: of the ratio's logarithm, too.
			calls++
			v := next()
			if v < lo-1e-6 || v > hi+1e-6 {
				t.Fatalf("%v: draw %d is %v, but the range is %v to %v", k.From, calls, v, lo, hi)
			}
			return v
		}
		c := RandomPart{W: 24, H: 20, Scale: k.Scale, Ratio: k.Ratio}
		got := c.part(k.From[0], k.From[1], uniform, func(int) int { return int(next()) })
		if want := image.Rect(k.Part[0], k.Part[1], k.Part[2], k.Part[3]); got != want || len(draws) != 0 {
			t.Errorf("part of %v is %v with %d draws left, want %v", k.From, got, len(draws), want)
		}
		if len(k.Draws) == 2*partTries {
			fallback++
		}
	}
	if fallback < 10 {
		t.Errorf("only %d cases fall back on the middle", fallback)
	}
}

// The windows of a padded crop are drawn from all places, evenly enough that each
// occurs.
func TestPaddedCropPlaces(t *testing.T) {
	cfg := Config{Crop: Crop{W: 32, H: 32, Pad: 4, Reflect: true}, FlipProb: 0.5}
	seen := map[[2]int]int{}
	for i := range 3000 {
		rng := NewRandom(7, uint64(i))
		p := cfg.Plan(&rng, 32, 32)
		if p.Padding != PadReflect || p.InW != 32 || p.InH != 32 {
			t.Fatalf("%+v", p)
		}
		seen[[2]int{p.CropX, p.CropY}]++
	}
	if len(seen) != 81 || seen[[2]int{-4, -4}] == 0 || seen[[2]int{4, 4}] == 0 {
		t.Errorf("%d places of 81: %v", len(seen), seen)
	}
	if w, h := cfg.MaxSize(32, 32, 0); w != 32 || h != 32 {
		t.Errorf("largest size %dx%d", w, h)
	}
}
