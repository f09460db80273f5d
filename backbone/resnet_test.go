package backbone

import (
	"strings"
	"testing"

	"manvision/device"
	"manvision/device/ref"
	"manvision/exec"
	"manvision/nn"
)

// Parameter counts. ImageNet with the 1000-class head: torchvision's weights metadata
// (num_params of ResNet*_Weights.IMAGENET1K_V1 and so on, 0.14). CIFAR with 10
// classes, option A: the model table of akamaster/pytorch_resnet_cifar10's README is
// in thousands (0.27, 0.46, 0.66, 0.85, 1.7 million) and ResNet-20's 269,722 is counted
// in its file; the other depths add (depth−20)/6 units of 2·9·w²+4·w weights for each
// width w of 16, 32, 64: 97,216 in all. Projections add 16·32+2·32 + 32·64+2·64 = 2,752.
var params = map[string]int{
	"resnet18":  11689512,
	"resnet34":  21797672,
	"resnet50":  25557032,
	"resnet101": 44549160,
	"resnet152": 60192808,

	"resnext50_32x4d":  25028904,
	"resnext101_32x8d": 88791336,
	"wide_resnet50_2":  68883240,

	"cifar_resnet20_a":  269722,
	"cifar_resnet32_a":  269722 + 2*97216,
	"cifar_resnet44_a":  269722 + 4*97216,
	"cifar_resnet56_a":  269722 + 6*97216,
	"cifar_resnet110_a": 269722 + 15*97216,

	"cifar_resnet20":  272474,
	"cifar_resnet32":  272474 + 2*97216,
	"cifar_resnet44":  272474 + 4*97216,
	"cifar_resnet56":  272474 + 6*97216,
	"cifar_resnet110": 272474 + 15*97216,
}

func TestParameterCounts(t *testing.T) {
	for _, name := range all() {
		t.Run(name, func(t *testing.T) {
			b, err := New(name, PublishedWidth(name))
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
			stride, classes := 32, 1000
			if strings.HasPrefix(name, "cifar") {
				stride, classes = 4, 10
			}
			if s := y.Shape(); s[1] != 64/stride || s[2] != 96/stride {
				t.Errorf("last map is %v, want %dx%d", s, 64/stride, 96/stride)
			}
			if y = Classifier(g, y, "", classes); g.Err() != nil {
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
