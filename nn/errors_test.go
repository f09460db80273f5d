package nn

import (
	"math"
	"strings"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
)

// TestShapeErrors gives every operation arguments that do not fit: an error that
// names the operation and what is wrong, never a panic.
func TestShapeErrors(t *testing.T) {
	b := newBench(t)
	scalar := func() *gorgonia.Node { return b.g.Reshape(b.in("one", 1)) }
	x4, x2, x1 := b.in("x4", 2, 5, 4, 3), b.in("x2", 6, 3), b.in("x1", 3)
	w := b.filter("w", 1, 4, 3, 3, 3)
	labels := b.fixed("labels", []int{6}, make([]int32, 6))
	pixels, one32 := b.fixed("pixels", []int{2, 4, 4}, make([]int32, 32)), b.fixed("one32", []int{1}, []int32{0})
	norm := b.fixed("norm", []int{1}, []float64{1})
	bn := func(x, gamma, beta *gorgonia.Node) (*gorgonia.Node, error) {
		y, _, _, err := BatchNormTrain(x, gamma, beta, 1e-5, true)
		return y, err
	}
	one := func(n *gorgonia.Node, err error) error { return err }
	for _, c := range []struct {
		name, want string
		f          func() error
	}{
		{"conv of a matrix", "four axes", func() error { return one(Conv2D(x2, w, nil, ConvOptions{})) }},
		{"conv of a scalar", "four axes", func() error { return one(Conv2D(scalar(), w, nil, ConvOptions{})) }},
		{"conv weight of three axes", "four axes", func() error { return one(Conv2D(x4, b.in("w3", 4, 3, 3), nil, ConvOptions{})) }},
		{"conv channels", "input channels", func() error { return one(Conv2D(x4, b.filter("w5", 1, 4, 5, 3, 3), nil, ConvOptions{})) }},
		{"conv groups", "groups", func() error { return one(Conv2D(x4, w, nil, ConvOptions{Groups: 2})) }},
		{"conv kernel too large", "larger than the padded input", func() error { return one(Conv2D(x4, w, nil, ConvOptions{Dilation: 3})) }},
		{"conv negative padding", "padding", func() error { return one(Conv2D(x4, w, nil, ConvOptions{Pad: -1})) }},
		{"conv negative stride", "stride", func() error { return one(Conv2D(x4, w, nil, ConvOptions{Stride: -2})) }},
		{"conv negative dilation", "dilation", func() error { return one(Conv2D(x4, w, nil, ConvOptions{Dilation: -1})) }},
		{"conv negative groups", "groups", func() error { return one(Conv2D(x4, w, nil, ConvOptions{Groups: -1})) }},
		{"conv bias", "conv: input 2", func() error { return one(Conv2D(x4, w, x1, ConvOptions{})) }},
		{"conv of nil", "nil", func() error { return one(Conv2D(nil, w, nil, ConvOptions{})) }},
		{"conv of labels", "int32", func() error {
			l := b.fixed("maplabels", []int{1, 4, 4, 3}, make([]int32, 48))
			return one(Conv2D(l, w, nil, ConvOptions{}))
		}},
		{"bn of a vector", "batch norm", func() error { return one(bn(x1, x1, x1)) }},
		{"bn gamma", "bn: input 1", func() error { return one(bn(x4, b.in("g4", 4), x1)) }},
		{"bn beta", "bn: input 2", func() error { return one(bn(x4, x1, b.in("b4", 4))) }},
		{"bn mean", "bn: input 3", func() error {
			return one(BatchNormGlobal(x4, x1, x1, b.in("m4", 4), x1, 1e-5, false))
		}},
		{"bn of nil", "nil", func() error { return one(bn(nil, x1, x1)) }},
		{"relu of nil", "nil", func() error { return one(ReLU(nil)) }},
		{"relu of labels", "int32", func() error { return one(ReLU(labels)) }},
		{"add", "differ", func() error { return one(Add(x4, x2)) }},
		{"add of nil", "nil", func() error { return one(Add(x4, nil)) }},
		{"add relu", "differ", func() error { return one(AddReLU(x1, x2)) }},
		{"fuse branches", "differ", func() error { return one(Fuse(b.in("s", 1), x4, x2)) }},
		{"fuse scale", "fuse: input 0", func() error { return one(Fuse(x1, x4, x4)) }},
		{"fuse of nil", "nil", func() error { return one(Fuse(nil, x4, x4)) }},
		{"maxpool of a matrix", "must be [N,H,W,C]", func() error { return one(MaxPool(x2, PoolOptions{Size: 2})) }},
		{"maxpool without window", "size below 1", func() error { return one(MaxPool(x4, PoolOptions{})) }},
		{"maxpool too large", "larger than the padded input", func() error { return one(MaxPool(x4, PoolOptions{Size: 6})) }},
		{"maxpool padding", "padding", func() error { return one(MaxPool(x4, PoolOptions{Size: 2, Pad: 2})) }},
		{"maxpool window", "255", func() error { return one(MaxPool(b.in("big", 1, 17, 17, 1), PoolOptions{Size: 16})) }},
		{"maxpool of nil", "nil", func() error { return one(MaxPool(nil, PoolOptions{Size: 2})) }},
		{"avgpool of a vector", "must be [N,H,W,C]", func() error { return one(AvgPool(x1, PoolOptions{Size: 2})) }},
		{"avgpool negative stride", "size below 1", func() error { return one(AvgPool(x4, PoolOptions{Size: 2, Stride: -1})) }},
		{"gap of a matrix", "must be [N,H,W,C]", func() error { return one(GlobalAvgPool(x2)) }},
		{"resize of a matrix", "must be [N,H,W,C]", func() error { return one(Resize(x2, 2, 2, device.Nearest)) }},
		{"resize to nothing", "size below 1", func() error { return one(Resize(x4, 0, 2, device.Nearest)) }},
		{"resize of nil", "nil", func() error { return one(Resize(nil, 1, 2, device.Nearest)) }},
		{"concat of nothing", "nothing", func() error { return one(Concat(0)) }},
		{"concat axis", "axis 4", func() error { return one(Concat(4, x4, x4)) }},
		{"concat ranks", "shapes", func() error { return one(Concat(0, x4, x2)) }},
		{"concat sizes", "shapes", func() error { return one(Concat(0, x4, b.in("y4", 2, 5, 5, 3))) }},
		{"concat of nil", "nil", func() error { return one(Concat(0, x4, nil)) }},
		{"slice axis", "axis 2", func() error { return one(Slice(x2, 2, 0, 1)) }},
		{"slice range", "[2,9)", func() error { return one(Slice(x2, 0, 2, 9)) }},
		{"slice empty", "[2,2)", func() error { return one(Slice(x2, 0, 2, 2)) }},
		{"slice of nil", "nil", func() error { return one(Slice(nil, 0, 0, 1)) }},
		{"reshape", "elements", func() error { return one(Reshape(x2, 4, 5)) }},
		{"reshape negative", "reshape", func() error { return one(Reshape(x2, -6, -3)) }},
		{"reshape of nil", "nil", func() error { return one(Reshape(nil, 1)) }},
		{"linear of a vector", "linear", func() error { return one(Linear(x1, x2, nil)) }},
		{"linear sizes", "linear", func() error { return one(Linear(x2, b.in("w4", 2, 4), nil)) }},
		{"linear bias", "linear: input 2", func() error { return one(Linear(x2, b.in("w43", 4, 3), x1)) }},
		{"linear of nil", "nil", func() error { return one(Linear(x2, nil, nil)) }},
		{"focal of a vector", "focal", func() error { return one(FocalLoss(x1, labels, norm, 0.25, 2)) }},
		{"focal labels", "focal: input 1", func() error { return one(FocalLoss(b.in("l5", 5, 3), labels, norm, 0.25, 2)) }},
		{"focal float labels", "focal: input 1", func() error { return one(FocalLoss(x2, b.in("fl", 6), norm, 0.25, 2)) }},
		{"focal norm", "focal: input 2", func() error { return one(FocalLoss(x2, labels, x1, 0.25, 2)) }},
		{"focal of nil", "nil", func() error { return one(FocalLoss(nil, labels, norm, 0.25, 2)) }},
		{"smoothl1 of a vector", "smooth-L1", func() error { return one(SmoothL1(x1, x1, labels, norm, 1)) }},
		{"smoothl1 target", "smooth-L1", func() error { return one(SmoothL1(x2, x1, labels, norm, 1)) }},
		{"smoothl1 labels", "smoothl1: input 2", func() error { return one(SmoothL1(b.in("p5", 5, 3), b.in("t5", 5, 3), labels, norm, 1)) }},
		{"smoothl1 of nil", "nil", func() error { return one(SmoothL1(x2, nil, labels, norm, 1)) }},
		{"cross-entropy of a vector", "cross-entropy", func() error { return one(CrossEntropy(x1, labels, 255)) }},
		{"cross-entropy labels", "crossentropy: input 1", func() error { return one(CrossEntropy(x4, labels, 255)) }},
		{"pixel cross-entropy of a matrix", "[N,h,w,C]", func() error { return one(PixelCrossEntropy(x2, pixels, PixelLoss{Weight: 1})) }},
		{"pixel cross-entropy flat labels", "[N,H,W]", func() error { return one(PixelCrossEntropy(x4, labels, PixelLoss{Weight: 1})) }},
		{"pixel cross-entropy batch", "same N", func() error { return one(PixelCrossEntropy(b.in("n3", 3, 2, 2, 3), pixels, PixelLoss{Weight: 1})) }},
		{"pixel cross-entropy float labels", "input 1", func() error { return one(PixelCrossEntropy(x4, b.in("fm", 2, 4, 4), PixelLoss{Weight: 1})) }},
		{"pixel cross-entropy weight", "weight", func() error { return one(PixelCrossEntropy(x4, pixels, PixelLoss{Weight: -1})) }},
		{"pixel cross-entropy threshold", "probability", func() error {
			return one(PixelCrossEntropy(x4, pixels, PixelLoss{Weight: 1, OHEM: OHEM{Threshold: 2}}))
		}},
		{"pixel cross-entropy kept", "negative", func() error {
			return one(PixelCrossEntropy(x4, pixels, PixelLoss{Weight: 1, OHEM: OHEM{MinKept: -1}}))
		}},
		{"pixel cross-entropy of nil", "nil", func() error { return one(PixelCrossEntropy(x4, nil, PixelLoss{Weight: 1})) }},
		{"sigmoid cross-entropy shapes", "differ", func() error { return one(SigmoidBCE(x4, x2, 1)) }},
		{"sigmoid cross-entropy labels", "input 1", func() error { return one(SigmoidBCE(b.in("p6", 6), labels, 1)) }},
		{"sigmoid cross-entropy weight", "weight", func() error { return one(SigmoidBCE(x2, x2, math.NaN())) }},
		{"sigmoid cross-entropy of nil", "nil", func() error { return one(SigmoidBCE(nil, x2, 1)) }},
		{"dropout of all", "less than 1", func() error { return one(Dropout(x2, one32, 1, 0)) }},
		{"dropout step", "dropout: input 1", func() error { return one(Dropout(x2, norm, 0.5, 0)) }},
		{"dropout of nil", "nil", func() error { return one(Dropout(nil, one32, 0.5, 0)) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			defer func() {
				if r := recover(); r != nil {
					t.Fatalf("panic: %v", r)
				}
			}()
			err := c.f()
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q does not say %q", err, c.want)
			}
		})
	}
}

