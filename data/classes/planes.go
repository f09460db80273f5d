package classes

// FromPlanes brings an image whose colours are planes one after the other (all R,
// all G, all B) to R, G, B pixel by pixel, row by row. columns says that the planes
// run down the columns instead of along the rows. dst and src are w*h*3 bytes.
func FromPlanes(dst, src []uint8, w, h int, columns bool) {
	n := w * h
	r, g, b := src[:n], src[n:2*n], src[2*n:3*n]
	if !columns {
		for i := range r {
			px := dst[3*i : 3*i+3 : 3*i+3]
			px[0], px[1], px[2] = r[i], g[i], b[i]
		}
		return
	}
	for y := 0; y < h; y++ {
		row := dst[3*y*w:]
		for x := 0; x < w; x++ {
			i := x*h + y
			row[3*x], row[3*x+1], row[3*x+2] = r[i], g[i], b[i]
		}
	}
}
