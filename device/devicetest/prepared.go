package devicetest

import (
	"testing"

	"manvision/device"
)

// testPrepared runs the convolutions whose filters a device wants prepared, with filters
// that PrepareFilter and FoldNorm made, against the reference.
func testPrepared(t *testing.T, dev, slow device.Device, tol Tolerances, worst map[string]extreme) {
	p, ok := dev.(device.Preparer)
	if !ok {
		t.Skip("the device reads filters as they are stored")
	}
	seen := false
	for i, c := range append(convCases(), sumCases()...) {
		o, forward := c.Op.(device.Conv)
		if !forward {
			continue
		}
		form, err := p.FilterForm(o)
		if err != nil {
			t.Fatalf("%s: %v", c.Name, err)
		}
		if form == 0 {
			continue
		}
		seen = true
		filter := o.Weight()
		o.Form = form
		c.Op = o
		w := c.Steps[0][1].([]float64)
		g := seeded(c.Name + " prepared")
		// FoldNorm's numbers leave a filter's scale about as it is.
		gamma, beta, mean, variance := g.normal(o.OC, 1, 0.2), g.normal(o.OC, 0, 1), g.normal(o.OC, 0, 1), squares(g.normal(o.OC, 1, 0.1))
		c.From = &From{Op: device.PrepareFilter{Filter: filter, Form: form}, In: []any{w}, To: 1}
		if i%2 == 1 {
			c.From = &From{Op: device.FoldNorm{Filter: filter, Eps: 1e-5, Form: form}, In: []any{w, gamma, beta, mean, variance}, To: 1}
		}
		t.Run(c.Name, func(t *testing.T) { conform(t, dev, slow, c, tol, worst) })
	}
	if !seen {
		t.Error("the device prepares no filter of the suite's")
	}
}
