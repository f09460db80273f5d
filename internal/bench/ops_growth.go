package bench

import (
	"fmt"
	"io"
	"math"

	"manvision/device"
	"manvision/manpp"
	"manvision/report"
)

// Point is one size of a work.
type Point struct {
	Size    float64 `json:"size"`
	Seconds float64 `json:"seconds"` // median of the counted steps
	Planned int64   `json:"planned"` // bytes
	Peak    int64   `json:"peak"`    // bytes allocated on the device at most
}

// Power is a power law fitted by least squares to the logarithms: y = Factor·sizeᴱˣᵖᵒⁿᵉⁿᵗ.
type Power struct {
	Exponent float64 `json:"exponent"`
	Factor   float64 `json:"factor"`
	R2       float64 `json:"r2"` // of the logarithms; 1 where they do not vary
}

// Growth is how the cost of a training step grows with one size of it.
type Growth struct {
	Work    string  `json:"work"`
	Against string  `json:"against"` // "batch", "image area", "depth", "K"
	Points  []Point `json:"points"`
	Time    Power   `json:"time"`
	Planned Power   `json:"planned"`
	Peak    Power   `json:"peak"`
}

// sweep is one work at several sizes.
type sweep struct {
	work, against string
	sizes         []int
	size          func(int) float64 // what goes against the cost; nil: the size itself
	run           func(dev device.Device, size, steps int) (*Steps, error)
}

// sweeps are small enough for all to be done within minutes on four cores.
func sweeps() []sweep {
	cifar := func(depth, blocks, batch int) func(device.Device, int) (*Steps, error) {
		return func(dev device.Device, steps int) (*Steps, error) {
			return CIFAR{Depth: depth, Blocks: blocks, Strategy: manpp.MANPP, Batch: batch}.Train(dev, steps, false)
		}
	}
	square := func(n int) float64 { return float64(n * n) }
	// 4 rows to 5 columns or so, in whole cells of the coarsest map.
	width := func(height int) int { return (height*5/4 + 31) / 32 * 32 }
	return []sweep{
		{"CIFAR ResNet-32, end to end", "batch", []int{16, 32, 64, 128, 256}, nil,
			func(d device.Device, n, steps int) (*Steps, error) { return cifar(32, 1, n)(d, steps) }},
		{"CIFAR ResNet, batch 64, end to end", "depth", []int{20, 32, 44, 56, 110}, nil,
			func(d device.Device, n, steps int) (*Steps, error) { return cifar(n, 1, 64)(d, steps) }},
		{"CIFAR ResNet-110, batch 64, MAN++", "K", []int{4, 8, 16, 32, 55}, nil,
			func(d device.Device, n, steps int) (*Steps, error) { return cifar(110, n, 64)(d, steps) }},
		{"ResNet-50, 128², end to end", "batch", []int{2, 4, 8, 16}, nil,
			func(d device.Device, n, steps int) (*Steps, error) { return ResNet50(d, n, 128, steps, false) }},
		{"ResNet-50, batch 4, end to end", "image area", []int{96, 128, 160, 224}, square,
			func(d device.Device, n, steps int) (*Steps, error) { return ResNet50(d, 4, n, steps, false) }},
		{"RetinaNet R50, 320x416, end to end", "batch", []int{1, 2, 4}, nil,
			func(d device.Device, n, steps int) (*Steps, error) {
				return RetinaNetStep{E2E: true, N: n, H: 320, W: 416}.Train(d, steps, false)
			}},
		{"RetinaNet R50, batch 2, K=4", "image area", []int{256, 320, 416, 512, 608}, func(h int) float64 { return float64(h * width(h)) },
			func(d device.Device, n, steps int) (*Steps, error) {
				return RetinaNetStep{N: 2, H: n, W: width(n)}.Train(d, steps, false)
			}},
	}
}

// MeasureGrowth goes through all sizes of every sweep, numbered from 0; measure gives a
// point, best in a process of its own: a second team of threads in one process waits
// asleep, as libgomp does where threads outnumber cores. say is told what is done.
func MeasureGrowth(measure func(sweep, size int) (*Point, error), say func(string)) ([]Growth, error) {
	var out []Growth
	for i, s := range sweeps() {
		g := Growth{Work: s.work, Against: s.against}
		for _, size := range s.sizes {
			say(fmt.Sprintf("%s: %s, size %d", s.work, s.against, size))
			p, err := measure(i, size)
			if err != nil {
				return nil, fmt.Errorf("%s, size %d: %w", s.work, size, err)
			}
			g.Points = append(g.Points, *p)
		}
		g.fit()
		out = append(out, g)
	}
	return out, nil
}

// GrowthPoint times steps of a sweep at one size on a device that open makes.
func GrowthPoint(open func() (device.Device, error), sweep, size, steps int) (*Point, error) {
	list := sweeps()
	if sweep < 0 || sweep >= len(list) {
		return nil, fmt.Errorf("sweep %d of %d", sweep, len(list))
	}
	return list[sweep].point(open, size, steps)
}

func (s sweep) point(open func() (device.Device, error), size, steps int) (*Point, error) {
	dev, err := open()
	if err != nil {
		return nil, err
	}
	defer dev.Close()
	m, err := s.run(dev, size, steps)
	if err != nil {
		return nil, err
	}
	p := &Point{Size: float64(size), Seconds: median(m.Seconds), Planned: m.Planned, Peak: m.Peak}
	if s.size != nil {
		p.Size = s.size(size)
	}
	return p, nil
}

func (g *Growth) fit() {
	n := len(g.Points)
	x, t, planned, peak := make([]float64, n), make([]float64, n), make([]float64, n), make([]float64, n)
	for i, p := range g.Points {
		x[i], t[i], planned[i], peak[i] = p.Size, p.Seconds, float64(p.Planned), float64(p.Peak)
	}
	g.Time, g.Planned, g.Peak = power(x, t), power(x, planned), power(x, peak)
}

// power fits a power law to positive numbers, of which x has at least two different.
func power(x, y []float64) Power {
	n := float64(len(x))
	var mx, my, xx, xy, yy float64
	for i := range x {
		mx += math.Log(x[i]) / n
		my += math.Log(y[i]) / n
	}
	for i := range x {
		dx, dy := math.Log(x[i])-mx, math.Log(y[i])-my
		xx, xy, yy = xx+dx*dx, xy+dx*dy, yy+dy*dy
	}
	p := Power{Exponent: xy / xx, R2: 1}
	p.Factor = math.Exp(my - p.Exponent*mx)
	if yy > 0 {
		p.R2 = xy * xy / (xx * yy)
	}
	return p
}

// WriteGrowth prints a table of sizes and below it one of exponents.
func WriteGrowth(w io.Writer, terminal bool, list []Growth) error {
	t := report.NewTable("work", "against", "size", "s", "planned MB", "peak MB")
	e := report.NewTable("work", "against", "time exponent", "R²", "planned exponent", "R²", "peak exponent", "R²")
	for _, g := range list {
		for _, p := range g.Points {
			t.Row(g.Work, g.Against, fmt.Sprint(p.Size), fmt.Sprintf("%.4g", p.Seconds), fmt.Sprintf("%.1f", float64(p.Planned)/1e6), fmt.Sprintf("%.1f", float64(p.Peak)/1e6))
		}
		e.Row(g.Work, g.Against, g.Time.Exponent, g.Time.R2, g.Planned.Exponent, g.Planned.R2, g.Peak.Exponent, g.Peak.R2)
	}
	if err := t.Write(w, terminal); err != nil {
		return err
	}
	fmt.Fprintln(w)
	return e.Write(w, terminal)
}
