package cpu_test

import (
	"fmt"
	"math"
	"testing"
	"unsafe"

	"manvision/device"
	"manvision/device/cpu"
)

// TestTogetherBits: updates in one launch leave the very bits that they leave one by
// one, and so does a sum that all members add to.
func TestTogetherBits(t *testing.T) {
	for _, threads := range []int{1, 3} {
		t.Run(fmt.Sprint(threads), func(t *testing.T) {
			d, err := cpu.New(cpu.Options{Threads: threads})
			if err != nil {
				t.Fatal(err)
			}
			defer d.Close()
			var updates, norms []device.Op
			for i, shape := range [][]int{{16}, {64, 32, 3, 3}, {5}, {20011}, {8192}, {8193}, {17, 5, 3, 3}} {
				of := device.Desc{Shape: shape}
				if len(shape) == 4 {
					of.Layout = device.Filter
				}
				updates = append(updates, []device.Op{
					device.SGD{Of: of, LRScale: 1, WeightDecay: 1e-4, Momentum: 0.9, Nesterov: true},
					device.AdamW{Of: of, LRScale: 1, WeightDecay: 1e-2, Beta1: 0.9, Beta2: 0.99, Eps: 1e-8},
					device.EMA{Of: of, Momentum: 0.9},
					device.SGD{Of: of, LRScale: 0.3},
				}[i%4])
				norms = append(norms, device.SquaredNorm{Of: of})
			}
			for _, list := range [][]device.Op{updates, norms, append(append([]device.Op{}, norms...), updates...)} {
				var want []byte
				for _, op := range list {
					want = append(want, runOn(t, d, op)...)
				}
				if got := runOn(t, d, device.Together{Ops: list}); string(got) != string(want) {
					t.Errorf("%d members, first %s: the bits differ", len(list), list[0].Kind())
				}
			}
			// One sum of all.
			one, all := device.Desc{Shape: []int{1}}, float32(0)
			for _, op := range norms {
				sum := alloc(t, d, one)
				upload(t, d, sum, one, []float32{all})
				bindAndRun(t, d, op, inputs(t, d, op), []device.Ptr{sum.Ptr()})
				all = *(*float32)(sum.Ptr())
			}
			sum := alloc(t, d, one)
			op := device.Together{Ops: norms}
			var out []device.Ptr
			for range norms {
				out = append(out, sum.Ptr())
			}
			bindAndRun(t, d, op, inputs(t, d, op), out)
			if got := *(*float32)(sum.Ptr()); got != all || all == 0 {
				t.Errorf("the sum is %v, want %v", got, all)
			}
		})
	}
}

func alloc(t *testing.T, d *cpu.Device, of device.Desc) device.Memory {
	t.Helper()
	size, err := d.Size(of)
	if err != nil {
		t.Fatal(err)
	}
	m, err := d.Alloc(size)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Free)
	return m
}

func upload(t *testing.T, d *cpu.Device, m device.Memory, of device.Desc, x []float32) {
	t.Helper()
	if err := d.Upload(m.Ptr(), of, x); err != nil {
		t.Fatal(err)
	}
}

// fill uploads numbers that depend on the shape alone.
func fill(t *testing.T, d *cpu.Device, of device.Desc, seed int) device.Memory {
	m, x := alloc(t, d, of), make([]float32, of.Elems())
	for i := range x {
		x[i] = float32(math.Abs(math.Sin(float64(i*7 + seed + of.Elems()))))
	}
	upload(t, d, m, of, x)
	return m
}

func inputs(t *testing.T, d *cpu.Device, op device.Op) []device.Ptr {
	var in []device.Ptr
	for _, of := range op.Inputs() {
		in = append(in, fill(t, d, of, 1).Ptr())
	}
	return in
}

func bindAndRun(t *testing.T, d *cpu.Device, op device.Op, in, out []device.Ptr) {
	t.Helper()
	k, err := d.Prepare(op)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	var scratch device.Ptr
	if n := k.Scratch(); n > 0 {
		m, err := d.Alloc(n)
		if err != nil {
			t.Fatal(err)
		}
		defer m.Free()
		scratch = m.Ptr()
	}
	if err := k.Bind(in, out, scratch); err != nil {
		t.Fatal(err)
	}
	if err := d.Do(k.Run); err != nil {
		t.Fatal(err)
	}
}

// runOn runs op on numbers of its own and returns its outputs' bytes.
func runOn(t *testing.T, d *cpu.Device, op device.Op) []byte {
	t.Helper()
	var out []device.Ptr
	var mem []device.Memory
	for _, of := range op.Outputs() {
		m := fill(t, d, of, 2)
		mem, out = append(mem, m), append(out, m.Ptr())
	}
	bindAndRun(t, d, op, inputs(t, d, op), out)
	var bits []byte
	for i, of := range op.Outputs() {
		size, err := d.Size(of)
		if err != nil {
			t.Fatal(err)
		}
		bits = append(bits, unsafe.Slice((*byte)(mem[i].Ptr()), size)...)
	}
	return bits
}
