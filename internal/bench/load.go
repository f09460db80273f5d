package bench

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"time"

	"manvision/data"
	"manvision/data/augment"
)

// folder is a data source of the JPEGs of one folder, without targets.
type folder []data.Item

func (f folder) Len() int              { return len(f) }
func (f folder) Size(i int) (w, h int) { return f[i].Width, f[i].Height }
func (f folder) Item(i int) data.Item  { return f[i] }

// Load times the loader on the JPEGs of a folder: decode, resize to short side 600
// and long side at most 1000, normalise, batches of 2 padded to multiples of 32.
// It returns images a second of several passes.
func Load(dir string, workers, passes, repeat int) ([]float64, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.jpg"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no .jpg files in %s", dir)
	}
	sort.Strings(files)
	var src folder
	for i, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		h, err := augment.ReadHeader(content)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		src = append(src, data.Item{ImageID: int64(i), Path: file, Width: h.Width, Height: h.Height})
	}
	var rates []float64
	for range passes {
		l, err := data.NewLoader(src, data.LoaderConfig{Batch: 2, Workers: workers, Epochs: int64(repeat), KeepPriority: true,
			Augment: augment.Config{Resize: augment.Resize{ShortSides: []int{600}, LongMax: 1000}}})
		if err != nil {
			return nil, err
		}
		n := 0
		var start time.Time
		for i := 0; ; i++ {
			b, err := l.Next()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				l.Close()
				return nil, err
			}
			if i == 0 {
				start = time.Now() // the workers' start is not counted
			} else {
				n += len(b.Samples)
			}
			l.Recycle(b)
		}
		rates = append(rates, float64(n)/time.Since(start).Seconds())
		l.Close()
	}
	return rates, nil
}
