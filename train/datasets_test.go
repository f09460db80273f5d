package train

import (
	"testing"

	"manvision/config"
	"manvision/data"
)

func TestPrefetchBytes(t *testing.T) {
	l := data.LoaderConfig{Batch: 2, Canvases: []data.Canvas{{H: 512, W: 512}, {H: 1024, W: 512}}}
	for _, c := range []struct {
		batches, mib int
		want         int64
	}{
		{4, 1024, 4 * 2 * 1024 * 512 * 3 * 4},
		{4, 16, 16 << 20}, // the bound in bytes is below four batches of 12 MiB
	} {
		if got := prefetchBytes(l, &config.Data{Prefetch: c.batches, PrefetchMiB: c.mib}); got != c.want {
			t.Errorf("%d batches, at most %d MiB: %d bytes, want %d", c.batches, c.mib, got, c.want)
		}
	}
}

// Decoding at a fraction is asked for, and never changes what is evaluated.
func TestReducedDecode(t *testing.T) {
	cfg, err := config.Parse("test", []byte("data: {format: shapes}\n"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, mode := range []string{"off", "auto"} {
		for _, augmented := range []bool{false, true} {
			cfg.Data.ReducedJPEG = mode
			l, err := loaderConfig(cfg, augmented)
			if err != nil {
				t.Fatal(err)
			}
			if want := augmented && mode == "auto"; l.Augment.ReducedDecode != want {
				t.Errorf("%s, training %v: reduced is %v", mode, augmented, l.Augment.ReducedDecode)
			}
		}
	}
}
