package exec

import "manvision/device"

// Arena is the working memory of programs that never run at the same time: it is
// as large as the largest of them. This is how local learning pays off: K blocks
// share one arena.
type Arena struct {
	dev  device.Device
	mem  device.Memory
	need int64
	gen  int // counts reallocations, so that programs know when to bind anew
}

// NewArena returns an empty arena on dev.
func NewArena(dev device.Device) *Arena { return &Arena{dev: dev} }

// Bytes is the size that the programs compiled into the arena need.
func (a *Arena) Bytes() int64 { return a.need }

func (a *Arena) reserve(n int64) { a.need = max(a.need, n) }

// realize makes sure that the first n bytes exist. The content is lost when the
// allocation grows, which it does at once to what all need.
func (a *Arena) realize(n int64) error {
	if n == 0 || a.mem != nil && a.mem.Size() >= n {
		return nil
	}
	a.Free()
	mem, err := a.dev.Alloc(a.need)
	if err != nil {
		return err
	}
	a.mem = mem
	a.gen++
	return nil
}

// Free gives the memory back; the next run allocates it again.
func (a *Arena) Free() {
	if a.mem != nil {
		a.mem.Free()
		a.mem = nil
		a.gen++
	}
}
