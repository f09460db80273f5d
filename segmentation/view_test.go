package segmentation

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"os"
	"slices"
	"strings"
	"testing"

	"manvision/data/augment"
)

// formulaPicture is the picture of testdata/gen_views.py.
type formulaPicture struct{ w, h, draws int }

func (p *formulaPicture) Size() (w, h int) { return p.w, p.h }

func (p *formulaPicture) at(x, y, k int) float64 {
	fx, fy, n := float64(x), float64(y), float64(k+1)
	return math.Sin(0.11*fx*n+0.07*fy) + math.Cos(0.13*fy*n-0.05*fx) + float64((x*7+y*13+k*5)%11)/11
}

func (p *formulaPicture) Draw(part Part, canvas []float32, h, w int) error {
	p.draws++
	clear(canvas)
	for y := range part.H {
		for x := range part.W {
			at := part.X + x
			if part.Flip {
				at = part.Width - 1 - at
			}
			for k := range 3 {
				v := 0.0
				for _, ty := range lerp((float64(part.Y+y)+0.5)*float64(p.h)/float64(part.Height)-0.5, p.h) {
					for _, tx := range lerp((float64(at)+0.5)*float64(p.w)/float64(part.Width)-0.5, p.w) {
						v += ty.weight * tx.weight * p.at(tx.cell, ty.cell, k)
					}
				}
				canvas[(y*w+x)*3+k] = float32(v)
			}
		}
	}
	return nil
}

const toyClasses, toyStride = 5, 8

// toyNetwork is the network of testdata/gen_views.py; an input of n pixels needs
// 100·n bytes.
func toyNetwork(h, w int, _ bool) (*compiled, error) {
	c := &compiled{h: h / toyStride, w: w / toyStride, bytes: int64(100 * h * w), close: func() error { return nil }}
	c.run = func(canvas, logits []float32) error {
		for i := range c.h {
			for j := range c.w {
				var mean [3]float64
				for y := range toyStride {
					for x := range toyStride {
						for k := range mean {
							mean[k] += float64(canvas[((i*toyStride+y)*w+j*toyStride+x)*3+k]) / (toyStride * toyStride)
						}
					}
				}
				for n := range toyClasses {
					v := 0.8 * math.Sin(0.7*float64(n)+0.9*float64(i)+1.3*float64(j))
					for k, m := range mean {
						v += 6 * m * math.Cos(1.7*float64(n)+2.3*float64(k)+0.5)
					}
					logits[(i*c.w+j)*toyClasses+n] = float32(v)
				}
			}
		}
		return nil
	}
	return c, nil
}

func toyViewer(t testing.TB, o ViewOptions) *Viewer {
	t.Helper()
	v, err := newViewer(toyClasses, o, toyNetwork)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

type goldenView struct {
	Name           string
	Height, Width  int
	Resize         []int // height, width
	Scales         []float64
	Flip           bool
	Window, Stride [2]int
	Labels         string
	Scores         [][]float64
}

func (g goldenView) options() ViewOptions {
	o := ViewOptions{Mode: Whole, Scales: g.Scales, Flip: g.Flip, Window: g.Window, Stride: g.Stride}
	if len(g.Resize) > 0 {
		o.Resize = augment.Resize{Width: g.Resize[1], Height: g.Resize[0]}
	}
	if g.Window != [2]int{} {
		o.Mode = Sliding
	}
	return o
}

// Label maps and scores equal those that PyTorch computes at full resolution:
// testdata/gen_views.py.
func TestViewsEqualPyTorch(t *testing.T) {
	b, err := os.ReadFile("testdata/views.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenView
	if err := json.Unmarshal(b, &cases); err != nil {
		t.Fatal(err)
	}
	for _, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			v := toyViewer(t, c.options())
			p := &formulaPicture{w: c.Width, h: c.Height}
			labels, err := v.Labels(context.Background(), p, nil)
			if err != nil {
				t.Fatal(err)
			}
			for i, l := range labels {
				if l != c.Labels[i]-'0' {
					t.Fatalf("pixel %d,%d: class %d, PyTorch has %c", i%c.Width, i/c.Width, l, c.Labels[i])
				}
			}
			far := 0.0
			for i, got := range allScores(t, v, p) {
				if i%17 == 0 {
					for k, want := range c.Scores[i/17] {
						far = max(far, math.Abs(got[k]-want))
					}
				}
			}
			// float32 against float64; logits are below 20 here.
			if !(far < 1e-5) {
				t.Errorf("scores differ by %g", far)
			}
		})
	}
}

// blendOf runs the views of a picture.
func blendOf(t *testing.T, v *Viewer, p Picture) (b *blend, w, h int) {
	t.Helper()
	w, h = p.Size()
	plan, err := v.Plan(w, h)
	if err != nil {
		t.Fatal(err)
	}
	b = &blend{classes: v.classes}
	for _, g := range plan.Grids {
		for _, flip := range v.flips() {
			view, err := v.look(context.Background(), p, g, flip, len(b.views))
			if err != nil {
				t.Fatal(err)
			}
			b.views = append(b.views, view)
		}
	}
	return b, w, h
}

