package augment

import (
	"image"
	"math"
	"testing"

	"gocv.io/x/gocv"
	"pgregory.net/rapid"
)

// Pixels of a coordinate image hold 4*x in red and 4*y in green, so that what is
// drawn says from where in the source it was taken, to an eighth of a pixel.
const perPixel = 4

// coordinates returns a renderer with a w x h coordinate image opened, and label
// maps that hold each pixel's column and row.
func coordinates(cfg Config, w, h int) (r *Renderer, cols, rows []uint8) {
	std := identity()
	cfg.Mean, cfg.Std = std.Mean, std.Std
	r, err := NewRenderer(cfg)
	if err != nil {
		panic(err)
	}
	r.src.Close()
	r.src = gocv.NewMatWithSize(h, w, gocv.MatTypeCV8UC3)
	r.opened = true
	px, _ := r.src.DataPtrUint8()
	for y := 0; y < h; y++ {
		for x := 0; x < w; x++ {
			px[(y*w+x)*3+2], px[(y*w+x)*3+1] = uint8(perPixel*x), uint8(perPixel*y)
			cols, rows = append(cols, uint8(x)), append(rows, uint8(y))
		}
	}
	return r, cols, rows
}

func drawConfig(t *rapid.T) Config {
	side := rapid.IntRange(1, 90)
	var c Config
	switch rapid.IntRange(0, 2).Draw(t, "resize") {
	case 1:
		c.Resize = Resize{ShortSides: []int{side.Draw(t, "short")}, LongMax: 120}
	case 2:
		c.Resize = Resize{Width: side.Draw(t, "width"), Height: side.Draw(t, "height")}
	}
	if rapid.Bool().Draw(t, "scaling") {
		c.Scale[0] = rapid.Float64Range(0.3, 2).Draw(t, "lo")
		c.Scale[1] = rapid.Float64Range(c.Scale[0], 2.5).Draw(t, "hi")
	}
	if rapid.Bool().Draw(t, "cropping") {
		c.Crop = Crop{W: side.Draw(t, "crop w"), H: side.Draw(t, "crop h")}
	}
	if rapid.IntRange(0, 3).Draw(t, "part") == 0 {
		c = Config{Part: RandomPart{W: side.Draw(t, "part w"), H: side.Draw(t, "part h"), Scale: [2]float64{0.2, 1}}}
	}
	c.FlipProb = 0.5
	return c
}

// Whatever is drawn, image, label map and boxes show the same part of the source:
// a label is of the source pixel nearest to where the image was sampled, and the
// pixels labelled as inside a box are those inside the box on the canvas.
func TestGeometryAgrees(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 60).Draw(t, "w"), rapid.IntRange(1, 60).Draw(t, "h")
		cfg := drawConfig(t)
		rng := NewRandom(rapid.Uint64().Draw(t, "seed"))
		p := cfg.Plan(&rng, w, h)
		if mw, mh := cfg.MaxSize(w, h, 0); p.InW > mw || p.InH > mh {
			t.Fatalf("%dx%d on the canvas, at most %dx%d announced", p.InW, p.InH, mw, mh)
		}
		if rapid.IntRange(0, 4).Draw(t, "shrink") == 0 {
			p.Shrink(max(1, p.InW*2/3), max(1, p.InH*3/4))
		}
		r, cols, rows := coordinates(cfg, w, h)
		defer r.Close()
		cw, ch := p.InW+rapid.IntRange(0, 5).Draw(t, "right"), p.InH+rapid.IntRange(0, 5).Draw(t, "below")
		img := make([]float32, cw*ch*3)
		if err := r.Draw(p, img, ch, cw); err != nil {
			t.Fatal(err)
		}
		lx, ly := make([]uint8, cw*ch), make([]uint8, cw*ch)
		for src, dst := range map[*[]uint8][]uint8{&cols: lx, &rows: ly} {
			if err := p.DrawLabels(*src, dst, ch, cw, 255); err != nil {
				t.Fatal(err)
			}
		}
		x1, y1 := rapid.IntRange(0, w-1).Draw(t, "x1"), rapid.IntRange(0, h-1).Draw(t, "y1")
		x2, y2 := rapid.IntRange(x1+1, w).Draw(t, "x2"), rapid.IntRange(y1+1, h).Draw(t, "y2")
		box, _ := p.Box([4]float32{float32(x1), float32(y1), float32(x2), float32(y2)}, 0)
		for y := 0; y < ch; y++ {
			for x := 0; x < cw; x++ {
				i := y*cw + x
				if x >= p.InW || y >= p.InH {
					if lx[i] != 255 || ly[i] != 255 || img[3*i] != 0 || img[3*i+1] != 0 {
						t.Fatalf("%+v: padding at %d,%d is %v with label %d", p, x, y, img[3*i:3*i+3], lx[i])
					}
					continue
				}
				// Half a source pixel, and half a level of rounding.
				const eps = 0.5 + 0.5/perPixel + 0.02
				dx, dy := float64(img[3*i])/perPixel-float64(lx[i]), float64(img[3*i+1])/perPixel-float64(ly[i])
				if math.Abs(dx) > eps || math.Abs(dy) > eps {
					t.Fatalf("%+v: at %d,%d the image is from %v,%v and the label from %d,%d", p, x, y,
						img[3*i]/perPixel, img[3*i+1]/perPixel, lx[i], ly[i])
				}
				inside := int(lx[i]) >= x1 && int(lx[i]) < x2 && int(ly[i]) >= y1 && int(ly[i]) < y2
				fx, fy := float32(x)+0.5, float32(y)+0.5
				border := math.Min(math.Min(math.Abs(float64(fx-box[0])), math.Abs(float64(fx-box[2]))), math.Min(math.Abs(float64(fy-box[1])), math.Abs(float64(fy-box[3]))))
				if on := fx > box[0] && fx < box[2] && fy > box[1] && fy < box[3]; on != inside && border > 1e-3 {
					t.Fatalf("%+v: %d,%d comes from %d,%d; inside box %d %d %d %d: %v, on the canvas inside %v: %v", p, x, y, lx[i], ly[i], x1, y1, x2, y2, inside, box, on)
				}
			}
		}
	})
}

