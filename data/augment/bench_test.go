package augment

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"manvision/internal/testdata"
)

// BenchmarkRender is one worker's work on a COCO image: read, decode, resize,
// normalise into the canvas; at several short sides, with and without decoding
// at reduced size.
func BenchmarkRender(b *testing.B) {
	files, _ := filepath.Glob(filepath.Join(testdata.Shared(b, "coco/train2017"), "*.jpg"))
	for _, c := range []struct {
		short   int
		reduced bool
	}{{600, false}, {320, false}, {200, false}, {200, true}} {
		name := fmt.Sprintf("short=%d", c.short)
		if c.reduced {
			name += "/reduced"
		}
		b.Run(name, func(b *testing.B) {
			cfg := Config{Resize: Resize{ShortSides: []int{c.short}, LongMax: 1000}, ReducedDecode: c.reduced}
			r, err := NewRenderer(cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			sizes := make([]Params, len(files))
			for i, f := range files {
				w, h, err := r.Open(f, 0, 0)
				if err != nil {
					b.Fatal(err)
				}
				rng := NewRandom(1, uint64(i))
				sizes[i] = cfg.Plan(&rng, w, h)
			}
			r.Times = Times{}
			dst := make([]float32, 1024*1024*3)
			for i := 0; b.Loop(); i++ {
				p := sizes[i%len(files)]
				cw, ch := (p.InW+31)/32*32, (p.InH+31)/32*32
				if err := r.Render(files[i%len(files)], p, dst[:cw*ch*3], ch, cw); err != nil {
					b.Fatal(err)
				}
			}
			per := func(name string, d time.Duration) { b.ReportMetric(d.Seconds()*1e3/float64(b.N), name) }
			per("read-ms", r.Times.Read)
			per("decode-ms", r.Times.Decode)
			per("resize-ms", r.Times.Resize)
			per("norm-ms", r.Times.Normalize)
		})
	}
}

// BenchmarkEvaluation224 is one worker's work on a COCO image for a classifier:
// short side 256, the central 224x224, with each way of resampling.
func BenchmarkEvaluation224(b *testing.B) {
	files, _ := filepath.Glob(filepath.Join(testdata.Shared(b, "coco/train2017"), "*.jpg"))
	for name, how := range map[string]Interpolation{"linear": Linear, "area": Area, "antialias": Antialias, "antialias-cubic": AntialiasCubic} {
		b.Run(name, func(b *testing.B) {
			cfg := Config{Interpolation: how, Resize: Resize{ShortSides: []int{256}, Truncate: true}, Crop: Crop{W: 224, H: 224, Center: true}}
			r, err := NewRenderer(cfg)
			if err != nil {
				b.Fatal(err)
			}
			defer r.Close()
			rng := NewRandom(1)
			plan := func(w, h int) Params { return cfg.Plan(&rng, w, h) }
			dst := make([]float32, 224*224*3)
			for i := 0; b.Loop(); i++ {
				if _, err := r.RenderUnsized(files[i%len(files)], plan, dst, 224, 224); err != nil {
					b.Fatal(err)
				}
			}
			per := func(name string, d time.Duration) { b.ReportMetric(d.Seconds()*1e3/float64(b.N), name) }
			per("decode-ms", r.Times.Decode)
			per("resize-ms", r.Times.Resize)
		})
	}
}
