package cpu

import (
	"math/rand"
	"testing"

	"manvision/device"
)

// results runs an operation by a kernel built by steps and returns its outputs.
func results(t *testing.T, d *Device, op device.Op, steps func(*kernel) error) [][]float32 {
	t.Helper()
	var k *kernel
	err := d.Do(func() (err error) {
		if k, err = d.newKernel(op); err == nil {
			err = steps(k)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	b := bindKernel(t, d, op, k)
	if err := d.Do(b.Run); err != nil {
		t.Fatal(err)
	}
	var out [][]float32
	for i, desc := range op.Outputs() {
		v := make([]float32, desc.Elems())
		if err := d.Download(v, desc, b.out[i].Ptr()); err != nil {
			t.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// Winograd's results stay within 1e-5 of the direct algorithm's (relative to the
// largest value), for every pair of kinds, in one chunk of tiles and in several.
func TestWinogradAgainstDirect(t *testing.T) {
	d := newDevice(t, 2)
	rng := rand.New(rand.NewSource(1))
	used := map[[2]int]bool{}
	for _, s := range []struct{ n, h, w, ic, oc, dh, dw int }{
		{2, 38, 50, 256, 256, 1, 1}, {3, 64, 64, 128, 208, 1, 1}, {1, 64, 36, 64, 64, 1, 12}, {1, 64, 30, 64, 64, 1, 16},
		{1, 36, 33, 64, 128, 12, 2}, {2, 64, 64, 256, 64, 12, 24}, {1, 36, 64, 64, 64, 12, 36}, {1, 64, 64, 64, 64, 36, 4}, {1, 70, 36, 64, 64, 36, 12}, {2, 64, 64, 512, 64, 36, 36}, {1, 38, 50, 64, 99, 1, 1}, {1, 36, 33, 64, 65, 12, 2},
	} {
		c := square(s.n, s.h, s.w, s.ic, s.oc, 3, 1)
		c.DH, c.DW, c.PH, c.PW, c.Bias = s.dh, s.dw, s.dh, s.dw, rng.Intn(2) == 0
		for dir := forward; dir <= backwardWeights; dir++ {
			if dir != forward && s.oc%lanes != 0 {
				continue
			}
			rows, cols := cutSides(c, dir)
			used[[2]int{rows.kind, cols.kind}] = true
			op := operation(c, dir)
			want := results(t, d, op, func(k *kernel) error {
				p, err := d.convPlanOf(c, dir)
				if err != nil {
					return err
				}
				return k.convBy(p, c, dir, nil)
			})
			got := results(t, d, op, func(k *kernel) error { return k.winograd(c, dir, halves{}) })
			for j := range want {
				if e := relativeError(want[j], got[j]); !(e <= 1e-5) {
					t.Errorf("%s dilation %dx%d, kinds %d and %d, direction %d, output %d: relative error %.1e", name(c), s.dh, s.dw, rows.kind, cols.kind, dir, j, e)
				}
			}
		}
	}
	if len(used) != 9 {
		t.Errorf("pairs of kinds seen: %v, want all 9", used)
	}
}

// The tiles of a side make every output once, and inputs beside a tile of kind 3 are
// padding.
func TestCutSide(t *testing.T) {
	outputs := map[int]int{6: 4, 5: 3, 3: 2}
	for out := 1; out < 80; out++ {
		for _, d := range []int{1, 2, 3, 4, 5, 12, 24, 36, 100} {
			for _, pad := range []int{0, 1, d - 1, d, d + 2, 2 * d} {
				in := out + 2*d - 2*pad
				if in < 1 {
					continue
				}
				s := cutSide(in, out, d, pad)
				made := make([]int, out)
				for _, at := range s.starts {
					for i := range outputs[s.kind] {
						if at := int(at) + i*d; at < out {
							made[at]++
						}
					}
					if before, behind := int(at)-pad, int(at)-pad+3*d; s.kind == 3 && (before >= 0 || behind < in) {
						t.Fatalf("%d outputs of %d inputs, dilation %d, padding %d: tile at %d reads input %d or %d", out, in, d, pad, at, before, behind)
					}
				}
				for i, n := range made {
					if n != 1 {
						t.Fatalf("%d outputs of %d inputs, dilation %d, padding %d: output %d is made %d times", out, in, d, pad, i, n)
					}
				}
			}
		}
	}
	for _, c := range []struct{ size, d, kind, tiles int }{ // products counted by hand
		{64, 1, 6, 16}, {64, 2, 6, 16}, {64, 12, 5, 24}, {64, 24, 5, 24}, {64, 36, 3, 36}, {128, 12, 6, 36}, {128, 24, 5, 48}, {128, 36, 6, 36}, {7, 1, 6, 2}, {9, 1, 5, 3},
	} {
		if s := cutSide(c.size, c.size, c.d, c.d); s.kind != c.kind || len(s.starts) != c.tiles {
			t.Errorf("side of %d, dilation %d: %d tiles of kind %d, want %d of %d", c.size, c.d, len(s.starts), s.kind, c.tiles, c.kind)
		}
	}
}

// What the rules choose where it was measured, and that scratch stays bounded.
func TestConvRules(t *testing.T) {
	d := newDevice(t, 2)
	for _, c := range deeplab(2, 64, 64) {
		for dir := forward; dir <= backwardWeights; dir++ {
			if got, want := winogradFor(c.Conv, dir), c.KH == 3; got != want {
				t.Errorf("%s, direction %d: Winograd %v", name(c.Conv), dir, got)
			}
			if got, want := pointwiseFor(c.Conv, dir), c.KH == 1 && c.IC*c.OC >= 512*1024 && dir != backwardWeights; got != want {
				t.Errorf("%s, direction %d: product %v", name(c.Conv), dir, got)
			}
			k, err := d.Prepare(operation(c.Conv, dir))
			if err != nil {
				t.Fatal(err)
			}
			if most := int64(4*36*c.IC*c.OC + 26<<20); k.Scratch() > most {
				t.Errorf("%s, direction %d: scratch %d MB", name(c.Conv), dir, k.Scratch()>>20)
			}
			k.Close()
		}
	}
	strided, grouped := square(2, 64, 64, 128, 128, 3, 2), square(2, 64, 64, 128, 128, 3, 1)
	grouped.Groups = 32
	for _, c := range []device.Conv{square(1, 7, 7, 512, 512, 3, 1), square(8, 64, 64, 3, 64, 3, 1), square(128, 32, 32, 16, 16, 3, 1), square(2, 64, 64, 256, 45, 3, 1), square(1, 56, 56, 64, 64, 5, 1), strided, grouped} {
		for dir := forward; dir <= backwardWeights; dir++ {
			if winogradFor(c, dir) {
				t.Errorf("%s, direction %d: Winograd", name(c), dir)
			}
		}
	}
}
