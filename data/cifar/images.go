package cifar

import (
	"fmt"
	"runtime"
	"sort"
	"sync"

	"manvision/data/augment"
	"manvision/data/classes"
)

// decodeImages makes a set of image files held in memory: by class, then by name.
func (c *collector) decodeImages() (*classes.Set, error) {
	s := &classes.Set{Source: c.source, Width: Side, Height: Side, Skipped: c.skipped}
	sort.SliceStable(c.images, func(i, j int) bool {
		a, b := &c.images[i], &c.images[j]
		if a.class != b.class {
			return a.class < b.class
		}
		return a.name < b.name
	})
	for i, e := range c.images {
		if i == 0 || e.class != c.images[i-1].class {
			s.Folders = append(s.Folders, e.class)
		}
		if i > 0 && e.name == c.images[i-1].name {
			return nil, &classes.InputError{Path: e.name, Offset: -1, Kind: classes.Ambiguous, Problem: "it is there twice"}
		}
		s.Classes = append(s.Classes, int32(len(s.Folders)-1))
		s.Files = append(s.Files, e.name)
	}
	s.Names = s.Folders
	s.Pixels = make([][]uint8, len(c.images))
	workers := min(runtime.GOMAXPROCS(0), len(c.images))
	errs := make([]error, workers) // of each worker's first bad image
	at := make([]int, workers)
	var wg sync.WaitGroup
	for k := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			r, err := augment.NewRenderer(augment.Config{})
			if err != nil {
				errs[k] = err
				return
			}
			defer r.Close()
			for i := k; i < len(c.images); i += workers {
				if s.Pixels[i], err = decodeImage(r, &c.images[i]); err != nil {
					errs[k], at[k] = err, i
					return
				}
				c.images[i].contents = nil
			}
		}()
	}
	wg.Wait()
	first := -1
	for k, err := range errs {
		if err != nil && (first < 0 || at[k] < at[first]) {
			first = k
		}
	}
	if first >= 0 {
		return nil, errs[first]
	}
	return s, nil
}

func decodeImage(r *augment.Renderer, e *encoded) ([]uint8, error) {
	// The size first: a small file can be a picture of a billion pixels.
	h, err := augment.ReadHeader(e.contents)
	if err == nil && h.Width == 0 {
		err = fmt.Errorf("neither a JPEG nor a PNG file")
	}
	if err != nil {
		return nil, &classes.InputError{Path: e.name, Offset: -1, Kind: classes.Broken, Problem: err.Error(), Err: err}
	}
	if h.Width != Side || h.Height != Side {
		return nil, &classes.InputError{Path: e.name, Offset: -1, Kind: classes.BadSize, Problem: fmt.Sprintf("%dx%d pixels, need %dx%d", h.Width, h.Height, Side, Side)}
	}
	if _, _, err := r.Decode(e.name, e.contents); err != nil {
		return nil, &classes.InputError{Path: e.name, Offset: -1, Kind: classes.Broken, Problem: "it cannot be decoded", Err: err}
	}
	return r.RGB(nil)
}