// allScores computes the scores of every pixel: the logits of one view, or the mean
// of several views' probabilities.
func allScores(t *testing.T, v *Viewer, p Picture) (scores [][]float64) {
	b, w, h := blendOf(t, v, p)
	r := b.newRow()
	for y := range h {
		r.set(y)
		for x := range w {
			s := make([]float64, b.classes)
			if len(b.views) == 1 {
				r.pixel(0, x)
				for k, l := range r.logit {
					s[k] = float64(l)
				}
			} else {
				r.probabilities(x)
				for k, p := range r.sum {
					s[k] = p / float64(len(b.views))
				}
			}
			scores = append(scores, s)
		}
	}
	return scores
}

// Pixels labelled without computing their scores get the class that has the best.
func TestAgreementIsTheBestScore(t *testing.T) {
	for _, o := range []ViewOptions{{}, {Flip: true, Scales: []float64{0.5, 1.3}}, {Mode: Sliding, Window: [2]int{64, 32}, Stride: [2]int{33, 32}}} {
		v, p := toyViewer(t, o), &formulaPicture{w: 203, h: 97}
		labels, err := v.Labels(context.Background(), p, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i, s := range allScores(t, v, p) {
			if want := argmax(s); labels[i] != want {
				t.Fatalf("%+v: pixel %d: class %d, the scores are %v", o, i, labels[i], s)
			}
		}
	}
}

func TestWorkersChangeNothing(t *testing.T) {
	p := &formulaPicture{w: 150, h: 333}
	var first []uint8
	for _, workers := range []int{1, 2, 3, 7, 64} {
		v := toyViewer(t, ViewOptions{Flip: true, Scales: []float64{0.5, 1, 2}, Workers: workers})
		labels, err := v.Labels(context.Background(), p, nil)
		if err != nil {
			t.Fatal(err)
		}
		if first == nil {
			first = slices.Clone(labels)
		}
		if !slices.Equal(first, labels) {
			t.Errorf("%d workers: another label map", workers)
		}
	}
}

// A viewer that goes on to other sizes keeps nothing of those before.
func TestViewerOverSizes(t *testing.T) {
	v := toyViewer(t, ViewOptions{Flip: true})
	var dst []uint8
	for _, size := range [][2]int{{200, 60}, {10, 300}, {64, 64}, {1, 1}, {333, 33}, {100, 100}, {500, 20}, {20, 500}, {260, 260}, {300, 10}, {200, 60}} {
		p := &formulaPicture{w: size[0], h: size[1]}
		var err error
		if dst, err = v.Labels(context.Background(), p, dst); err != nil {
			t.Fatal(err)
		}
		fresh, err := toyViewer(t, ViewOptions{Flip: true}).Labels(context.Background(), p, nil)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(fresh, dst) {
			t.Errorf("%dx%d: another label map than a fresh viewer's", size[0], size[1])
		}
	}
	if v.sizes.Len() > maxPrograms {
		t.Errorf("%d programs kept, more than %d", v.sizes.Len(), maxPrograms)
	}
}

func TestLabelsFail(t *testing.T) {
	v := toyViewer(t, ViewOptions{})
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := v.Labels(ctx, &formulaPicture{w: 64, h: 64}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("stopped: %v", err)
	}
	if _, err := v.Labels(context.Background(), &formulaPicture{w: 0, h: 64}, nil); err == nil {
		t.Error("a picture without pixels: no error")
	}
	nan, err := newViewer(toyClasses, ViewOptions{}, func(h, w int, _ bool) (*compiled, error) {
		c, err := toyNetwork(h, w, true)
		c.run = func(_, logits []float32) error {
			logits[7] = float32(math.NaN())
			return nil
		}
		return c, err
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nan.Labels(context.Background(), &formulaPicture{w: 64, h: 64}, nil); err == nil || !strings.Contains(err.Error(), "NaN") {
		t.Errorf("NaN logits: %v", err)
	}
}

func TestViewOptionsValidate(t *testing.T) {
	for want, o := range map[string]ViewOptions{
		"unknown mode":           {Mode: 7},
		"scale 0 must":           {Scales: []float64{1, 0}},
		"scale NaN must":         {Scales: []float64{math.NaN()}},
		"scale 9 must":           {Scales: []float64{9}},
		"at least 32 pixels":     {Mode: Sliding, Window: [2]int{64, 16}},
		"or windows leave gaps":  {Mode: Sliding, Window: [2]int{64, 64}, Stride: [2]int{65, 64}},
		"give both sides":        {Mode: Sliding, Window: [2]int{64, 64}, Stride: [2]int{32, 0}},
		"needs the size":         {Mode: Sliding},
		"uses none":              {Mode: Whole, Window: [2]int{64, 64}},
		"without a window":       {Stride: [2]int{32, 32}},
		"must not be negative":   {MemoryLimit: -1},
		"brought to one size":    {Resize: augment.Resize{ShortSides: []int{5, 6}}},
		"must both be positive":  {Resize: augment.Resize{Width: 5}},
		"must not be negative\n": {Workers: -1},
	} {
		if err := o.Validate(); err == nil || !strings.Contains(err.Error(), strings.TrimSpace(want)) {
			t.Errorf("%+v: %v, want %q", o, err, want)
		}
	}
	for _, name := range modeNames {
		if m, err := ParseMode(name); err != nil || m.String() != name {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
	if _, err := ParseMode("slid"); err == nil || !strings.Contains(err.Error(), "auto, whole, slide") {
		t.Errorf("unknown mode: %v", err)
	}
}