// TestLayerErrors checks that layers on unfit inputs fail with the layer's name,
// that the first failure sticks, and that later layers then do nothing.
func TestLayerErrors(t *testing.T) {
	for _, c := range []struct {
		name string
		f    func(b *bench) *gorgonia.Node
	}{
		{"conv on a scalar", func(b *bench) *gorgonia.Node {
			return b.g.Conv(b.g.Reshape(b.in("x", 1)), "layer", Layer{Out: 2, Kernel: 1})
		}},
		{"norm on a scalar", func(b *bench) *gorgonia.Node { return b.g.Norm(b.g.Reshape(b.in("x", 1)), "layer", false) }},
		{"fc on a vector", func(b *bench) *gorgonia.Node { return b.g.FC(b.in("x", 3), "layer", 2, FrameworkDefault) }},
		{"conv on nothing", func(b *bench) *gorgonia.Node { return b.g.Conv(nil, "layer", Layer{Out: 2, Kernel: 1}) }},
		{"conv without outputs", func(b *bench) *gorgonia.Node {
			return b.g.Conv(b.in("x", 1, 2, 2, 3), "layer", Layer{Kernel: 1})
		}},
		{"conv with more groups than channels", func(b *bench) *gorgonia.Node {
			return b.g.Conv(b.in("x", 1, 2, 2, 3), "layer", Layer{Out: 8, Kernel: 1, ConvOptions: ConvOptions{Groups: 4}})
		}},
		{"dropout of all", func(b *bench) *gorgonia.Node { return b.g.Dropout(b.in("x", 3), "layer", 1) }},
		{"dropout of less than nothing", func(b *bench) *gorgonia.Node {
			b.g.Mode = Eval
			return b.g.Dropout(b.in("x", 3), "layer", -0.1)
		}},
		{"dropout of nothing", func(b *bench) *gorgonia.Node { return b.g.Dropout(nil, "layer", 0.5) }},
		{"shape differs from the store's", func(b *bench) *gorgonia.Node {
			x := b.in("x", 1, 2, 2, 3)
			b.g.Conv(x, "layer", Layer{Out: 2, Kernel: 1})
			return b.g.Conv(x, "layer", Layer{Out: 3, Kernel: 1})
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(t)
			n := c.f(b)
			err := b.g.Err()
			if err == nil {
				t.Fatal("no error")
			}
			if n != nil {
				t.Error("a node beside the error")
			}
			if !strings.Contains(err.Error(), "layer") {
				t.Errorf("error %q does not name the layer", err)
			}
			if b.g.Conv(n, "next", Layer{Out: 1, Kernel: 1}) != nil || b.g.ReLU(n) != nil || b.g.Err() != err {
				t.Error("the first failure does not stick")
			}
			if _, err := b.g.Gradients(n); err == nil {
				t.Error("gradients of a failed graph")
			}
			if _, err := b.g.Compile("p", nil); err == nil {
				t.Error("program of a failed graph")
			}
		})
	}
}
