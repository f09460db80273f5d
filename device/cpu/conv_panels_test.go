package cpu

import (
	"slices"
	"testing"

	"manvision/device"
)

// preparedResult runs a convolution with a stored filter and with the same filter
// prepared.
func preparedResult(t *testing.T, d *Device, c device.Conv) (stored, prepared []float32) {
	t.Helper()
	form, err := d.FilterForm(c)
	if err != nil {
		t.Fatal(err)
	}
	plain := bind(t, d, c)
	op := c
	op.Form = form
	b := bind(t, d, op) // with the same numbers, but for the filter
	fill, err := d.Prepare(device.PrepareFilter{Filter: c.Weight(), Form: form})
	if err != nil {
		t.Fatal(err)
	}
	defer fill.Close()
	scratch, err := d.Alloc(fill.Scratch())
	if err != nil {
		t.Fatal(err)
	}
	defer scratch.Free()
	if err := fill.Bind([]device.Ptr{plain.in[1].Ptr()}, []device.Ptr{b.in[1].Ptr()}, scratch.Ptr()); err != nil {
		t.Fatal(err)
	}
	out := make([][]float32, 2)
	err = d.Do(func() error {
		for _, k := range []device.Kernel{fill, plain, b} {
			if err := k.Run(); err != nil {
				return err
			}
		}
		return nil
	})
	for i, from := range []bound{plain, b} {
		out[i] = make([]float32, c.Y().Elems())
		if err == nil {
			err = d.Download(out[i], c.Y(), from.out[0].Ptr())
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return out[0], out[1]
}

// Convolutions by panels agree with oneDNN's (relative to the largest value) for every
// number of pixels of a block, lines of seven, batches, borders, strides and windows, and
// have the same bits on one thread and on three.
func TestPanels(t *testing.T) {
	one, three := newDevice(t, 1), newDevice(t, 3)
	stride := func(c device.Conv, sh, sw int) device.Conv {
		c.SH, c.SW = sh, sw
		return c
	}
	list := []device.Conv{
		square(1, 224, 224, 3, 64, 7, 2), square(2, 29, 40, 3, 32, 7, 2), square(1, 7, 7, 512, 512, 3, 1), square(3, 7, 7, 40, 32, 5, 1),
		square(1, 14, 14, 200, 64, 3, 2), square(1, 28, 28, 64, 96, 3, 2), square(2, 14, 14, 160, 96, 1, 2), square(3, 9, 41, 24, 32, 1, 2),
		stride(square(1, 9, 17, 33, 64, 3, 1), 2, 1), stride(square(1, 8, 23, 33, 64, 3, 1), 1, 2), square(1, 56, 56, 64, 256, 1, 1), square(1, 7, 7, 2048, 64, 1, 1),
	}
	for pixels := 1; pixels <= 30; pixels++ {
		list = append(list, square(1, 1, pixels, 70, 96, 1, 1))
	}
	for i, c := range list {
		c.Bias, c.ReLU, c.Sum = i%2 == 0, i%3 == 0, i%4 < 2
		if !panelsFor(c) {
			if panelsFor(square(1, 14, 14, 64, 64, 1, 1)) {
				t.Errorf("%s: not by panels", name(c))
			}
			continue
		}
		want, got := preparedResult(t, one, c)
		_, again := preparedResult(t, three, c)
		if e := relativeError(want, got); !(e <= 3e-6) {
			t.Errorf("%s, bias %v, relu %v, sum %v: relative error %.1e", name(c), c.Bias, c.ReLU, c.Sum, e)
		}
		if !slices.Equal(got, again) {
			t.Errorf("%s: three threads give other bits than one", name(c))
		}
	}
}

// Winograd's products by panels: few tiles, many, filters that stay in a core's cache and
// those that do not, channels that do not fill panels.
func TestWinogradPanels(t *testing.T) {
	one, three := newDevice(t, 1), newDevice(t, 3)
	for _, c := range []device.Conv{
		square(1, 56, 56, 64, 64, 3, 1), square(1, 28, 28, 128, 128, 3, 1), square(1, 14, 14, 256, 256, 3, 1),
		square(2, 38, 50, 64, 90, 3, 1), square(2, 60, 80, 128, 208, 3, 1),
	} {
		c.Bias, c.ReLU = true, true
		if !winogradPreparedFor(c) {
			t.Errorf("%s: not by Winograd's algorithm", name(c))
		}
		want, got := preparedResult(t, one, c)
		_, again := preparedResult(t, three, c)
		if e := relativeError(want, got); !(e <= 1e-5) {
			t.Errorf("%s: relative error %.1e", name(c), e)
		}
		if !slices.Equal(got, again) {
			t.Errorf("%s: three threads give other bits than one", name(c))
		}
	}
}

// What panelsFor chooses where it was measured.
func TestPanelsRule(t *testing.T) {
	if !panelsFor(square(1, 14, 14, 64, 64, 1, 1)) {
		t.Skip("this CPU has no AVX-512")
	}
	dilated, grouped := square(1, 14, 14, 64, 64, 3, 1), square(1, 14, 14, 64, 64, 3, 1)
	dilated.DH, dilated.DW, dilated.PH, dilated.PW = 2, 2, 2, 2
	grouped.Groups = 2
	for _, c := range []device.Conv{dilated, grouped, square(1, 14, 14, 64, 48, 1, 1), square(1, 6, 6, 64, 64, 3, 1), square(32, 14, 14, 1024, 256, 1, 1), square(1, 200, 272, 64, 256, 1, 1)} {
		if panelsFor(c) {
			t.Errorf("%s: by panels", name(c))
		}
	}
}
