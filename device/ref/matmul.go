package ref

// Two loops do all the heavy work of convolutions and linear layers.

// dots writes y[j] = p·w[j] (+ bias[j] unless bias is nil) for len(y) rows w[j]
// of length len(p). Four rows at a time share the loads of p and run four
// independent sums, which is what keeps a scalar core busy.
func dots(y, p, w, bias []float64) {
	k := len(p)
	j := 0
	for ; j+4 <= len(y); j += 4 {
		w0, w1 := w[j*k:][:k], w[(j+1)*k:][:k]
		w2, w3 := w[(j+2)*k:][:k], w[(j+3)*k:][:k]
		var s0, s1, s2, s3 float64
		for i, v := range p {
			s0 += v * w0[i]
			s1 += v * w1[i]
			s2 += v * w2[i]
			s3 += v * w3[i]
		}
		y[j], y[j+1], y[j+2], y[j+3] = s0, s1, s2, s3
	}
	for ; j < len(y); j++ {
		s := 0.0
		for i, v := range p {
			s += v * w[j*k+i]
		}
		y[j] = s
	}
	if bias != nil {
		for j := range y {
			y[j] += bias[j]
		}
	}
}

// combine adds Σ_r coef[r·coefStride]·row[r] to dst for n rows of length
// len(dst), row r starting at rows[r·rowStride].
func combine(dst, coef []float64, coefStride int, rows []float64, rowStride, n int) {
	k := len(dst)
	r := 0
	for ; r+4 <= n; r += 4 {
		r0, r1 := rows[r*rowStride:][:k], rows[(r+1)*rowStride:][:k]
		r2, r3 := rows[(r+2)*rowStride:][:k], rows[(r+3)*rowStride:][:k]
		c0, c1 := coef[r*coefStride], coef[(r+1)*coefStride]
		c2, c3 := coef[(r+2)*coefStride], coef[(r+3)*coefStride]
		for i := range dst {
			dst[i] += c0*r0[i] + c1*r1[i] + c2*r2[i] + c3*r3[i]
		}
	}
	for ; r < n; r++ {
		row, c := rows[r*rowStride:][:k], coef[r*coefStride]
		for i := range dst {
			dst[i] += c * row[i]
		}
	}
}
