package cityeval

import (
	"testing"

	"manvision/internal/testdata"
)

// One image, from files to counts, on one core.
func BenchmarkMeasure(b *testing.B) {
	dir := testdata.Shared(b, "miou-oracle")
	pairs, _, err := Find(dir, dir)
	if err != nil {
		b.Fatal(err)
	}
	w := new(worker)
	i := 0
	for b.Loop() {
		if _, err := w.measure(&pairs[i%len(pairs)]); err != nil {
			b.Fatal(err)
		}
		i++
	}
}
