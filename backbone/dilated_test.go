package backbone

import (
	"strings"
	"testing"

	"manvision/device"
	"manvision/device/ref"
	"manvision/nn"
)

// TestDilated: strides and dilations of layer3 and layer4 are those of
// torchvision's replace_stride_with_dilation ([False, False, True] for 16, [False,
// True, True] for 8; read off resnet50's conv2 modules in torchvision 0.14), names,
// shapes and the number of parameters stay, and the input is not changed.
func TestDilated(t *testing.T) {
	for _, name := range Names() {
		for _, c := range []struct {
			stride                       int
			three, four                  int // strides of the stages' first units
			three0, three1, four0, four1 int // dilations of first and later units
		}{
			{32, 2, 2, 1, 1, 1, 1},
			{16, 2, 1, 1, 1, 1, 2},
			{8, 1, 1, 1, 2, 2, 4},
		} {
			b, err := New(name, 64)
			if err != nil {
				t.Fatal(err)
			}
			d, err := Dilated(b, c.stride)
			if err != nil {
				t.Fatal(err)
			}
			seen := map[int]bool{}
			for i, u := range d.Units {
				stride, dil := b.Units[i].Stride, b.Units[i].dil
				if stride == 2 && u.Stage == 2 && u.Stride != 2 {
					t.Errorf("%s/%d: %s has stride %d", name, c.stride, u.Name, u.Stride)
				}
				switch first := !seen[u.Stage]; u.Stage {
				case 3:
					dil = c.three1
					if first {
						stride, dil = c.three, c.three0
					}
				case 4:
					dil = c.four1
					if first {
						stride, dil = c.four, c.four0
					}
				}
				seen[u.Stage] = true
				if u.Stride != stride || u.dil != dil {
					t.Errorf("%s/%d: %s has stride %d and dilation %d, want %d and %d", name, c.stride, u.Name, u.Stride, u.dil, stride, dil)
				}
				if b.Units[i].dil > 1 {
					t.Fatalf("%s: the input was changed", name)
				}
			}
			plain, dilated := variables(t, b, 32), variables(t, d, c.stride)
			if len(plain) != len(dilated) {
				t.Errorf("%s/%d: %d variables, want %d", name, c.stride, len(dilated), len(plain))
			}
			for n, elems := range plain {
				if dilated[n] != elems {
					t.Errorf("%s/%d: %s has %d elements, want %d", name, c.stride, n, dilated[n], elems)
				}
			}
		}
	}
}

// variables builds b at an odd size, checks the last map's size against the output
// stride and returns the elements of every variable.
func variables(t *testing.T, b *Backbone, stride int) map[string]int {
	t.Helper()
	dev := ref.New()
	defer dev.Close()
	g := nn.NewGraph(nn.NewStore(dev, 1), nn.Train)
	y, _ := g.Input("input", device.Desc{Shape: []int{1, 65, 97, 3}})
	for _, u := range b.Units {
		y = u.Forward(g, y, "")
	}
	if g.Err() != nil {
		t.Fatal(g.Err())
	}
	if s := y.Shape(); s[1] != (65+stride-1)/stride || s[2] != (97+stride-1)/stride {
		t.Errorf("%s: the last map of 65x97 is %v at output stride %d", b.Name, s, stride)
	}
	elems := map[string]int{}
	for _, v := range g.Store.Vars() {
		elems[v.Name] = v.Elems()
	}
	return elems
}

// TestDilatedClone: a copy of a dilated unit, as MAN++ makes it, is dilated too.
func TestDilatedClone(t *testing.T) {
	b, err := New("resnet50", 8)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = Dilated(b, 8); err != nil {
		t.Fatal(err)
	}
	dev := ref.New()
	defer dev.Close()
	for _, i := range []int{8, 9, 14, 15} { // layer3.0, .1, layer4.0, .1
		u := b.Units[i]
		g := nn.NewGraph(nn.NewStore(dev, 1), nn.Train)
		x, _ := g.Input("x", device.Desc{Shape: []int{1, 12, 9, u.In}})
		y := u.Clone(g, x, "lb.")
		if g.Err() != nil {
			t.Fatal(g.Err())
		}
		if s := y.Shape(); s[1] != 12 || s[2] != 9 || s[3] != u.Out {
			t.Errorf("%s: a clone gives %v", u.Name, s)
		}
	}
}

func TestDilatedErrors(t *testing.T) {
	b, err := New("resnet18", 8)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []int{0, -8, 4, 12, 64} {
		if _, err := Dilated(b, s); err == nil || !strings.Contains(err.Error(), "8, 16, 32") {
			t.Errorf("output stride %d: %v", s, err)
		}
	}
	d, err := Dilated(b, 8)
	if err != nil {
		t.Fatal(err)
	}
	small, err := New("cifar_resnet20", 16)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Dilated(small, 8); err == nil || !strings.Contains(err.Error(), "small pictures") {
		t.Errorf("dilating a CIFAR network: %v", err)
	}
	if _, err := Dilated(d, 16); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("dilating twice: %v", err)
	}
}
