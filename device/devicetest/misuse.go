package devicetest

import (
	"fmt"
	"math"
	"testing"

	"manvision/device"
)

// testMisuse checks that wrong arguments are errors.
func testMisuse(t *testing.T, dev device.Device) {
	m, err := dev.Alloc(4096)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Free()
	filter := device.Desc{Layout: device.Filter, Shape: []int{4, 3, 3, 3}}
	for _, c := range []struct {
		d    device.Desc
		host any
	}{
		{dense(3), []float32{1, 2}},
		{dense(3), []float64{1, 2, 3, 4}},
		{dense(3), []float32(nil)},
		{dense(3), []int32{1, 2, 3}},
		{dense(3), []int{1, 2, 3}},
		{dense(3), "123"},
		{dense(3), nil},
		{raw(3), []int32{1, 2}},
		{raw(3), []float32{1, 2, 3}},
		{filter, make([]float32, 107)},
		{filter, make([]float64, 109)},
		{device.Desc{DType: device.Bits, Shape: []int{3}}, []float32{1, 2, 3}},
		{device.Desc{DType: device.Window, Shape: []int{3}}, []int32{1, 2, 3}},
	} {
		if err := dev.Upload(m.Ptr(), c.d, c.host); err == nil {
			t.Errorf("Upload of %v took %T %v", c.d, c.host, c.host)
		}
		if err := dev.Download(c.host, c.d, m.Ptr()); err == nil {
			t.Errorf("Download of %v took %T %v", c.d, c.host, c.host)
		}
	}

	if _, err := dev.Prepare(nil); err == nil {
		t.Error("Prepare(nil) succeeded")
	}
	for _, op := range impossible() {
		t.Run(fmt.Sprintf("%s %+v", op.Kind(), op), func(t *testing.T) {
			if op.Check() == nil {
				t.Error("Check finds nothing wrong")
			}
			if k, err := dev.Prepare(op); err == nil {
				k.Close()
				t.Error("Prepare succeeded")
			}
		})
	}

	k, err := dev.Prepare(device.ReLU{Size: 3})
	if err != nil {
		t.Fatal(err)
	}
	p := m.Ptr()
	for _, c := range [][2][]device.Ptr{{nil, {p}}, {{p}, nil}, {{p, p}, {p}}, {{p}, {p, p}}, {{nil}, {p}}, {{p}, {nil}}} {
		if err := k.Bind(c[0], c[1], nil); err == nil {
			t.Errorf("ReLU was bound to %d inputs and %d outputs, %v", len(c[0]), len(c[1]), c)
		}
	}
	k.Close()
	k.Close()
}

