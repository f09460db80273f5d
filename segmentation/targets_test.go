package segmentation

import (
	"math"
	"slices"
	"strings"
	"testing"

	"manvision/backbone"
	"manvision/device/ref"
	"manvision/manpp"
)

// TestTargetErrors: labels that are neither classes nor Ignore are refused with
// their place, batches of another size too.
func TestTargetErrors(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	targets, err := newTargets(narrow(DeepLabV3), dev, 2, 4, 5, true)
	if err != nil {
		t.Fatal(err)
	}
	good, images := make([]uint8, 40), make([]float32, 120)
	with := func(i int, v uint8) []uint8 {
		l := slices.Clone(good)
		l[i] = v
		return l
	}
	broken := slices.Clone(images)
	broken[70] = float32(math.NaN())
	for want, c := range map[string]struct {
		labels []uint8
		images []float32
	}{
		"image 0 of the batch: label 3 at x=0 y=0":   {with(0, 3), images},
		"image 1 of the batch: label 254 at x=4 y=3": {with(39, 254), images},
		"image 1 of the batch: label 7 at x=1 y=2":   {with(31, 7), images},
		"39 labels":            {good[:39], images},
		"got 0":                {good, nil},
		"image 1 of the batch": {good, broken},
	} {
		if err := targets.Set(c.labels, c.images); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	if err := targets.Set(with(3, Ignore), images); err != nil {
		t.Error(err)
	}
	if _, err := newTargets(narrow(DeepLabV3), dev, 2, 0, 5, false); err == nil {
		t.Error("images without height: no error")
	}
}

// TestImageTarget: the decoder's target is the image before normalisation,
// x·0.2 + 0.5, kept within [0, 1].
func TestImageTarget(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	targets, err := newTargets(narrow(DeepLabV3), dev, 1, 1, 2, true)
	if err != nil {
		t.Fatal(err)
	}
	defer targets.Free()
	if err := targets.Set([]uint8{0, 1}, []float32{0, 1, -1, -2.5, 2.5, 9}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []float64{0.5, 0.7, 0.3, 0, 1, 1} {
		if got := values(t, 6, targets.image.Download)[i]; math.Abs(got-want) > 1e-6 {
			t.Errorf("value %d is %v, want %v", i, got, want)
		}
	}
}

// TestAllIgnored: a batch without any labelled pixel has cross-entropies of 0 and
// changes no gradient to NaN.
func TestAllIgnored(t *testing.T) {
	for _, head := range Heads() {
		dev := ref.New()
		net := narrow(head)
		net.ReconWeight = 0
		b := dilated(t, backbone.ResNet(false, []int{1, 1, 1, 1}, 4), 8)
		tr := trainer(t, dev, net, b, manpp.Stages(b))
		s, err := tr.Steps(2, 32, 32)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, tr, s)
		labels := slices.Repeat([]uint8{Ignore}, 2*32*32)
		if err := TargetsOf(s.Heads).Set(labels, nil); err != nil {
			t.Fatal(err)
		}
		var rep manpp.StepReport
		if err := tr.Run(s, 0, nil, false, &rep); err != nil {
			t.Fatal(err)
		}
		for j, b := range rep.Blocks {
			if slices.ContainsFunc(b.Terms, func(x float64) bool { return x != 0 }) {
				t.Errorf("%s: block %d: losses %v, want 0", head, j+1, b.Terms)
			}
		}
		if rep.GradNorm != 0 {
			t.Errorf("%s: gradient norm %v, want 0", head, rep.GradNorm)
		}
		tr.Close()
		dev.Close()
	}
}
