package data

import (
	"fmt"
	"hash/fnv"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"manvision/data/augment"
	"manvision/data/classes"
)

// newTiny is n images of 8x8 in memory, each of one colour (its index), of three
// classes.
func newTiny(t testing.TB, n int) *Classification {
	t.Helper()
	s := &classes.Set{Source: "tiny", Names: []string{"a", "b", "c"}, Width: 8, Height: 8}
	for i := range n {
		px := make([]uint8, 8*8*3)
		for k := range px {
			px[k] = uint8(3*i + k%3)
		}
		s.Pixels = append(s.Pixels, px)
		s.Classes = append(s.Classes, int32(i%3))
		s.Files = append(s.Files, fmt.Sprintf("tiny: image %d", i))
	}
	c, err := NewClassification(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// newUnsized is n JPEGs whose size nobody wrote down.
func newUnsized(t testing.TB, n int) *Classification {
	t.Helper()
	m := newMemory(t, n)
	s := &classes.Set{Source: "files", Names: []string{"a", "b"}}
	for i, item := range m.items {
		s.Files = append(s.Files, item.Path)
		s.Classes = append(s.Classes, int32(i%2))
	}
	c, err := NewClassification(s)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func raw() augment.Config {
	return augment.Config{Std: [3]float32{1. / 255, 1. / 255, 1. / 255}}
}

func tinyConfig(workers int) LoaderConfig {
	cfg := LoaderConfig{Batch: 4, Shuffle: true, Seed: 9, Workers: workers, Multiple: 8, Augment: raw()}
	cfg.Augment.Crop = augment.Crop{W: 8, H: 8, Pad: 2, Reflect: true}
	cfg.Augment.FlipProb = 0.5
	return cfg
}

func unsizedConfig(workers int) LoaderConfig {
	cfg := LoaderConfig{Batch: 3, Shuffle: true, Seed: 9, Workers: workers}
	cfg.Augment.Part = augment.RandomPart{W: 32, H: 32}
	cfg.Augment.Interpolation = augment.Antialias
	cfg.Augment.FlipProb = 0.5
	return cfg
}

func classDigest(b *Batch) string {
	h := fnv.New64a()
	fmt.Fprint(h, b.Classes)
	return fmt.Sprintf("%s %x", digest(b), h.Sum64())
}

func takeClasses(t *testing.T, l *Loader, n int) []string {
	t.Helper()
	var out []string
	for range n {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, classDigest(b))
		l.Recycle(b)
	}
	return out
}

// Images in memory come out as their own colour with their own class, mirrored
// padding and all.
func TestClassesBesideImages(t *testing.T) {
	src := newTiny(t, 26)
	cfg := tinyConfig(2)
	cfg.Last, cfg.Epochs = LastPad, 3
	l := newLoader(t, src, cfg)
	images, empty := 0, 0
	moved := map[int]bool{}
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.H != 8 || b.W != 8 || len(b.Classes) != b.N || b.N != 4 {
			t.Fatalf("batch of %d, %dx%d with %d classes", b.N, b.H, b.W, len(b.Classes))
		}
		for n := range b.N {
			px := b.Images[n*8*8*3 : (n+1)*8*8*3]
			if n >= len(b.Samples) {
				empty++
				if b.Classes[n] != -1 || px[0] != 0 {
					t.Errorf("empty canvas has class %d and starts with %v", b.Classes[n], px[0])
				}
				continue
			}
			s := b.Samples[n]
			images++
			moved[s.CropX] = true
			if want := int32(s.Index % 3); b.Classes[n] != want || s.Class != want {
				t.Errorf("image %d has class %d and %d, want %d", s.Index, b.Classes[n], s.Class, want)
			}
			for k, v := range px {
				if want := float64(3*s.Index + k%3); math.Abs(float64(v)-want) > 1e-3 {
					t.Fatalf("image %d at %d: %v, want %v (R, G, B)", s.Index, k, v, want)
				}
			}
		}
		l.Recycle(b)
	}
	if images != 78 || empty != 6 || len(moved) != 5 {
		t.Errorf("%d images, %d empty canvases, windows at %v", images, empty, moved)
	}
}

// The k-th batch is the same for any number of workers and after a jump, for
// images in memory and for files whose size is found when they are read.
func TestClassBatchesArePureFunctionsOfStep(t *testing.T) {
	for name, build := range map[string]func(workers int) *Loader{
		"memory": func(w int) *Loader { return newLoader(t, newTiny(t, 26), tinyConfig(w)) },
	} {
		t.Run(name, func(t *testing.T) { samePureBatches(t, build) })
	}
	src := newUnsized(t, 23) // its file names are part of a batch
	t.Run("files", func(t *testing.T) {
		samePureBatches(t, func(w int) *Loader { return newLoader(t, src, unsizedConfig(w)) })
	})
}

func samePureBatches(t *testing.T, build func(workers int) *Loader) {
	t.Helper()
	want := takeClasses(t, build(1), 30)
	seen := map[string]bool{}
	for _, d := range want {
		seen[d] = true
	}
	if len(seen) != 30 {
		t.Errorf("only %d of 30 batches differ", len(seen))
	}
	for _, workers := range []int{2, 4} {
		l := build(workers)
		if got := takeClasses(t, l, 30); !slices.Equal(got, want) {
			t.Errorf("%d workers give other batches", workers)
		}
		if err := l.SeekStep(11); err != nil {
			t.Fatal(err)
		}
		if got := takeClasses(t, l, 5); !slices.Equal(got, want[11:16]) {
			t.Errorf("%d workers give other batches after a jump", workers)
		}
	}
}

// A file drawn when its size is found is drawn as one whose size was known.
func TestUnknownSizeChangesNothing(t *testing.T) {
	src := newUnsized(t, 12)
	known := &memory{}
	for i, m := range newMemory(t, 12).items {
		m.Path, m.Boxes, m.Labels = src.Item(i).Path, nil, nil
		m.ImageID = int64(i)
		known.items = append(known.items, m)
	}
	cfg := unsizedConfig(2)
	a, b := newLoader(t, src, cfg), newLoader(t, known, cfg)
	for range 8 {
		x, err := a.Next()
		if err != nil {
			t.Fatal(err)
		}
		y, err := b.Next()
		if err != nil {
			t.Fatal(err)
		}
		if y.Classes != nil {
			t.Errorf("a source without classes has %v", y.Classes)
		}
		for i := range x.Samples {
			x.Samples[i].Class = 0
		}
		if digest(x) != digest(y) {
			t.Fatalf("step %d differs", x.Step)
		}
	}
}

func TestSkipBadClassImages(t *testing.T) {
	src := newUnsized(t, 9)
	if err := os.WriteFile(src.Item(4).Path, []byte("no image"), 0o644); err != nil {
		t.Fatal(err)
	}
	cfg := unsizedConfig(2)
	cfg.Epochs = 1
	l := newLoader(t, src, cfg)
	var err error
	for err == nil {
		_, err = l.Next()
	}
	if !strings.Contains(err.Error(), "004.jpg") {
		t.Errorf("error %v does not name the file", err)
	}
	cfg.OnBad = SkipBad
	l = newLoader(t, src, cfg)
	replaced := 0
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range b.Samples {
			if s.Replaces == 4 {
				replaced++
				if s.Index != 5 || b.Classes[i] != 1 {
					t.Errorf("image %d of class %d stands in for 4", s.Index, b.Classes[i])
				}
			}
		}
	}
	if skipped := l.Stats().Skipped; replaced != 1 || len(skipped) != 1 || skipped[0].Index != 4 {
		t.Errorf("%d replaced, skipped %v", replaced, skipped)
	}
}