// impossible lists operations that Check refuses.
func impossible() []device.Op {
	good := geometry(3, 3, 1, 1, 1)
	good.N, good.H, good.W, good.IC, good.OC = 1, 5, 5, 4, 4
	change := func(f func(o *device.Conv)) device.Conv {
		o := good
		f(&o)
		return o
	}
	convs := []device.Conv{
		change(func(o *device.Conv) { o.N = 0 }),
		change(func(o *device.Conv) { o.IC = -1 }),
		change(func(o *device.Conv) { o.KH = 0 }),
		change(func(o *device.Conv) { o.SW = 0 }),
		change(func(o *device.Conv) { o.DH = 0 }),
		change(func(o *device.Conv) { o.PH = -1 }),
		change(func(o *device.Conv) { o.Groups = 3 }),
		change(func(o *device.Conv) { o.Groups = 0 }),
		change(func(o *device.Conv) { o.DH = 4 }),
		change(func(o *device.Conv) { o.Form = -1 }),
	}
	var ops []device.Op
	for _, o := range convs {
		ops = append(ops, o, device.ConvBackwardData{Conv: o}, device.ConvBackwardWeights{Conv: o})
	}
	pool := device.Pool{N: 1, H: 4, W: 4, C: 1, KH: 2, KW: 2, SH: 2, SW: 2}
	padded, large, huge, still := pool, pool, pool, pool
	padded.PH = 2
	large.KH = 5
	huge.H, huge.W, huge.KH, huge.KW = 16, 16, 16, 16
	still.SH = 0
	for _, p := range []device.Pool{padded, large, huge, still} {
		ops = append(ops, device.MaxPool{Pool: p}, device.MaxPoolBackward{Pool: p}, device.AvgPool{Pool: p}, device.AvgPoolBackward{Pool: p})
	}
	norm := device.BatchNorm{N: 1, H: 1, W: 1, C: 4}
	pixel := device.PixelCrossEntropy{N: 1, H: 1, W: 1, C: 4, OH: 2}
	unlikely := device.PixelCrossEntropy{N: 1, H: 1, W: 1, C: 4, OH: 2, OW: 2}
	fewer, weightless := unlikely, unlikely
	unlikely.Threshold, fewer.MinKept, weightless.Weight = 1.5, -1, math.NaN()
	return append(ops,
		norm, device.BatchNormBackward{BatchNorm: norm},
		device.RunningStats{C: 3, Momentum: 0.1},
		device.FoldNorm{Eps: 1e-5}, device.FoldNorm{Filter: dense(4, 3, 1, 1), Eps: 1e-5},
		device.FoldNorm{Filter: device.Desc{Layout: device.Filter, Shape: []int{4, 3, 1, 1}}},
		device.FoldNorm{Filter: good.Weight(), Eps: 1e-5, Form: -1}, device.PrepareFilter{Filter: good.Weight()}, device.PrepareFilter{Filter: dense(4, 3, 1, 1), Form: 1},
		device.ConvBackwardData{Conv: change(func(o *device.Conv) { o.Form = 1 })}, device.ConvBackwardWeights{Conv: change(func(o *device.Conv) { o.Form = 1 })},
		device.ReLU{}, device.ReLUBackward{}, device.Fuse{}, device.FuseBackward{},
		device.GlobalAvgPool{N: 1, H: 0, W: 1, C: 1}, device.GlobalAvgPoolBackward{N: 1, H: 0, W: 1, C: 1},
		device.Resize{N: 1, H: 1, W: 1, C: 1, OH: 0, OW: 1},
		device.Concat{Outer: 1}, device.Concat{Outer: 1, Sizes: []int{2, 0}},
		device.Slice{Outer: 1, Total: 4, From: 2, Size: 3}, device.Slice{Outer: 1, Total: 4, From: -1, Size: 3},
		device.Linear{M: 1, K: 0, N: 1},
		device.FocalLoss{Rows: 0, Classes: 1}, device.SmoothL1{Rows: 1}, device.CrossEntropy{Rows: 1},
		pixel, device.PixelCrossEntropyBackward{PixelCrossEntropy: pixel}, unlikely, fewer, weightless,
		device.SoftCrossEntropy{}, device.SoftCrossEntropyBackward{}, device.SoftCrossEntropy{Rows: 1, Classes: 1, Weight: -1},
		device.SupCon{}, device.SupCon{Rows: 1, Dim: 1}, device.SupConBackward{SupCon: device.SupCon{Rows: 1, Dim: 1, Temperature: 1, Weight: -1}},
		device.Similarity{}, device.Similarity{N: 1, Cells: 1, C: 1, Classes: 2}, device.SimilarityBackward{},
		device.SigmoidBCE{}, device.SigmoidBCEBackward{}, device.SigmoidBCE{Size: 1, Weight: -1},
		device.Dropout{P: 0.5}, device.Dropout{Size: 1, P: 1}, device.Dropout{Size: 1, P: -0.1}, device.Dropout{Size: 1, P: math.NaN()}, device.Dropout{Size: 1 << 33, P: 0.5},
		device.SGD{Of: dense(0)}, device.AdamW{Of: dense(0)}, device.EMA{Of: dense(0)},
		device.SquaredNorm{Of: dense(0)}, device.SquaredDistance{Of: dense(0)}, device.Add{Of: dense(0)}, device.Fill{Of: dense(0)},
		device.Together{}, device.Together{Ops: []device.Op{device.EMA{Of: dense(0)}}}, device.Together{Ops: []device.Op{device.ReLU{Size: 1}}})
}
