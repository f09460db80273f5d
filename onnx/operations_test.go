package onnx

import (
	"fmt"
	"testing"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/device/ref"
	"manvision/exec"
	"manvision/nn"
)

// operations are what the networks of TestRuntime hardly use, each on images [n,9,10,3].
func operations(g *nn.Graph, images *gorgonia.Node) []*gorgonia.Node {
	try := func(n *gorgonia.Node, err error) *gorgonia.Node {
		if err != nil {
			g.Fail(err)
		}
		return n
	}
	n := images.Shape()[0]
	x := g.Conv(images, "conv", nn.Layer{Out: 4, Kernel: 3, Bias: true, ConvOptions: nn.ConvOptions{Pad: 2, Stride: 2, Dilation: 2, ReLU: true}}) // [n,5,5,4]
	tokens := g.Reshape(images, n, 90, 3)
	joined := g.Concat(1, tokens, tokens)
	return []*gorgonia.Node{
		x,
		g.MaxPool(images, nn.PoolOptions{Size: 3, Stride: 2, Pad: 1, Ceil: true}),
		g.AvgPool(images, nn.PoolOptions{Size: 3, Stride: 3, Pad: 1, Ceil: true}),
		g.AvgPool(images, nn.PoolOptions{Size: 3, Stride: 2, Pad: 1, CountPad: true}),
		g.Subsample(images, 2),
		g.Resize(images, 18, 20, device.Nearest),
		g.Resize(images, 13, 7, device.Nearest),
		g.Resize(images, 14, 25, device.Bilinear),
		g.Resize(images, 5, 4, device.Bilinear),
		g.Resize(images, 14, 25, device.BilinearAligned),
		g.PadChannels(g.ReLU(images), 2, 7),
		try(nn.Slice(images, 1, 3, 8)),
		try(nn.Slice(x, 3, 1, 3)),
		try(nn.Slice(joined, 1, 80, 100)),
		g.Concat(2, images, images),
		g.LayerNorm(images, "ln", 1e-6),
		g.GELU(g.FC(images, "fc", 5, nn.FrameworkDefault)),
		g.Norm(g.GlobalAvgPool(x), "flat_norm", true),
		g.Norm(g.Reshape(tokens, n, 9, 10, 3), "norm", false),
		g.AddReLU(g.Reshape(tokens, n, 9, 10, 3), images),
		g.Attention(g.FC(tokens, "qkv", 12, nn.FrameworkDefault), 2, 0.7),
	}
}

// TestOperations compares operations with those of the reference device, where
// onnxruntime is there.
func TestOperations(t *testing.T) {
	python := python(t)
	dev := ref.New()
	defer dev.Close()
	store := nn.NewStore(dev, 1)
	defer store.Free()
	const n, h, w = 2, 9, 10
	here, there := picture(n, h, w)
	in, err := exec.NewTensor(dev, device.Desc{Shape: []int{n, h, w, 3}})
	if err != nil {
		t.Fatal(err)
	}
	defer in.Free()
	g := nn.NewGraph(store, nn.Eval)
	nodes := operations(g, g.Leaf("images", in))
	if g.Err() != nil {
		t.Fatal(g.Err())
	}
	shake(t, store)
	p, err := g.Compile("operations", nil, nodes...)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := in.Upload(here); err != nil {
		t.Fatal(err)
	}
	if err := p.Run(); err != nil {
		t.Fatal(err)
	}
	s := &suite{t: t, dir: t.TempDir()}
	for _, batch := range []int{n, 0} {
		o := Options{Batch: batch, H: h, W: w}
		walked, outs, err := walk(store, o, operations)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]any{}
		var list []Value
		for i, node := range outs {
			name := fmt.Sprint("output ", i)
			x := make([]float32, node.Shape().TotalSize()*n/max(batch, 1))
			if err := p.Download(x, nodes[i]); err != nil {
				t.Fatal(err)
			}
			d := walked.dims(node)
			get := walked.plain
			if len(d) == 4 {
				get = walked.maps
				x = swap(x, n, d[1]*d[2], d[3])
				d = []int{d[0], d[3], d[1], d[2]}
			}
			value, err := get(node)
			if err != nil {
				t.Fatal(err)
			}
			walked.b.result(value, name)
			list, want[name] = append(list, walked.output(name, float, d...)), x
		}
		f, err := walked.file("test", infoOf(1), o, list, nil)
		s.add(fmt.Sprint("operations, batch ", batch), f, err, there, n, 0, want)
	}
	s.run(python)
}