type badClasses struct{ *Classification }

func (b badClasses) Item(i int) Item {
	item := b.Classification.Item(i)
	item.Class = 7
	return item
}

func TestClassificationErrors(t *testing.T) {
	files, tiny := newUnsized(t, 3), newTiny(t, 3)
	center := LoaderConfig{Labels: true}
	center.Augment.Crop = augment.Crop{W: 8, H: 8, Center: true}
	grouped := unsizedConfig(1)
	grouped.GroupOrientation = true
	for _, k := range []struct {
		src  Source
		cfg  LoaderConfig
		want string
	}{
		{files, LoaderConfig{}, "not known before its file is read, and without a crop"},
		{files, grouped, "cannot be grouped"},
		{tiny, LoaderConfig{Labels: true}, "has none"},
		{newPairs(t, 2), center, "padded or central"},
	} {
		if _, err := NewLoader(k.src, k.cfg); err == nil || !strings.Contains(err.Error(), k.want) {
			t.Errorf("error %v, want one with %q", err, k.want)
		}
	}
	l := newLoader(t, badClasses{tiny}, tinyConfig(1))
	if _, err := l.Next(); err == nil || !strings.Contains(err.Error(), "class 7, need 0 to 2") {
		t.Errorf("class out of range: %v", err)
	}
	for _, spoil := range []func(s *classes.Set){
		func(s *classes.Set) { s.Classes[1] = 3 }, func(s *classes.Set) { s.Pixels[1] = s.Pixels[1][1:] },
		func(s *classes.Set) { s.Names = nil }, func(s *classes.Set) { s.Files = s.Files[1:] },
	} {
		s := *newTiny(t, 3).Set()
		spoil(&s)
		if _, err := NewClassification(&s); err == nil {
			t.Errorf("%+v: no error", s.Classes)
		}
	}
}
