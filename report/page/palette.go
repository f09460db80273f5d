package page

import (
	"fmt"
	"html/template"
	"image/color"
)

// colour is one for light pages and one for dark.
type colour struct{ light, dark string }

// style sets the variables that the style sheet draws with.
func (c colour) style() template.CSS { return template.CSS("--l:" + c.light + ";--d:" + c.dark) }

// runColours tell runs and curves apart, for colour-blind readers too: the palette of
// Okabe and Ito (2008), its yellow and black replaced, with darker or lighter tones
// where the page's ground asks for them.
var runColours = []colour{
	{"#0072B2", "#4DA9E4"}, {"#D55E00", "#F07B2E"}, {"#009E73", "#25BE93"}, {"#B5528F", "#D98BBB"},
	{"#C98A00", "#EDB120"}, {"#3B8FC4", "#8CCBF2"}, {"#6B6B6B", "#B4B4B4"}, {"#7A5195", "#B59AD6"},
}

// dashes tell curves of one colour apart.
var dashes = []string{"", "7 3", "2 3", "9 3 2 3"}

// distinct is the i-th of n colours without an order, and its dashes.
func distinct(i int) (colour, string) {
	return runColours[i%len(runColours)], dashes[i/len(runColours)%len(dashes)]
}

// ramp points are of viridis (matplotlib, CC0), whose lightness rises evenly.
var ramp = []color.NRGBA{
	{68, 1, 84, 255}, {72, 40, 120, 255}, {62, 74, 137, 255}, {49, 104, 142, 255}, {38, 130, 142, 255},
	{31, 158, 137, 255}, {53, 183, 121, 255}, {110, 206, 88, 255}, {181, 222, 43, 255}, {253, 231, 37, 255},
}

// ordered is the i-th of n colours that rise in order: on light pages without the
// lightest part of the ramp, on dark pages without the darkest.
func ordered(i, n int) colour {
	t := 0.0
	if n > 1 {
		t = float64(i) / float64(n-1)
	}
	return colour{hex(t * 0.82), hex(0.28 + t*0.72)}
}

func hex(t float64) string {
	x := t * float64(len(ramp)-1)
	k := min(int(x), len(ramp)-2)
	f := x - float64(k)
	mix := func(a, b uint8) int { return int(float64(a)*(1-f) + float64(b)*f + 0.5) }
	a, b := ramp[k], ramp[k+1]
	return fmt.Sprintf("#%02x%02x%02x", mix(a.R, b.R), mix(a.G, b.G), mix(a.B, b.B))
}
