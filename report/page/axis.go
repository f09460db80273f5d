package page

import (
	"math"
	"strconv"
	"strings"
)

// axis maps values to pixels.
type axis struct {
	min, max float64 // of the values shown
	from, to float64 // pixels of min and max
	log      bool
}

func (a axis) at(v float64) float64 {
	lo, hi := a.min, a.max
	if a.log {
		lo, hi, v = math.Log(lo), math.Log(hi), math.Log(v)
	}
	if hi == lo {
		return (a.from + a.to) / 2
	}
	return a.from + (v-lo)/(hi-lo)*(a.to-a.from)
}

// ticks are round values within the axis, about n of them.
func (a axis) ticks(n int) []float64 {
	if a.log {
		return a.logTicks(n)
	}
	step := roundStep((a.max - a.min) / float64(n))
	if step <= 0 || math.IsInf(step, 0) {
		return []float64{a.min}
	}
	var out []float64
	for k := math.Ceil(a.min/step - 1e-9); k*step <= a.max+1e-9*step && len(out) < 4*n; k++ {
		v := k * step
		if k == 0 {
			v = 0 // not -0
		}
		out = append(out, v)
	}
	return out
}

func (a axis) logTicks(n int) []float64 {
	first, last := math.Floor(math.Log10(a.min)), math.Ceil(math.Log10(a.max))
	every := math.Max(1, math.Ceil((last-first)/float64(n)))
	digits := []float64{1}
	switch decades := math.Log10(a.max / a.min); {
	case decades < 1.2:
		digits = []float64{1, 2, 3, 5, 7}
	case decades < 3:
		digits = []float64{1, 3}
	}
	var out []float64
	for e := first; e <= last; e += every {
		for _, d := range digits {
			if v := d * math.Pow(10, e); v >= a.min*(1-1e-9) && v <= a.max*(1+1e-9) {
				out = append(out, v)
			}
		}
	}
	if len(out) < 2 {
		return []float64{a.min, a.max}
	}
	return out
}

// roundStep is the least of 1, 2, 2.5 and 5 times a power of ten that is not below v.
func roundStep(v float64) float64 {
	if v <= 0 {
		return 0
	}
	p := math.Pow(10, math.Floor(math.Log10(v)))
	for _, f := range []float64{1, 2, 2.5, 5} {
		if f*p >= v*(1-1e-9) {
			return f * p
		}
	}
	return 10 * p
}

// number writes a value with four significant digits.
func number(v float64) string {
	a := math.Abs(v)
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		return "–"
	case v == 0:
		return "0"
	case a >= 1e9 || a < 1e-4:
		return strings.Replace(strconv.FormatFloat(v, 'e', 2, 64), "-", "−", -1)
	case a >= 1e4:
		return thousands(int64(math.Round(v)))
	}
	s := strconv.FormatFloat(v, 'f', max(0, 3-int(math.Floor(math.Log10(a)))), 64)
	if strings.Contains(s, ".") {
		s = strings.TrimRight(strings.TrimRight(s, "0"), ".")
	}
	return strings.Replace(s, "-", "−", 1)
}

// short writes a tick's value.
func short(v float64) string {
	a := math.Abs(v)
	for _, u := range []struct {
		from float64
		unit string
	}{{1e9, "G"}, {1e6, "M"}, {1e4, "k"}} {
		if a >= u.from {
			d := u.from
			if u.unit == "k" {
				d = 1e3
			}
			return strconv.FormatFloat(v/d, 'g', 4, 64) + u.unit
		}
	}
	if a > 0 && a < 1e-3 {
		s := strconv.FormatFloat(v, 'e', -1, 64)
		mantissa, exponent, _ := strings.Cut(s, "e")
		if len(mantissa) > 4 {
			mantissa = mantissa[:4]
		}
		e, _ := strconv.Atoi(exponent)
		return mantissa + "e" + strconv.Itoa(e)
	}
	return strconv.FormatFloat(v, 'g', 5, 64)
}

// thousands separates a count's digits by narrow spaces.
func thousands(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "\u202f" + s[i:]
	}
	return s
}
