package segmentation

import (
	"fmt"
	"math/bits"

	"gorgonia.org/gorgonia"

	"manvision/device"
	"manvision/nn"
)

// decoder rebuilds the image from a local block's auxiliary feature, as InfoPro
// does so that blocks keep what later ones need: a 1x1 convolution, then per halving
// of the stride a bilinear enlargement and a 3x3 convolution, the last to three
// channels (METHOD §3).
type decoder struct {
	channels int // first width; 0: 128, from stride 16 on 256
}

// widths of the decoder after each enlargement, the last one last.
var decoderWidths = []int{128, 32, 12, 3}

// forward maps x [N,·,·,C] of a stride, a power of two, to logits [N,h,w,3] whose
// sigmoid is the image.
func (d decoder) forward(g *nn.Graph, x *gorgonia.Node, stride, h, w int, prefix string) *gorgonia.Node {
	if stride < 2 || stride&(stride-1) != 0 {
		g.Fail(fmt.Errorf("%s: a feature of stride %d cannot be enlarged in steps of 2", prefix, stride))
		return nil
	}
	steps := bits.TrailingZeros(uint(stride))
	channels := d.channels
	if channels == 0 {
		channels = 128
		if steps >= len(decoderWidths) {
			channels = 256
		}
	}
	y := g.ConvNorm(x, prefix+"0", prefix+"1", nn.Layer{Out: channels, Kernel: 1, Init: nn.FrameworkDefault}, true)
	for i := 1; i <= steps; i++ {
		left := steps - i // halvings of the input's size that remain, each rounded up
		y = g.Resize(y, ceilShift(h, left), ceilShift(w, left), device.Bilinear)
		conv, norm := fmt.Sprintf("%s%d", prefix, 4*i), fmt.Sprintf("%s%d", prefix, 4*i+1)
		if left == 0 {
			l := conv3(3)
			l.Bias = true
			return g.Conv(y, conv, l)
		}
		y = g.ConvNorm(y, conv, norm, conv3(decoderWidths[max(len(decoderWidths)-1-left, 0)]), true)
	}
	return nil
}

// ceilShift halves n k times, rounding up.
func ceilShift(n, k int) int { return (n + 1<<k - 1) >> k }
