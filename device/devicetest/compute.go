package devicetest

import (
	"math"
	"slices"
	"testing"
	"unsafe"

	"manvision/device"
	"manvision/device/ref"
)

// Words that no kernel should leave behind: poison reads as NaN in any float
// type, canary lies behind every buffer.
const (
	poison     int32 = -1
	canary     int32 = 0x5AA5C33C
	guardWords       = 64
)

// buffer is the memory of one argument with a guard behind it.
type buffer struct {
	dev  device.Device
	mem  device.Memory
	ptr  device.Ptr
	size int64 // bytes of the argument
}

func newBuffer(t testing.TB, dev device.Device, size, offset int64) *buffer {
	t.Helper()
	mem, err := dev.Alloc(offset + (size+3)/4*4 + guardWords*4)
	if err != nil {
		t.Fatal(err)
	}
	return &buffer{dev: dev, mem: mem, ptr: unsafe.Add(mem.Ptr(), offset), size: size}
}

func (b *buffer) words() int { return int((b.size + 3) / 4) }

func raw(words int) device.Desc { return device.Desc{DType: device.Int32, Shape: []int{words}} }

// reset fills the argument with poison and the guard with canaries.
func (b *buffer) reset(t testing.TB) {
	t.Helper()
	w := make([]int32, b.words()+guardWords)
	for i := range w {
		w[i] = poison
		if i >= b.words() {
			w[i] = canary
		}
	}
	if err := b.dev.Upload(b.ptr, raw(len(w)), w); err != nil {
		t.Fatalf("raw upload: %v", err)
	}
}

// read returns the raw content and reports writes beyond the argument.
func (b *buffer) read(t testing.TB, what string) []int32 {
	t.Helper()
	w := make([]int32, b.words()+guardWords)
	if err := b.dev.Download(w, raw(len(w)), b.ptr); err != nil {
		t.Fatalf("raw download: %v", err)
	}
	for i, v := range w[b.words():] {
		if v != canary {
			t.Errorf("%s: %d bytes long, overwritten %d bytes behind its end", what, b.size, int64(b.words()+i)*4-b.size)
			break
		}
	}
	if tail := b.size % 4; tail != 0 && int64(uint32(w[b.words()-1])>>(8*tail)) != math.MaxUint32>>(8*tail) {
		t.Errorf("%s: %d bytes long, overwritten just behind its end", what, b.size)
	}
	return w[:b.words()]
}

func (b *buffer) put(t testing.TB, d device.Desc, data any) {
	t.Helper()
	if err := b.dev.Upload(b.ptr, d, data); err != nil {
		t.Fatalf("upload %v: %v", d, err)
	}
}

// binding is a full set of buffers for an operation.
type binding struct {
	in, out []*buffer
	scratch *buffer
	own     []*buffer // each once
}

func newBinding(t testing.TB, dev device.Device, op device.Op, scratch, offset int64, alias *[2]int) *binding {
	t.Helper()
	b := &binding{}
	get := func(d device.Desc) *buffer {
		size, err := dev.Size(d)
		if err != nil {
			t.Fatalf("size of %v: %v", d, err)
		}
		buf := newBuffer(t, dev, size, offset)
		b.own = append(b.own, buf)
		return buf
	}
	for _, d := range op.Inputs() {
		b.in = append(b.in, get(d))
	}
	for i, d := range op.Outputs() {
		if alias != nil && alias[0] == i {
			b.out = append(b.out, b.in[alias[1]])
		} else {
			b.out = append(b.out, get(d))
		}
	}
	b.scratch = newBuffer(t, dev, scratch, offset)
	b.own = append(b.own, b.scratch)
	return b
}

func (b *binding) bind(t testing.TB, k device.Kernel) {
	t.Helper()
	var scratch device.Ptr
	if k.Scratch() > 0 {
		scratch = b.scratch.ptr
	}
	if err := k.Bind(pointers(b.in), pointers(b.out), scratch); err != nil {
		t.Fatalf("bind: %v", err)
	}
}

func (b *binding) free() {
	for _, buf := range b.own {
		buf.mem.Free()
	}
}

func pointers(bs []*buffer) []device.Ptr {
	p := make([]device.Ptr, len(bs))
	for i, b := range bs {
		p[i] = b.ptr
	}
	return p
}

// compute runs a case on a device and returns its outputs (nil for Bits and
// Window). It does so passes times: the second pass repeats the first, from the
// third on the kernel is bound elsewhere; all passes must agree bit for bit.
func compute(t testing.TB, dev device.Device, c Case, alias *[2]int, passes int) [][]float64 {
	t.Helper()
	k, err := dev.Prepare(c.Op)
	if err != nil {
		t.Fatalf("prepare on %s: %v", dev.Name(), err)
	}
	defer k.Close()
	first := newBinding(t, dev, c.Op, k.Scratch(), 0, alias)
	defer first.free()
	first.bind(t, k)
	bits := pass(t, k, c, first, alias)
	var values [][]float64
	for i, d := range c.Op.Outputs() {
		var v []float64
		if d.DType == device.Float || d.DType == device.BF16 {
			v = make([]float64, d.Elems())
			if err := dev.Download(v, d, first.out[i].ptr); err != nil {
				t.Fatalf("download of output %d: %v", i, err)
			}
			if d.Layout == device.Filter {
				checkPadding(t, dev, first.out[i], d, v)
			}
		}
		values = append(values, v)
	}
	b := first
	for p := 1; p < passes; p++ {
		if p == 2 {
			b = newBinding(t, dev, c.Op, k.Scratch(), 64, alias)
			defer b.free()
			b.bind(t, k)
		}
		for i, again := range pass(t, k, c, b, alias) {
			if !slices.Equal(bits[i], again) {
				t.Errorf("output %d: run %d gives other bits than the first", i, p+1)
			}
		}
	}
	return values
}

