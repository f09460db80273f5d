package backbone

import (
	"fmt"
	"slices"
)

// Dilated returns a copy of b whose last stages trade stride for dilation, so that
// the last feature map has one cell per outputStride pixels: 32 changes nothing, 16
// dilates layer4, 8 layer3 and layer4. As torchvision's
// replace_stride_with_dilation does it, the first unit of such a stage gets stride 1
// and keeps the dilation before it, the units that follow dilate by the product of the
// strides saved so far. Parameters keep their names and shapes. Chen et al. 2017,
// "Rethinking Atrous Convolution for Semantic Image Segmentation", §3.1.
func Dilated(b *Backbone, outputStride int) (*Backbone, error) {
	switch outputStride {
	case 8, 16, 32:
	default:
		return nil, fmt.Errorf("output stride %d (one of 8, 16, 32)", outputStride)
	}
	out := &Backbone{Name: b.Name, Units: slices.Clone(b.Units)}
	stride, dilation := 1, 1
	for i := range out.Units {
		u := &out.Units[i]
		if u.dil > 1 {
			return nil, fmt.Errorf("output stride %d: backbone %s is dilated already", outputStride, b.Name)
		}
		if u.kind == cifarStem {
			return nil, fmt.Errorf("output stride %d: backbone %s is for small pictures and cannot be dilated", outputStride, b.Name)
		}
		if u.kind != stem {
			u.dil = dilation // before a change of it, which acts from the next unit on
		}
		if stride*u.Stride > outputStride {
			dilation *= u.Stride
			u.Stride = 1
		}
		stride *= u.Stride
	}
	return out, nil
}
