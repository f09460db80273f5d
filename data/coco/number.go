package coco

import "strconv"

// pow10 holds the powers of ten that float64 represents exactly.
var pow10 = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11,
	1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// parseNumber reads the JSON number at the start of b and returns it rounded to
// the nearest float64 (±Inf beyond the range) with its length. Where b starts
// with no number ok is false and n is -1 for -Infinity, else 0.
func parseNumber(b []byte) (f float64, n int, ok bool) {
	i := 0
	neg := i < len(b) && b[i] == '-'
	if neg {
		i++
	}
	var mant uint64
	digits := 0 // significant digits taken into mant
	exp := 0
	start := i
	for i < len(b) {
		d := b[i] - '0'
		if d > 9 {
			break
		}
		mant = mant*10 + uint64(d)
		i++
	}
	digits = i - start
	if digits == 0 {
		if neg && i < len(b) && b[i] == 'I' {
			return 0, -1, false
		}
		return 0, 0, false
	}
	if b[start] == '0' && digits > 1 {
		return 0, 0, false
	}
	if i < len(b) && b[i] == '.' {
		i++
		frac := i
		for i < len(b) {
			d := b[i] - '0'
			if d > 9 {
				break
			}
			mant = mant*10 + uint64(d)
			i++
		}
		if i == frac {
			return 0, 0, false
		}
		exp = frac - i
		digits += i - frac
	}
	if i < len(b) && (b[i] == 'e' || b[i] == 'E') {
		i++
		sign := 1
		if i < len(b) && (b[i] == '-' || b[i] == '+') {
			if b[i] == '-' {
				sign = -1
			}
			i++
		}
		first := i
		e := 0
		for i < len(b) {
			d := b[i] - '0'
			if d > 9 {
				break
			}
			e = min(e*10+int(d), 1<<20)
			i++
		}
		if i == first {
			return 0, 0, false
		}
		exp += sign * e
	}
	// Both operands are exact, so one operation rounds correctly. Nineteen
	// digits always fit into mant.
	if digits <= 19 && mant < 1<<53 && exp >= -22 && exp <= 22 {
		f = float64(mant)
		if exp < 0 {
			f /= pow10[-exp]
		} else {
			f *= pow10[exp]
		}
		if neg {
			f = -f
		}
		return f, i, true
	}
	f, _ = strconv.ParseFloat(string(b[:i]), 64) // only a range error is left: ±Inf
	return f, i, true
}
