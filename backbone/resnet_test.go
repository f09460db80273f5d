package backbone

import (
	"testing"

	"manvision/device"
	"manvision/device/ref"
	"manvision/exec"
	"manvision/nn"
)

// Parameter counts with the 1000-class head, from torchvision's weights metadata
// (num_params of ResNet*_Weights.IMAGENET1K_V1).
var params = map[string]int{
	"resnet18":  11689512,
	"resnet34":  21797672,
	"resnet50":  25557032,
	"resnet101": 44549160,
	"resnet152": 60192808,
}

func TestParameterCounts(t *testing.T) {
	for _, name := range Names() {
		t.Run(name, func(t *testing.T) {
			b, err := New(name, 64)
			if err != nil {
				t.Fatal(err)
			}
			dev := ref.New()
			defer dev.Close()
			g := nn.NewGraph(nn.NewStore(dev, 1), nn.Train)
			x, err := exec.NewTensor(dev, device.Desc{Shape: []int{1, 64, 96, 3}})
			if err != nil {
				t.Fatal(err)
			}
			y := g.Leaf("input", x)
			for _, u := range b.Units {
				y = u.Forward(g, y, "")
				if g.Err() != nil {
					t.Fatal(g.Err())
				}
				if c := y.Shape()[3]; c != u.Out {
					t.Errorf("%s has %d channels, says %d", u.Name, c, u.Out)
				}
			}
			if s := y.Shape(); s[1] != 2 || s[2] != 3 {
				t.Errorf("last map is %v, want 2x3", s)
			}
			if y = Classifier(g, y, "", 1000); g.Err() != nil {
				t.Fatal(g.Err())
			}
			n := 0
			for _, v := range g.Store.Vars() {
				if v.Trainable {
					n += v.Elems()
				}
			}
			if n != params[name] {
				t.Errorf("%d parameters, want %d", n, params[name])
			}
		})
	}
}

func TestUnknownBackbone(t *testing.T) {
	if _, err := New("resnet17", 64); err == nil {
		t.Fatal("no error")
	}
}
