package augment

import (
	"fmt"
	"image"
)

// Picture turns the top left inW x inH pixels of a normalised canvas of width w
// back into an 8-bit image: what the network sees, for people.
func (c Config) Picture(canvas []float32, w, inW, inH int) (*image.NRGBA, error) {
	if inW < 1 || inH < 1 || inW > w || len(canvas) < w*inH*3 {
		return nil, fmt.Errorf("picture of %dx%d from a canvas %d wide with %d floats", inW, inH, w, len(canvas))
	}
	scale, shift := c.coefficients()
	img := image.NewNRGBA(image.Rect(0, 0, inW, inH))
	for y := 0; y < inH; y++ {
		row := canvas[y*w*3:]
		for x := 0; x < inW; x++ {
			px := img.Pix[y*img.Stride+4*x:]
			for k := 0; k < 3; k++ {
				px[k] = uint8(max(0, min(255, (row[3*x+k]-shift[k])/scale[k]+0.5)))
			}
			px[3] = 255
		}
	}
	return img, nil
}
