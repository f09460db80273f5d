package data

import (
	"errors"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"manvision/data/augment"
	"manvision/data/labelmap"
)

// newPairs writes n pairs of PNG images and label maps of differing size. Label
// and image say the same: the image's red is 25 times the class; class 3 is
// ignored, and so are the labels' pixels there.
func newPairs(t testing.TB, n int) *Segmentation {
	t.Helper()
	dir := t.TempDir()
	images, labels := filepath.Join(dir, "images"), filepath.Join(dir, "labels")
	for _, d := range []string{images, labels} {
		if err := os.Mkdir(d, 0o777); err != nil {
			t.Fatal(err)
		}
	}
	for i := 0; i < n; i++ {
		w, h := 60+i%7*9, 40+i%5*4
		img := image.NewRGBA(image.Rect(0, 0, w, h))
		v := make([]uint8, w*h)
		for y := 0; y < h; y++ {
			for x := 0; x < w; x++ {
				class := uint8((x/20 + y/15*2 + i) % 5)
				img.Set(x, y, color.RGBA{25 * class, uint8(x), uint8(y), 255})
				if v[y*w+x] = class; class == 3 {
					v[y*w+x] = 255
				}
			}
		}
		name := fmt.Sprintf("%03d.png", i)
		f, err := os.Create(filepath.Join(images, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(png.Encode(f, img), f.Close(), labelmap.WritePNG(filepath.Join(labels, name), v, w, h)); err != nil {
			t.Fatal(err)
		}
	}
	set, err := labelmap.Folders(images, labels, make([]labelmap.Class, 5), 255)
	if err != nil {
		t.Fatal(err)
	}
	return NewSegmentation(set)
}

func labelConfig(workers int) LoaderConfig {
	return LoaderConfig{
		Batch: 3, Shuffle: true, Seed: 5, Workers: workers, Labels: true,
		Augment: augment.Config{
			Scale: [2]float64{0.5, 2}, Crop: augment.Crop{W: 56, H: 40, MaxShare: 0.4}, FlipProb: 0.5,
			Mean: [3]float32{0, 0, 0}, Std: [3]float32{1. / 255, 1. / 255, 1. / 255},
		},
	}
}

func labelDigest(b *Batch) string {
	h := fnv.New64a()
	h.Write(b.Labels)
	return fmt.Sprintf("%s %d %x", digest(b), len(b.Labels), h.Sum64())
}

func takeLabels(t *testing.T, l *Loader, n int) []string {
	t.Helper()
	var out []string
	for range n {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, labelDigest(b))
		l.Recycle(b)
	}
	return out
}

// Images and labels of every batch show the same thing, in one shape, padded with
// 0 and Ignore.
func TestLabelsBesideImages(t *testing.T) {
	src := newPairs(t, 11)
	l := newLoader(t, src, labelConfig(2))
	padded, flipped, kept := 0, 0, 0
	for range 40 {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if b.H != 64 || b.W != 64 || len(b.Labels) != b.N*b.H*b.W {
			t.Fatalf("batch of %dx%dx%d with %d labels, want canvases of 64x64 (crop 40x56 in multiples of 32)", b.N, b.H, b.W, len(b.Labels))
		}
		for n, s := range b.Samples {
			if s.InW < 56 || s.InH < 40 {
				padded++
			}
			if s.Flipped {
				flipped++
			}
			labels := b.Labels[n*b.H*b.W:]
			for y := 0; y < b.H; y++ {
				for x := 0; x < b.W; x++ {
					i := y*b.W + x
					red := b.Images[3*(n*b.H*b.W+i)]
					v := labels[i]
					if x >= s.InW || y >= s.InH {
						if v != labelmap.Ignore || red != 0 {
							t.Fatalf("padding at %d,%d is %v labelled %d", x, y, red, v)
						}
						continue
					}
					if v == labelmap.Ignore {
						v = 3
					}
					if d := red - float32(25*v); d > 1 || d < -1 {
						if !atBorder(labels, b.W, x, y, s.InW, s.InH) {
							t.Fatalf("step %d, %s at %d,%d: red is %v, the label %d", b.Step, s.File, x, y, red, v)
						}
						continue
					}
					kept++
				}
			}
		}
		l.Recycle(b)
	}
	if padded == 0 || flipped == 0 || kept == 0 {
		t.Errorf("%d padded, %d mirrored samples: the test sees too little", padded, flipped)
	}
}

// atBorder reports whether another class, or the window's end, is next to a pixel:
// there the image is a mixture of two.
func atBorder(labels []uint8, stride, x, y, w, h int) bool {
	if x == 0 || y == 0 || x == w-1 || y == h-1 {
		return true
	}
	for dy := -1; dy <= 1; dy++ {
		for dx := -1; dx <= 1; dx++ {
			if labels[(y+dy)*stride+x+dx] != labels[y*stride+x] {
				return true
			}
		}
	}
	return false
}

// Labels and chosen crops, too, are the same for any number of workers.
func TestLabelsArePureFunctionsOfStep(t *testing.T) {
	src := newPairs(t, 11)
	want := takeLabels(t, newLoader(t, src, labelConfig(1)), 20)
	for _, workers := range []int{2, 4} {
		l := newLoader(t, src, labelConfig(workers))
		if got := takeLabels(t, l, 20); !reflect.DeepEqual(got, want) {
			t.Fatalf("%d workers: batches differ from one worker's", workers)
		}
		if err := l.SeekStep(7); err != nil {
			t.Fatal(err)
		}
		if got := takeLabels(t, l, 13); !reflect.DeepEqual(got, want[7:]) {
			t.Fatalf("%d workers: after a jump the batches differ", workers)
		}
	}
	free := labelConfig(1)
	free.Augment.Crop.MaxShare = 0
	if got := takeLabels(t, newLoader(t, src, free), 20); reflect.DeepEqual(got, want) {
		t.Error("the bound on one class's share changes nothing")
	}
}

// Bad label maps and sizes that do not agree end like bad images: an error that
// names both files, or another pair in their place.
func TestBadLabels(t *testing.T) {
	src := newPairs(t, 6)
	pairs := src.Set().Pairs
	if err := os.WriteFile(pairs[1].Label, []byte("no label map"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := labelmap.WritePNG(pairs[2].Label, make([]uint8, 12), 4, 3); err != nil {
		t.Fatal(err)
	}
	v := make([]uint8, pairs[3].Width*pairs[3].Height)
	v[7] = 9
	if err := labelmap.WritePNG(pairs[3].Label, v, pairs[3].Width, pairs[3].Height); err != nil {
		t.Fatal(err)
	}
	pairs[4].Width, pairs[4].Height = 10, 12 // as if the image had changed since
	if err := labelmap.WritePNG(pairs[4].Label, make([]uint8, 120), 10, 12); err != nil {
		t.Fatal(err)
	}
	cfg := labelConfig(2)
	cfg.Batch, cfg.Shuffle = 1, false
	l := newLoader(t, src, cfg)
	for i, want := range [][]string{
		nil,
		{pairs[1].Label},
		{pairs[2].Label, "4x3", pairs[2].Image, fmt.Sprintf("%dx%d", pairs[2].Width, pairs[2].Height)},
		{pairs[3].Label, "9"},
		{pairs[4].Image, "10x12", pairs[4].Label, "96x56"},
		nil,
	} {
		if err := l.SeekStep(int64(i)); err != nil {
			t.Fatal(err)
		}
		_, err := l.Next()
		if (err == nil) != (want == nil) {
			t.Errorf("pair %d: %v", i, err)
			continue
		}
		for _, w := range want {
			if !strings.Contains(err.Error(), w) {
				t.Errorf("pair %d: %q does not say %q", i, err, w)
			}
		}
	}
	var digests [2][]string
	for k, workers := range []int{1, 3} {
		cfg.OnBad, cfg.Workers = SkipBad, workers
		l = newLoader(t, src, cfg)
		digests[k] = takeLabels(t, l, 18)
		if s := l.Stats().Skipped; len(s) != 4 {
			t.Errorf("%d pairs skipped, want 4: %v", len(s), s)
		}
	}
	if !reflect.DeepEqual(digests[0], digests[1]) {
		t.Error("substitutes depend on the number of workers")
	}
}

func TestLabelsNeedALabelSource(t *testing.T) {
	cfg := labelConfig(1)
	if _, err := NewLoader(newMemory(t, 3), cfg); err == nil || !strings.Contains(err.Error(), "has none") {
		t.Errorf("source without label maps: %v", err)
	}
	src := newPairs(t, 3)
	cfg.Labels = false
	if _, err := NewLoader(src, cfg); err == nil || !strings.Contains(err.Error(), "needs label maps") {
		t.Errorf("bound on one class's share without label maps: %v", err)
	}
	cfg.Augment.Crop.MaxShare = 0
	b, err := newLoader(t, src, cfg).Next()
	if err != nil || b.Labels != nil {
		t.Errorf("without Labels: %v, %d labels", err, len(b.Labels))
	}
}

// Empty canvases of a padded last batch count nothing, also in recycled memory.
func TestEmptyCanvasesAreIgnored(t *testing.T) {
	cfg := labelConfig(1)
	cfg.Last, cfg.Shuffle = LastPad, false
	l := newLoader(t, newPairs(t, 4), cfg)
	for step := range 6 {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if step%2 == 1 {
			for i, v := range b.Labels[b.H*b.W:] {
				if v != labelmap.Ignore {
					t.Fatalf("step %d: label %d at %d of the empty canvases", step, v, i)
				}
			}
		}
		l.Recycle(b)
	}
}

// Detection goes through the same scales and windows: boxes stay on the part of
// the image that is shown, and lead back to source boxes.
func TestBoxesThroughCrops(t *testing.T) {
	src := newMemory(t, 9)
	cfg := config(3)
	cfg.Augment.Scale, cfg.Augment.Crop = [2]float64{0.5, 2}, augment.Crop{W: 32, H: 24}
	cfg.MinBox = 2
	l := newLoader(t, src, cfg)
	kept, cut, dropped := 0, 0, 0
	for range 40 {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if b.H != 32 || b.W != 32 {
			t.Fatalf("canvas %dx%d, want 32x32 for a crop of 24x32", b.H, b.W)
		}
		for _, s := range b.Samples {
			item := src.items[s.Index]
			dropped += s.Dropped
			for _, box := range s.Boxes {
				kept++
				if box[0] < 0 || box[1] < 0 || box[2] > float32(s.InW) || box[3] > float32(s.InH) || box[2]-box[0] < 2 || box[3]-box[1] < 2 {
					t.Fatalf("box %v on an image of %dx%d", box, s.InW, s.InH)
				}
				if s.Flipped {
					box[0], box[2] = float32(s.InW)-box[2], float32(s.InW)-box[0]
				}
				back := [4]float64{
					(float64(box[0]) + float64(s.CropX)) / s.ScaleX, (float64(box[1]) + float64(s.CropY)) / s.ScaleY,
					(float64(box[2]) + float64(s.CropX)) / s.ScaleX, (float64(box[3]) + float64(s.CropY)) / s.ScaleY,
				}
				inside, whole := false, false
				for _, o := range item.Boxes {
					const eps = 1e-3
					in := back[0] > float64(o[0])-eps && back[1] > float64(o[1])-eps && back[2] < float64(o[2])+eps && back[3] < float64(o[3])+eps
					inside = inside || in
					whole = whole || in && back[2]-back[0] > float64(o[2]-o[0])-eps && back[3]-back[1] > float64(o[3]-o[1])-eps
				}
				if !inside {
					t.Fatalf("box %v comes from %v, which is in no box of %v", box, back, item.Boxes)
				}
				if !whole {
					cut++
				}
			}
		}
		l.Recycle(b)
	}
	if kept == 0 || cut == 0 || cut == kept || dropped == 0 {
		t.Errorf("%d boxes kept, %d of them cut, %d dropped: the test sees too little", kept, cut, dropped)
	}
}
