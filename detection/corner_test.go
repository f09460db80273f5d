package detection

import (
	"strings"
	"testing"

	"manvision/device/ref"
)

// Expected boxes and sums are those of torchvision 0.14's AnchorGenerator with
// retinanet_resnet50_fpn's sizes for a padded image of 224x160 pixels, whose height
// the strides of P6 and P7 do not divide.
func TestTorchvisionAnchors(t *testing.T) {
	g, err := TorchvisionAnchors().Grid(160, 224)
	if err != nil {
		t.Fatal(err)
	}
	if g.Len() != 6759 {
		t.Fatalf("%d anchors, want 6759", g.Len())
	}
	var sum [4]float64
	for _, b := range g.Boxes {
		for k, v := range b {
			sum[k] += float64(v)
		}
	}
	if want := [4]float64{499161, 283557, 934215, 718611}; sum != want {
		t.Errorf("sums of the corners %v, want %v", sum, want)
	}
	for i, want := range map[int][4]float32{
		0: {-23, -11, 23, 11}, 1: {-28, -14, 28, 14}, 5: {-25, -25, 25, 25}, 8: {-18, -35, 18, 35}, 9: {-15, -11, 31, 11},
		6747: {-181, -282, 181, 442}, 6752: {-462, -207, 686, 367}, 6758: {-175, -494, 399, 654},
	} {
		if g.Boxes[i] != want {
			t.Errorf("anchor %d %v, want %v", i, g.Boxes[i], want)
		}
	}
}

// Training assigns boxes to anchors on a regular grid of cell centres.
func TestTorchvisionAnchorsAreForInference(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	net := &RetinaNet{Classes: 2, Channels: 8, Anchors: TorchvisionAnchors(), Assign: DefaultAssign()}
	if _, err := net.NewHeads(dev, 1, 64, 64); err == nil || !strings.Contains(err.Error(), "inference") {
		t.Error(err)
	}
	if _, err := NewGrid(net.Anchors, net.Anchors.LevelShapes(64, 64)); err == nil {
		t.Error("a grid from shapes alone")
	}
	if _, err := net.Anchors.Grid(0, 64); err == nil {
		t.Error("a grid of an empty image")
	}
}