// pass runs all steps of a case once and returns the raw outputs.
func pass(t testing.TB, k device.Kernel, c Case, b *binding, alias *[2]int) [][]int32 {
	t.Helper()
	dev := b.scratch.dev
	for i, d := range c.Op.Outputs() {
		if alias != nil && alias[0] == i {
			continue
		}
		b.out[i].reset(t)
		if start, ok := c.Start[i]; ok {
			b.out[i].put(t, d, start)
		}
	}
	for _, inputs := range c.Steps {
		before := make([][]int32, len(b.in))
		for i, d := range c.Op.Inputs() {
			b.in[i].reset(t)
			if c.From != nil && c.From.To == i {
				c.From.make(t, b.in[i])
			} else {
				b.in[i].put(t, d, inputs[i])
			}
			before[i] = b.in[i].read(t, "input")
		}
		b.scratch.reset(t)
		if err := dev.Do(k.Run); err != nil {
			t.Fatalf("run: %v", err)
		}
		b.scratch.read(t, "scratch")
		for i := range b.in {
			after := b.in[i].read(t, "input")
			if (alias == nil || alias[1] != i) && !slices.Equal(before[i], after) {
				t.Errorf("input %d was written to", i)
			}
		}
	}
	var bits [][]int32
	for _, o := range b.out {
		bits = append(bits, o.read(t, "output"))
	}
	return bits
}

// make runs the forward operation on dst's device with its output Out in dst.
func (f *From) make(t testing.TB, dst *buffer) {
	t.Helper()
	dev := dst.dev
	k, err := dev.Prepare(f.Op)
	if err != nil {
		t.Fatalf("prepare %s on %s: %v", f.Op.Kind(), dev.Name(), err)
	}
	defer k.Close()
	b := newBinding(t, dev, f.Op, k.Scratch(), 0, nil)
	defer b.free()
	b.out[f.Out] = dst
	for i, d := range f.Op.Inputs() {
		b.in[i].put(t, d, f.In[i])
	}
	b.bind(t, k)
	if err := dev.Do(k.Run); err != nil {
		t.Fatalf("run %s: %v", f.Op.Kind(), err)
	}
}

// checkPadding adds up the squares of a filter's whole storage on the device:
// padding that is not zero shows as a difference to the logical elements.
func checkPadding(t testing.TB, dev device.Device, buf *buffer, d device.Desc, values []float64) {
	t.Helper()
	want := 0.0
	for _, v := range values {
		want += v * v
	}
	k, err := dev.Prepare(device.SquaredNorm{Of: d})
	if err != nil {
		t.Fatalf("prepare norm2: %v", err)
	}
	defer k.Close()
	one := device.Desc{Shape: []int{1}}
	size, err := dev.Size(one)
	if err != nil {
		t.Fatal(err)
	}
	sum, scratch := newBuffer(t, dev, size, 0), newBuffer(t, dev, k.Scratch(), 0)
	defer sum.mem.Free()
	defer scratch.mem.Free()
	sum.put(t, one, []float64{0})
	if err := k.Bind([]device.Ptr{buf.ptr}, []device.Ptr{sum.ptr}, scratch.ptr); err != nil {
		t.Fatal(err)
	}
	if err := dev.Do(k.Run); err != nil {
		t.Fatal(err)
	}
	got := make([]float64, 1)
	if err := dev.Download(got, one, sum.ptr); err != nil {
		t.Fatal(err)
	}
	if !(math.Abs(got[0]-want) <= 1e-4*want+1e-30) {
		t.Errorf("filter storage of %v: its squares add up to %v, those of its elements to %v: padding is not zero", d, got[0], want)
	}
}

// reference computes a forward operation on the reference device, for cases that
// need its outcome to be built.
func reference(op device.Op, inputs ...any) [][]float64 {
	var f failure
	return compute(&f, ref.New(), Case{Op: op, Name: "reference", Steps: [][]any{inputs}}, nil, 1)
}

// failure is the testing.TB of reference, outside any test: the descriptors are
// this package's own, so an error is a mistake in the suite.
type failure struct{ testing.TB }

func (failure) Helper()                   {}
func (failure) Fatal(args ...any)         { panic(args) }
func (failure) Fatalf(f string, a ...any) { panic(append([]any{f}, a...)) }
func (failure) Errorf(f string, a ...any) { panic(append([]any{f}, a...)) }
