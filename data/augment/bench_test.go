package augment

import (
	"path/filepath"
	"testing"

	"manvision/internal/testdata"
)

// BenchmarkRender600 is one worker's work on a COCO image: read, decode, short
// side 600, long side at most 1000, normalise into the canvas.
func BenchmarkRender600(b *testing.B) {
	files, _ := filepath.Glob(filepath.Join(testdata.Shared(b, "coco/train2017"), "*.jpg"))
	cfg := Config{Resize: Resize{ShortSides: []int{600}, LongMax: 1000}}
	r, err := NewRenderer(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer r.Close()
	dst := make([]float32, 1024*1024*3)
	for i := 0; b.Loop(); i++ {
		w, h, err := r.Open(files[i%len(files)], 0, 0)
		if err != nil {
			b.Fatal(err)
		}
		rng := NewRandom(1, uint64(i))
		p := cfg.Plan(&rng, w, h)
		cw, ch := (p.InW+31)/32*32, (p.InH+31)/32*32
		if err := r.Draw(p, dst[:cw*ch*3], ch, cw); err != nil {
			b.Fatal(err)
		}
	}
	per := func(name string, d float64) { b.ReportMetric(d/1e6/float64(b.N), name) }
	per("read-ms", float64(r.Times.Read))
	per("decode-ms", float64(r.Times.Decode))
	per("resize-ms", float64(r.Times.Resize))
	per("norm-ms", float64(r.Times.Normalize))
}
