package augment

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// shareOf is the largest class's share of a drawn label map, and how many classes
// it has, counted plainly.
func shareOf(labels []uint8, ignore uint8) (float64, int) {
	n := map[uint8]int{}
	sum, most := 0, 0
	for _, v := range labels {
		if v != ignore {
			n[v]++
			sum++
			most = max(most, n[v])
		}
	}
	return float64(most) / float64(max(sum, 1)), len(n)
}

// FitCrop takes the first window of the ten that suits, else the eleventh.
func TestFitCrop(t *testing.T) {
	outcomes := map[int]int{}
	rapid.Check(t, func(t *rapid.T) {
		const w, h, ignore = 48, 32, 255
		labels := make([]uint8, w*h)
		// A few patches on plain ground, some ignored.
		r := NewRandom(rapid.Uint64().Draw(t, "map"))
		for k := rapid.IntRange(0, 4).Draw(t, "patches"); k > 0; k-- {
			x, y, v := r.Intn(w), r.Intn(h), []uint8{1, 2, ignore}[r.Intn(3)]
			for yy := y; yy < min(h, y+14); yy++ {
				for xx := x; xx < min(w, x+20); xx++ {
					labels[yy*w+xx] = v
				}
			}
		}
		cfg := Config{Scale: [2]float64{0.5, 2}, FlipProb: 0.5, Crop: Crop{W: 24, H: 16, MaxShare: rapid.Float64Range(0.3, 0.95).Draw(t, "share")}}
		rng := NewRandom(rapid.Uint64().Draw(t, "seed"))
		plan := cfg.Plan(&rng, w, h)
		got := plan
		if err := got.FitCrop(cfg.Crop, labels, ignore); err != nil {
			t.Fatal(err)
		}
		want := plan
		tries := 0
		drawn := make([]uint8, plan.InW*plan.InH)
		for ; tries < 10; tries++ {
			if err := want.DrawLabels(labels, drawn, plan.InH, plan.InW, ignore); err != nil {
				t.Fatal(err)
			}
			if share, classes := shareOf(drawn, ignore); classes > 1 && share < cfg.Crop.MaxShare {
				break
			}
			want.CropY = want.crops.Intn(plan.ScaledH - plan.InH + 1)
			want.CropX = want.crops.Intn(plan.ScaledW - plan.InW + 1)
		}
		outcomes[min(tries, 2)+tries/10]++
		if plan.InW == plan.ScaledW && plan.InH == plan.ScaledH {
			want.crops, got.crops = Random{}, Random{} // there is one window only
		}
		if got != want {
			t.Fatalf("after %d tries %+v, want %+v", tries, got, want)
		}
	})
	if outcomes[0] == 0 || outcomes[2] == 0 || outcomes[3] == 0 {
		t.Errorf("not every outcome occurred: %v", outcomes)
	}
}

func TestCropRefuses(t *testing.T) {
	for _, c := range []struct {
		cfg  Config
		want string
	}{
		{Config{Crop: Crop{W: 5}}, "must both be positive"},
		{Config{Crop: Crop{W: -5, H: -5}}, "must both be positive"},
		{Config{Crop: Crop{W: 5, H: 5, MaxShare: 1.5}}, "must be in [0,1]"},
		{Config{Crop: Crop{MaxShare: 0.75}}, "no crop size"},
		{Config{Scale: [2]float64{2, 0.5}}, "random scale from 2 to 0.5"},
		{Config{Scale: [2]float64{0, 1}}, "random scale from 0 to 1"},
		{Config{Scale: [2]float64{1, 1e9}}, "at most 16"},
		{Config{Photometric: true, Jitter: Jitter{Hue: 0.1}}, "one of them"},
	} {
		if err := c.cfg.Validate(); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.cfg, err, c.want)
		}
	}
	p := Params{SrcW: 4, SrcH: 3, InW: 4, InH: 3}
	if err := p.DrawLabels(make([]uint8, 11), make([]uint8, 12), 3, 4, 255); err == nil || !strings.Contains(err.Error(), "11 values for an image of 4x3") {
		t.Errorf("short label map: %v", err)
	}
	if err := p.FitCrop(Crop{W: 2, H: 2, MaxShare: 0.5}, make([]uint8, 13), 255); err == nil {
		t.Error("long label map: no error")
	}
	if err := p.DrawLabels(make([]uint8, 12), make([]uint8, 9), 3, 3, 255); err == nil || !strings.Contains(err.Error(), "does not fit") {
		t.Errorf("small canvas: %v", err)
	}
	r, _ := NewRenderer(identity())
	defer r.Close()
	if _, _, err := r.Open("testdata/plain.png", 0, 0); err != nil {
		t.Fatal(err)
	}
	p = Params{SrcW: 20, SrcH: 14, ScaledW: 20, ScaledH: 14, CropX: 15, InW: 6, InH: 4}
	if err := r.Draw(p, make([]float32, 6*4*3), 4, 6); err == nil || !strings.Contains(err.Error(), "leaves the image") {
		t.Errorf("window outside: %v", err)
	}
}
