package data

import "sync"

// budget bounds the bytes of batches between the planner and Next.
type budget struct {
	mu      sync.Mutex
	cond    sync.Cond
	limit   int64
	used    int64
	stopped bool
}

// acquire waits until n more bytes are allowed (a first batch always is) and
// returns false after stop.
func (b *budget) acquire(n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for !b.stopped && b.used > 0 && b.used+n > b.limit {
		b.cond.Wait()
	}
	b.used += n
	return !b.stopped
}

func (b *budget) release(n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.used -= n
	b.cond.Signal()
}

func (b *budget) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stopped = true
	b.cond.Broadcast()
}

// batchPool keeps recycled batches.
type batchPool struct {
	mu   sync.Mutex
	free []*Batch
}

// Recycled batches kept; more go to the garbage collector.
const maxFree = 16

// get returns a batch with undefined pixels and samples whose slices are empty.
func (p *batchPool) get(n int, c Canvas, samples int, labels, classes bool) *Batch {
	need := n * c.H * c.W * 3
	p.mu.Lock()
	best := -1
	for i, b := range p.free {
		if cap(b.Images) >= need && (best < 0 || cap(b.Images) < cap(p.free[best].Images)) {
			best = i
		}
	}
	var b *Batch
	if best >= 0 {
		b = p.free[best]
		last := len(p.free) - 1
		p.free[best], p.free[last] = p.free[last], nil
		p.free = p.free[:last]
	}
	p.mu.Unlock()
	if b == nil {
		b = &Batch{Images: make([]float32, need)}
	}
	b.N, b.H, b.W, b.C = n, c.H, c.W, 3
	b.Images = b.Images[:need]
	if labels {
		if cap(b.Labels) < need/3 {
			b.Labels = make([]uint8, need/3)
		}
		b.Labels = b.Labels[:need/3]
	}
	if classes {
		if cap(b.Classes) < n {
			b.Classes = make([]int32, n)
		}
		b.Classes = b.Classes[:n]
	}
	if cap(b.Samples) < samples {
		b.Samples = append(b.Samples[:cap(b.Samples)], make([]Sample, samples-cap(b.Samples))...)
	}
	b.Samples = b.Samples[:samples]
	return b
}

func (p *batchPool) put(b *Batch) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.free) == maxFree {
		// Make room by dropping the smallest: it fits the fewest needs.
		least := 0
		for i := range p.free {
			if cap(p.free[i].Images) < cap(p.free[least].Images) {
				least = i
			}
		}
		p.free[least] = b
		return
	}
	p.free = append(p.free, b)
}

func (p *batchPool) drop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.free = nil
}