// At one factor, how far a label's source pixel lies from where the image was
// sampled: at most half a pixel. OpenCV's INTER_NEAREST goes further at factors
// that are not whole, which is why label maps do not go through it.
func TestLabelsAreNearest(t *testing.T) {
	for _, factor := range []float64{0.5, 2, 1.37} {
		const w, h = 60, 40
		p := Params{SrcW: w, SrcH: h, ScaledW: int(w*factor + 0.5), ScaledH: int(h*factor + 0.5)}
		p.InW, p.InH = p.ScaledW, p.ScaledH
		r, cols, _ := coordinates(Config{}, w, h)
		defer r.Close()
		img, labels := make([]float32, p.InW*p.InH*3), make([]uint8, p.InW*p.InH)
		if err := r.Draw(p, img, p.InH, p.InW); err != nil {
			t.Fatal(err)
		}
		if err := p.DrawLabels(cols, labels, p.InH, p.InW, 255); err != nil {
			t.Fatal(err)
		}
		m, err := gocv.NewMatFromBytes(h, w, gocv.MatTypeCV8U, cols)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Close()
		gocv.Resize(m, &m, image.Pt(p.InW, p.InH), 0, 0, gocv.InterpolationNearestNeighbor)
		cv := m.ToBytes()
		ours, theirs := 0.0, 0.0
		for i := range labels {
			at := float64(img[3*i]) / perPixel
			ours, theirs = math.Max(ours, math.Abs(float64(labels[i])-at)), math.Max(theirs, math.Abs(float64(cv[i])-at))
		}
		t.Logf("factor %v: labels up to %v source pixels from the image, OpenCV's INTER_NEAREST %v", factor, ours, theirs)
		if ours > 0.5+0.5/perPixel {
			t.Errorf("factor %v: a label is %v source pixels away", factor, ours)
		}
		if factor == 1.37 && theirs < 0.7 {
			t.Errorf("INTER_NEAREST is %v away: the comment on DrawLabels is wrong", theirs)
		}
	}
}

// Unbox undoes Box where nothing was clipped.
func TestUnbox(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w, h := rapid.IntRange(1, 500).Draw(t, "w"), rapid.IntRange(1, 500).Draw(t, "h")
		cfg := drawConfig(t)
		rng := NewRandom(rapid.Uint64().Draw(t, "seed"))
		p := cfg.Plan(&rng, w, h)
		x, y := rapid.Float32Range(0, float32(p.InW)).Draw(t, "x"), rapid.Float32Range(0, float32(p.InH)).Draw(t, "y")
		want := [4]float32{x, y, rapid.Float32Range(x, float32(p.InW)).Draw(t, "x2"), rapid.Float32Range(y, float32(p.InH)).Draw(t, "y2")}
		got, _ := p.Box(p.Unbox(want), 0)
		for k := range got {
			if math.Abs(float64(got[k]-want[k])) > 2e-3 {
				t.Fatalf("%+v: %v comes back as %v", p, want, got)
			}
		}
	})
}

// The crop cuts boxes off and drops what is left of too little of them.
func TestBoxesInWindow(t *testing.T) {
	p := Params{SrcW: 100, SrcH: 50, ScaledW: 200, ScaledH: 100, CropX: 40, CropY: 10, InW: 64, InH: 32}
	if got, ok := p.Box([4]float32{10, 3, 30, 20}, 1); !ok || got != [4]float32{0, 0, 20, 30} {
		t.Errorf("got %v, want 0 0 20 30", got)
	}
	p.Flip = true
	if got, ok := p.Box([4]float32{10, 3, 30, 20}, 1); !ok || got != [4]float32{44, 0, 64, 30} {
		t.Errorf("flipped: got %v, want 44 0 64 30", got)
	}
	if got, ok := p.Box([4]float32{10, 3, 20.4, 20}, 1); ok {
		t.Errorf("0.8 pixels are left, yet %v is kept", got)
	}
	if _, ok := p.Box([4]float32{60, 3, 90, 20}, 1); ok {
		t.Error("a box outside the window is kept")
	}
}
