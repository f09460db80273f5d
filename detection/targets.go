package detection

import (
	"fmt"
	"sync"

	"manvision/device"
	"manvision/exec"
)

// Targets assigns ground truth to the anchors of one input size and holds the
// result where the graphs read it. Local heads and the final head share the
// labels, since an anchor's label does not depend on other anchors; each head
// has its own count of positives.
type Targets struct {
	net    *RetinaNet
	grid   *Grid
	images int
	dev    device.Device
	levels []*level
	norms  map[[2]int]*exec.Tensor
	heads  map[string][2]int // levels of each head by its parameters' prefix
	assign []*Assigner
	labels [][]int32 // scratch of each image
	deltas [][]float64
	counts [][]int // positives by image and level
}

func newTargets(r *RetinaNet, dev device.Device, grid *Grid, images int) (*Targets, error) {
	t := &Targets{net: r, grid: grid, images: images, dev: dev, norms: map[[2]int]*exec.Tensor{}, heads: map[string][2]int{}}
	for l := range grid.Levels {
		n := grid.end(l) - grid.Levels[l].First
		lv := &level{hostLabels: make([]int32, images*n), hostDeltas: make([]float64, images*n*4)}
		var err error
		if lv.labels, err = exec.NewTensor(dev, device.Desc{DType: device.Int32, Shape: []int{images * n}}); err != nil {
			return nil, err
		}
		if lv.deltas, err = exec.NewTensor(dev, device.Desc{Shape: []int{images, n, 4}}); err != nil {
			return nil, err
		}
		t.levels = append(t.levels, lv)
	}
	config := r.Assign
	config.ReleasedEmpty = r.Quirks.EmptyIgnored
	config.Classes = r.Classes
	for range images {
		a, err := NewAssigner(config)
		if err != nil {
			return nil, err
		}
		t.assign = append(t.assign, a)
		t.labels = append(t.labels, make([]int32, grid.Len()))
		t.deltas = append(t.deltas, make([]float64, 4*grid.Len()))
		t.counts = append(t.counts, make([]int, len(grid.Levels)))
	}
	return t, nil
}

// norm returns the storage of the count of positives in levels from … to-1.
func (t *Targets) norm(from, to int) *exec.Tensor {
	key := [2]int{from, to}
	if n, ok := t.norms[key]; ok {
		return n
	}
	n, err := exec.NewTensor(t.dev, device.Desc{Shape: []int{1}})
	if err != nil {
		return nil // a device that cannot hold one number has failed before
	}
	t.norms[key] = n
	return n
}

func (t *Targets) use(prefix string, from, to int) { t.heads[prefix] = [2]int{from, to} }

// Set assigns the ground truth of a batch, one list of boxes (corners in canvas
// pixels) and classes an image, and uploads it. skip tells, by update group,
// which box subnets have no positives in this batch; it is empty unless the
// quirk SkipUnused is on. skip is reused.
func (t *Targets) Set(boxes [][][4]float64, classes [][]int32, skip map[string]bool) error {
	if len(boxes) != t.images || len(classes) != t.images {
		return fmt.Errorf("detection: targets of %d images for a batch of %d", len(boxes), t.images)
	}
	errs := make([]error, t.images)
	var wg sync.WaitGroup
	for i := range t.images {
		wg.Add(1)
		go func() {
			defer wg.Done()
			errs[i] = t.image(i, boxes[i], classes[i])
		}()
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			return fmt.Errorf("image %d of the batch: %w", i, err)
		}
	}
	for l, lv := range t.levels {
		if err := lv.labels.Upload(lv.hostLabels); err != nil {
			return fmt.Errorf("labels of level %d: %w", l, err)
		}
		if err := lv.deltas.Upload(lv.hostDeltas); err != nil {
			return fmt.Errorf("boxes of level %d: %w", l, err)
		}
	}
	for key, n := range t.norms {
		if err := n.Upload([]float64{float64(max(t.positives(key), 1))}); err != nil {
			return err
		}
	}
	if t.net.Quirks.SkipUnused {
		for prefix, key := range t.heads {
			skip[prefix+"regression_head."] = t.positives(key) == 0
		}
	}
	return nil
}

// image assigns one image and spreads the result over the levels.
func (t *Targets) image(i int, boxes [][4]float64, classes []int32) error {
	labels, deltas := t.labels[i], t.deltas[i]
	if _, err := Assign(t.assign[i], t.grid, boxes, classes, labels, deltas); err != nil {
		return err
	}
	for l, lv := range t.levels {
		first, end := t.grid.Levels[l].First, t.grid.end(l)
		n := end - first
		copy(lv.hostLabels[i*n:], labels[first:end])
		copy(lv.hostDeltas[i*n*4:], deltas[first*4:end*4])
		t.counts[i][l] = 0
		for _, c := range labels[first:end] {
			if c >= 0 {
				t.counts[i][l]++
			}
		}
	}
	return nil
}

func (t *Targets) positives(key [2]int) int {
	n := 0
	for i := range t.images {
		for l := key[0]; l < key[1]; l++ {
			n += t.counts[i][l]
		}
	}
	return n
}

// Free gives the device storage back.
func (t *Targets) Free() {
	for _, l := range t.levels {
		l.labels.Free()
		l.deltas.Free()
	}
	for _, n := range t.norms {
		n.Free()
	}
}
