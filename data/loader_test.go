package data

import (
	"errors"
	"fmt"
	"hash/fnv"
	"image"
	"image/color"
	"image/jpeg"
	"io"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"
	"unsafe"

	"manvision/data/augment"
)

// memory is a Source over files the tests write.
type memory struct{ items []Item }

func (m *memory) Len() int              { return len(m.items) }
func (m *memory) Size(i int) (w, h int) { return m.items[i].Width, m.items[i].Height }
func (m *memory) Item(i int) Item       { return m.items[i] }

// newMemory writes n JPEGs of differing size, wide and upright in turn.
func newMemory(t testing.TB, n int) *memory {
	t.Helper()
	dir := t.TempDir()
	m := &memory{}
	for i := 0; i < n; i++ {
		w, h := 40+i%7*9, 30+i%5*4
		if i%3 == 1 {
			w, h = h, w
		}
		img := image.NewRGBA(image.Rect(0, 0, w, h))
		for y := 0; y < h; y++ {
			for x := 0; x < w; x++ {
				img.Set(x, y, color.RGBA{uint8(x * 5), uint8(y * 7), uint8(i * 11), 255})
			}
		}
		path := filepath.Join(dir, fmt.Sprintf("%03d.jpg", i))
		f, err := os.Create(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(jpeg.Encode(f, img, nil), f.Close()); err != nil {
			t.Fatal(err)
		}
		m.items = append(m.items, Item{
			ImageID: int64(1000 + i), Path: path, Width: w, Height: h,
			Boxes:  [][4]float32{{1, 2, 20, 25}, {float32(w) - 10, 3, float32(w), 14}, {5, 5, 5.2, 20}},
			Labels: []int32{int32(i % 4), 1, 2},
		})
	}
	return m
}

func config(workers int) LoaderConfig {
	return LoaderConfig{
		Batch: 3, Shuffle: true, Seed: 5, Workers: workers, GroupOrientation: true,
		Augment: augment.Config{
			Resize:   augment.Resize{ShortSides: []int{24, 32, 40}, LongMax: 64},
			FlipProb: 0.5,
			Jitter:   augment.Jitter{Brightness: 0.3, Contrast: 0.3, Saturation: 0.3, Hue: 0.1},
		},
	}
}

// digest sums up everything in a batch, pixels bit by bit.
func digest(b *Batch) string {
	h := fnv.New64a()
	if len(b.Images) > 0 {
		h.Write(unsafe.Slice((*byte)(unsafe.Pointer(&b.Images[0])), 4*len(b.Images)))
	}
	return fmt.Sprintf("%d %d %dx%dx%dx%d %x %+v", b.Epoch, b.Step, b.N, b.H, b.W, b.C, h.Sum64(), b.Samples)
}

func take(t *testing.T, l *Loader, n int) []string {
	t.Helper()
	out := make([]string, 0, n)
	for i := 0; i < n; i++ {
		b, err := l.Next()
		if err != nil {
			t.Fatalf("batch %d: %v", i, err)
		}
		out = append(out, digest(b))
		l.Recycle(b)
	}
	return out
}

func newLoader(t *testing.T, src Source, cfg LoaderConfig) *Loader {
	t.Helper()
	l, err := NewLoader(src, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	return l
}

// The k-th batch is the same, bit for bit, for any number of workers, any
// prefetch, and after a jump.
func TestBatchesArePureFunctionsOfStep(t *testing.T) {
	src := newMemory(t, 23)
	want := take(t, newLoader(t, src, config(1)), 30)
	seen := map[string]bool{}
	for _, d := range want {
		seen[d] = true
	}
	if len(seen) != 30 {
		t.Errorf("only %d of 30 batches differ", len(seen))
	}
	for _, workers := range []int{1, 2, 4} {
		for _, prefetch := range []int64{1, 1 << 20} {
			cfg := config(workers)
			cfg.PrefetchBytes = prefetch
			l := newLoader(t, src, cfg)
			if got := take(t, l, 30); !reflect.DeepEqual(got, want) {
				t.Fatalf("%d workers, prefetch %d: batches differ from one worker's", workers, prefetch)
			}
			for _, k := range []int64{0, 7, 8, 9, 21, 3} {
				if err := l.SeekStep(k); err != nil {
					t.Fatal(err)
				}
				if got := take(t, l, 30-int(k)); !reflect.DeepEqual(got, want[k:]) {
					t.Fatalf("%d workers: after a jump to %d the batches differ", workers, k)
				}
			}
		}
	}
	cfg := config(2)
	cfg.Seed++
	for i, d := range take(t, newLoader(t, src, cfg), 30) {
		if d == want[i] {
			t.Errorf("batch %d is the same under another seed", i)
		}
	}
}

func TestSeekFarIsCheap(t *testing.T) {
	l := newLoader(t, newMemory(t, 10), config(1))
	start := time.Now()
	if err := l.SeekStep(1 << 50); err != nil {
		t.Fatal(err)
	}
	b, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	if b.Step != 1<<50 || b.Epoch != (1<<50)/l.StepsPerEpoch() {
		t.Errorf("step %d epoch %d", b.Step, b.Epoch)
	}
	if d := time.Since(start); d > 5*time.Second {
		t.Errorf("took %v", d)
	}
	if err := l.SeekStep(-1); err == nil {
		t.Error("negative step: no error")
	}
}

func TestTargetsFollowPixels(t *testing.T) {
	src := newMemory(t, 12)
	cfg := config(2)
	cfg.Augment.Jitter = augment.Jitter{}
	l := newLoader(t, src, cfg)
	flipped := 0
	for range 8 {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		if b.H%32 != 0 || b.W%32 != 0 || b.C != 3 || len(b.Images) != b.N*b.H*b.W*3 {
			t.Fatalf("batch %dx%dx%dx%d with %d floats", b.N, b.H, b.W, b.C, len(b.Images))
		}
		upright := map[bool]bool{}
		for k, s := range b.Samples {
			item := src.items[s.Index]
			upright[s.Height > s.Width] = true
			if s.ImageID != item.ImageID || s.Width != item.Width || s.InW > b.W || s.InH > b.H || s.Replaces != -1 {
				t.Fatalf("sample %+v", s)
			}
			if len(s.Boxes) != 2 || s.Dropped != 1 || len(s.Labels) != 2 || s.Labels[0] != item.Labels[0] {
				t.Fatalf("image %d: boxes %v labels %v dropped %d; the third box is 0.2 wide", s.ImageID, s.Boxes, s.Labels, s.Dropped)
			}
			for j, box := range s.Boxes {
				x1, x2 := float64(item.Boxes[j][0])*s.ScaleX, float64(item.Boxes[j][2])*s.ScaleX
				if s.Flipped {
					x1, x2 = float64(s.InW)-x2, float64(s.InW)-x1
				}
				if math.Abs(float64(box[0])-x1) > 1e-4 || math.Abs(float64(box[2])-x2) > 1e-4 || math.Abs(float64(box[3])-float64(item.Boxes[j][3])*s.ScaleY) > 1e-4 {
					t.Errorf("box %v from %v", box, item.Boxes[j])
				}
			}
			// The pictures grow redder to the right; mirrored, to the left.
			px := func(y, x int) float32 { return b.Images[((k*b.H+y)*b.W+x)*3] }
			left, right := px(s.InH/2, 2), px(s.InH/2, s.InW/2)
			if item.Width <= 51 && (left > right) != s.Flipped {
				t.Errorf("image %d: flipped %v but red is %v left and %v in the middle", s.ImageID, s.Flipped, left, right)
			}
			if s.Flipped {
				flipped++
			}
			for y := 0; y < b.H; y++ {
				for x := 0; x < b.W; x++ {
					if (y >= s.InH || x >= s.InW) && px(y, x) != 0 {
						t.Fatalf("padding at %d,%d is %v", y, x, px(y, x))
					}
				}
			}
		}
		if len(upright) != 1 {
			t.Error("wide and upright images share a batch")
		}
		l.Recycle(b)
	}
	if flipped == 0 || flipped == 24 {
		t.Errorf("%d of 24 flipped", flipped)
	}
	st := l.Stats()
	if st.Batches != 8 || st.Images != 24 || st.Boxes != 48 || st.DroppedBoxes != 24 || st.WaitShare() < 0 || st.WaitShare() > 1 || st.Work.Decode <= 0 {
		t.Errorf("stats %+v", st)
	}
}

func TestLastBatch(t *testing.T) {
	src := newMemory(t, 7)
	for _, c := range []struct {
		last          Last
		steps         int64
		n, samples    int
		distinct, sum int
	}{
		{LastFill, 3, 3, 3, 7, 9},
		{LastDrop, 2, 3, 3, 6, 6},
		{LastShort, 3, 1, 1, 7, 7},
		{LastPad, 3, 3, 1, 7, 7},
	} {
		cfg := config(2)
		cfg.GroupOrientation, cfg.Last, cfg.Epochs = false, c.last, 1
		l := newLoader(t, src, cfg)
		if l.StepsPerEpoch() != c.steps {
			t.Errorf("rule %d: %d steps, want %d", c.last, l.StepsPerEpoch(), c.steps)
		}
		seen, sum := map[int]bool{}, 0
		var last *Batch
		for {
			b, err := l.Next()
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range b.Samples {
				seen[s.Index] = true
				sum++
			}
			last = b
		}
		if len(seen) != c.distinct || sum != c.sum || last.N != c.n || len(last.Samples) != c.samples {
			t.Errorf("rule %d: %d distinct, %d in all, last batch %d with %d samples", c.last, len(seen), sum, last.N, len(last.Samples))
		}
		for _, v := range last.Images[len(last.Samples)*last.H*last.W*3:] {
			if v != 0 {
				t.Fatalf("rule %d: an empty canvas holds %v", c.last, v)
			}
		}
		if _, err := l.Next(); err != io.EOF {
			t.Errorf("rule %d: after the end %v", c.last, err)
		}
		if err := l.SeekStep(0); err != nil {
			t.Fatal(err)
		}
		if _, err := l.Next(); err != nil {
			t.Errorf("rule %d: after a jump back %v", c.last, err)
		}
	}
}

func TestBadImages(t *testing.T) {
	src := newMemory(t, 9)
	raw, err := os.ReadFile(src.items[4].Path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(src.items[4].Path, raw[:len(raw)*2/3], 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(src.items[5].Path); err != nil {
		t.Fatal(err)
	}

	cfg := config(3)
	cfg.Shuffle, cfg.GroupOrientation, cfg.Canvases = false, false, []Canvas{{64, 64}}
	l := newLoader(t, src, cfg)
	take(t, l, 1)
	for range 2 { // the error stays
		_, err = l.Next()
		var ie *augment.ImageError
		if !errors.As(err, &ie) || ie.File != src.items[4].Path || ie.Bytes != int64(len(raw)*2/3) || !strings.Contains(err.Error(), "truncated") || !strings.Contains(err.Error(), "image 1004") {
			t.Fatalf("truncated image: %v", err)
		}
	}
	if err := l.SeekStep(2); err != nil {
		t.Fatal(err)
	}
	take(t, l, 1)

	cfg.OnBad = SkipBad
	var want []string
	for _, workers := range []int{1, 4} {
		cfg.Workers = workers
		l := newLoader(t, src, cfg)
		got := take(t, l, 6)
		if want == nil {
			want = got
		} else if !reflect.DeepEqual(got, want) {
			t.Error("with bad images, worker counts give different batches")
		}
		if err := l.SeekStep(1); err != nil {
			t.Fatal(err)
		}
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		// 3, then 6 in place of 4, then 6 in place of 5.
		for k, w := range [][2]int{{3, -1}, {6, 4}, {6, 5}} {
			if s := b.Samples[k]; s.Index != w[0] || s.Replaces != w[1] {
				t.Errorf("slot %d: index %d replaces %d, want %v", k, s.Index, s.Replaces, w)
			}
		}
		sk := l.Stats().Skipped
		if len(sk) != 2 || sk[0].Index != 4 || sk[1].Index != 5 || !strings.Contains(sk[1].Err.Error(), "does not exist") {
			t.Errorf("skipped %v", sk)
		}
	}

	// An upright canvas for a wide substitute: it is shrunk.
	two := &memory{items: []Item{src.items[4], src.items[3]}}
	two.items[1].Boxes = [][4]float32{{0, 0, float32(two.items[1].Width), float32(two.items[1].Height)}}
	cfg.Batch, cfg.Canvases = 1, nil
	two.items[0].Width, two.items[0].Height = 20, 60
	two.items[1].Width, two.items[1].Height = src.items[3].Width, src.items[3].Height
	l = newLoader(t, two, cfg)
	b, err := l.Next()
	if err != nil {
		t.Fatal(err)
	}
	if s := b.Samples[0]; s.Index != 1 || s.Replaces != 0 || s.InW != b.W || s.InH >= b.H || s.Boxes[0] != [4]float32{0, 0, float32(s.InW), float32(s.InH)} {
		t.Errorf("shrunk substitute %+v on %dx%d", s, b.H, b.W)
	}

	for _, item := range src.items {
		os.WriteFile(item.Path, nil, 0o644)
	}
	l = newLoader(t, src, cfg)
	if _, err := l.Next(); err == nil || !strings.Contains(err.Error(), "no image of the data set can be read") {
		t.Errorf("all images bad: %v", err)
	}
}

func TestNewLoaderRefuses(t *testing.T) {
	src := newMemory(t, 4)
	for _, c := range []struct {
		want string
		edit func(*LoaderConfig)
	}{
		{"batch size", func(c *LoaderConfig) { c.Batch = -1 }},
		{"workers", func(c *LoaderConfig) { c.Workers = -2 }},
		{"prefetch", func(c *LoaderConfig) { c.PrefetchBytes = -1 }},
		{"epochs", func(c *LoaderConfig) { c.Epochs = -1 }},
		{"smallest box", func(c *LoaderConfig) { c.MinBox = float32(math.NaN()) }},
		{"bad images", func(c *LoaderConfig) { c.OnBad = 9 }},
		{"last batch", func(c *LoaderConfig) { c.Last = 9 }},
		{"multiples of 32", func(c *LoaderConfig) { c.Canvases = []Canvas{{40, 64}} }},
		{"fits none", func(c *LoaderConfig) { c.Canvases = []Canvas{{32, 32}} }},
		{"flip probability", func(c *LoaderConfig) { c.Augment.FlipProb = math.NaN() }},
		{"short side", func(c *LoaderConfig) { c.Augment.Resize.ShortSides = []int{0} }},
		{"never use", func(c *LoaderConfig) { c.Last, c.Batch = LastDrop, 5 }},
	} {
		cfg := config(1)
		c.edit(&cfg)
		if _, err := NewLoader(src, cfg); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v", c.want, err)
		}
	}
	if _, err := NewLoader(&memory{}, config(1)); err == nil {
		t.Error("empty source: no error")
	}
	// Wide and upright canvases do not hold a mixed batch, but hold grouped ones.
	cfg := config(1)
	cfg.Canvases = []Canvas{{64, 32}, {32, 64}}
	cfg.Augment.Resize = augment.Resize{ShortSides: []int{24}, LongMax: 64}
	if _, err := NewLoader(src, cfg); err != nil {
		t.Errorf("grouped: %v", err)
	}
	cfg.GroupOrientation = false
	if _, err := NewLoader(src, cfg); err == nil || !strings.Contains(err.Error(), "group images") {
		t.Errorf("mixed: %v", err)
	}
}

func TestCanvases(t *testing.T) {
	cfg := config(1)
	cfg.Canvases = []Canvas{{96, 96}, {64, 64}, {256, 256}, {64, 96}}
	l := newLoader(t, newMemory(t, 5), cfg)
	if got, want := l.Canvases(), ([]Canvas{{64, 64}}); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v: no image is above 64", got, want)
	}
	c, err := newCanvases(cfg.Canvases, 32, augment.Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range []struct{ h, w, H, W int }{{1, 1, 64, 64}, {64, 65, 64, 96}, {65, 64, 96, 96}, {97, 1, 256, 256}} {
		if got, ok := c.fit(k.h, k.w); !ok || got != (Canvas{k.H, k.W}) {
			t.Errorf("fit(%d,%d) = %v", k.h, k.w, got)
		}
	}
}

func TestCloseMidway(t *testing.T) {
	for range 20 {
		l := newLoader(t, newMemory(t, 8), config(4))
		if _, err := l.Next(); err != nil {
			t.Fatal(err)
		}
		l.Close()
		l.Close()
		if _, err := l.Next(); err != ErrClosed {
			t.Fatalf("after Close: %v", err)
		}
		if err := l.SeekStep(0); err != ErrClosed {
			t.Fatalf("after Close: %v", err)
		}
	}
}

// In steady state the loader makes no garbage to speak of: pixels and targets
// live in recycled batches.
func TestBatchesAreReused(t *testing.T) {
	cfg := config(2)
	cfg.Canvases = []Canvas{{64, 64}}
	cfg.PrefetchBytes = 2 * 3 * 64 * 64 * 3 * 4
	l := newLoader(t, newMemory(t, 12), cfg)
	at := map[*float32]bool{}
	for range 60 {
		b, err := l.Next()
		if err != nil {
			t.Fatal(err)
		}
		at[&b.Images[0]] = true
		l.Recycle(b)
	}
	if len(at) > 6 {
		t.Errorf("60 batches came in %d buffers", len(at))
	}
}
