package device

import "testing"

// Sizes of PyTorch 1.13's Conv2d and MaxPool2d/AvgPool2d outputs, computed with
// torch.nn.functional on tensors of these shapes.
func TestOutputSizes(t *testing.T) {
	convs := []struct {
		c      Conv
		oh, ow int
	}{
		{Conv{N: 1, H: 224, W: 224, IC: 3, OC: 64, KH: 7, KW: 7, SH: 2, SW: 2, PH: 3, PW: 3, DH: 1, DW: 1, Groups: 1}, 112, 112},
		{Conv{N: 2, H: 7, W: 9, IC: 4, OC: 4, KH: 3, KW: 3, SH: 2, SW: 2, PH: 1, PW: 1, DH: 1, DW: 1, Groups: 1}, 4, 5},
		{Conv{N: 2, H: 7, W: 9, IC: 4, OC: 4, KH: 3, KW: 3, SH: 1, SW: 1, PH: 4, PW: 4, DH: 4, DW: 4, Groups: 4}, 7, 9},
		{Conv{N: 1, H: 1, W: 1, IC: 4, OC: 4, KH: 3, KW: 3, SH: 2, SW: 2, PH: 1, PW: 1, DH: 1, DW: 1, Groups: 1}, 1, 1},
	}
	for _, c := range convs {
		if err := c.c.Check(); err != nil {
			t.Errorf("%+v: %v", c.c, err)
		}
		if c.c.OH() != c.oh || c.c.OW() != c.ow {
			t.Errorf("%+v gives %dx%d, want %dx%d", c.c, c.c.OH(), c.c.OW(), c.oh, c.ow)
		}
	}
	pools := []struct {
		p      Pool
		oh, ow int
	}{
		{Pool{N: 1, H: 112, W: 112, C: 1, KH: 3, KW: 3, SH: 2, SW: 2, PH: 1, PW: 1}, 56, 56},
		{Pool{N: 1, H: 7, W: 8, C: 1, KH: 3, KW: 3, SH: 2, SW: 2, Ceil: true}, 3, 4},
		{Pool{N: 1, H: 5, W: 6, C: 1, KH: 2, KW: 2, SH: 2, SW: 2, PH: 1, PW: 1, Ceil: true}, 3, 4},
		{Pool{N: 1, H: 5, W: 6, C: 1, KH: 2, KW: 2, SH: 3, SW: 3, Ceil: true}, 2, 2},
	}
	for _, p := range pools {
		if p.p.OH() != p.oh || p.p.OW() != p.ow {
			t.Errorf("%+v gives %dx%d, want %dx%d", p.p, p.p.OH(), p.p.OW(), p.oh, p.ow)
		}
	}
}

func TestDesc(t *testing.T) {
	f := Desc{Layout: Filter, Shape: []int{8, 4, 3, 3}}
	g := f
	g.Groups = 1
	if f.Elems() != 288 || !f.Equal(g) {
		t.Errorf("%v: %d elements, equal to one group: %v", f, f.Elems(), f.Equal(g))
	}
	g.Groups = 2
	if f.Equal(g) || f.Equal(Desc{Shape: f.Shape}) || f.Equal(Desc{DType: Int32, Layout: Filter, Shape: f.Shape}) {
		t.Error("groups, layout or type do not count")
	}
	if (Desc{Shape: []int{}}).Elems() != 1 {
		t.Error("a scalar has one element")
	}
}
