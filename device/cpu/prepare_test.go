package cpu

import (
	"testing"

	"manvision/device"
)

// TestForms: a form is one of a filter's; others are errors, never another filter read.
func TestForms(t *testing.T) {
	d := newDevice(t, 1)
	c := square(1, 14, 14, 64, 64, 3, 1)
	form, err := d.FilterForm(c)
	if err != nil || form == 0 {
		t.Fatalf("form %d, %v: want Winograd's", form, err)
	}
	strided := c
	strided.SH, strided.SW = 2, 2
	narrow := c
	narrow.OC = 32
	for what, op := range map[string]device.Op{
		"a form of another convolution": func() device.Op { strided.Form = form; return strided }(),
		"a form of another filter":      func() device.Op { narrow.Form = form; return narrow }(),
		"a form never given":            func() device.Op { o := c; o.Form = 99; return o }(),
		"preparing in it":               device.PrepareFilter{Filter: c.Weight(), Form: 99},
		"folding in it":                 device.FoldNorm{Filter: narrow.Weight(), Eps: 1, Form: form},
	} {
		if k, err := d.Prepare(op); err == nil {
			k.Close()
			t.Errorf("%s: no error", what)
		}
	}
	if _, err := d.Size(device.Desc{Layout: device.Prepared, Shape: []int{64, 64, 3, 3}, Form: 99}); err == nil {
		t.Error("size of a form never given: no error")
	}
	if again, _ := d.FilterForm(c); again != form {
		t.Errorf("form %d, asked again %d", form, again)
	}
	if _, err := d.FilterForm(device.Conv{}); err == nil {
		t.Error("form of an impossible convolution: no error")
	}
}
