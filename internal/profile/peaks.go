// Package profile turns the times of kernels into tables of rates beside the machine's
// limits (roofline; Williams, Waterman and Patterson 2009, Communications of the ACM
// 52:4) and into traces of a step that chrome://tracing and Perfetto show.
package profile

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"manvision/device"
	"manvision/exec"
)

// Peaks are the best rates measured of a device: of several timings the fastest, since
// other work on the machine only ever takes away.
type Peaks struct {
	// GFLOPs is the rate of a product of two float matrices of 2048x2048, in 10⁹
	// operations a second; BF16 that of a 1x1 convolution of bf16 activations, 0 where
	// the device has none.
	GFLOPs float64 `json:"gflops"`
	BF16   float64 `json:"bf16_gflops,omitempty"`
	// Copy is the rate of a threaded copy of an array of CopyBytes, far more than the
	// caches hold, in 10⁹ bytes read and written a second; Cached that of one that
	// stays in them.
	Copy      float64 `json:"copy_gb"`
	CopyBytes int64   `json:"copy_bytes"`
	Cached    float64 `json:"cached_copy_gb"`
}

// Measure takes the peaks of a device. It needs twice 256 MB to 1 GB of memory, by the
// size of the caches, and about two seconds.
func Measure(dev device.Device) (*Peaks, error) {
	const n = 2048
	p := &Peaks{CopyBytes: copyBytes()}
	var err error
	if p.GFLOPs, err = fastest(dev, device.Linear{M: n, K: n, N: n}, 12); err != nil {
		return nil, err
	}
	p.GFLOPs *= 2 * n * n * n / 1e9
	if _, ok := dev.(device.Reducer); ok {
		c := device.Conv{N: 1, H: 64, W: 64, IC: 1024, OC: 1024, KH: 1, KW: 1, SH: 1, SW: 1, DH: 1, DW: 1, Groups: 1}
		if op, ok := device.Reduce(c); ok {
			if p.BF16, err = fastest(dev, op, 20); err != nil {
				return nil, err
			}
			p.BF16 *= c.FLOPs() / 1e9
		}
	}
	// Two forms of one copy: an array a thread, and pieces of 1 MiB. Which one goes
	// past the caches is the C library's choice.
	for _, rows := range []int{dev.Threads(), int(p.CopyBytes >> 20)} {
		rate, err := copyRate(dev, rows, p.CopyBytes)
		if err != nil {
			return nil, err
		}
		p.Copy = math.Max(p.Copy, rate)
	}
	p.Cached, err = copyRate(dev, 4*dev.Threads(), 1<<20*int64(dev.Threads()))
	return p, err
}

func copyRate(dev device.Device, rows int, bytes int64) (float64, error) {
	op := device.Concat{Outer: rows, Sizes: []int{int(bytes) / 4 / rows}}
	n := 5
	if bytes < 64<<20 {
		n = 200
	}
	rate, err := fastest(dev, op, n)
	return rate * 2 * float64(rows) * float64(op.Sizes[0]) * 4 / 1e9, err
}

// copyBytes is four times the largest cache, within 256 MiB and 1 GiB.
func copyBytes() int64 {
	cache := int64(0)
	files, _ := filepath.Glob("/sys/devices/system/cpu/cpu0/cache/index*/size")
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			continue
		}
		if kb, err := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(string(text)), "K"), 10, 64); err == nil {
			cache = max(cache, kb<<10)
		}
	}
	return min(max(4*cache, 256<<20), 1<<30)
}

// fastest runs an operation n times after one more and returns the number of runs a
// second of the shortest.
func fastest(dev device.Device, op device.Op, n int) (float64, error) {
	k, err := dev.Prepare(op)
	if err != nil {
		return 0, fmt.Errorf("peak of the machine: %w", err)
	}
	defer k.Close()
	var addresses [2][]device.Ptr
	for i, list := range [2][]device.Desc{op.Inputs(), op.Outputs()} {
		for _, d := range list {
			t, err := exec.NewTensor(dev, d)
			if err != nil {
				return 0, err
			}
			if err := t.Realize(); err != nil {
				return 0, fmt.Errorf("peak of the machine: %w", err)
			}
			defer t.Free()
			if err := t.Zero(); err != nil {
				return 0, err
			}
			addresses[i] = append(addresses[i], t.Ptr())
		}
	}
	var scratch device.Ptr
	if size := k.Scratch(); size > 0 {
		mem, err := dev.Alloc(size)
		if err != nil {
			return 0, fmt.Errorf("peak of the machine: %w", err)
		}
		defer mem.Free()
		scratch = mem.Ptr()
	}
	if err := k.Bind(addresses[0], addresses[1], scratch); err != nil {
		return 0, err
	}
	best := time.Duration(math.MaxInt64)
	err = dev.Do(func() error {
		for i := range n + 1 {
			start := time.Now()
			if err := k.Run(); err != nil {
				return err
			}
			if t := time.Since(start); i > 0 {
				best = min(best, t)
			}
		}
		return nil
	})
	return 1 / max(best, 1).Seconds(), err
}
