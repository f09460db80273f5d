package cpu

import (
	"fmt"

	"manvision/device"
)

// way is how a float32 convolution is computed, by the name that files of choices have.
type way string

const (
	direct    way = "direct" // the first that works of those methodsFor lists
	jit       way = "jit"
	brgemm    way = "brgemm"
	blocked   way = "blocked"
	tiles     way = "winograd"
	byProduct way = "product" // a product of matrices
)

// methods of the ways that are one method of oneDNN's.
var wayMethods = map[way]method{jit: jitNHWC, brgemm: directNHWC, blocked: directBlocked}

// ruleFor chooses the way by a rule of the shape alone.
func ruleFor(c device.Conv, dir direction) way {
	switch {
	case winogradFor(c, dir):
		return tiles
	case pointwiseFor(c, dir), dir == backwardWeights && pointwiseWeightsFor(c):
		return byProduct
	}
	return direct
}

// by adds the steps of a convolution in a way that can compute it.
func (k *kernel) by(w way, c device.Conv, dir direction) error {
	switch {
	case w == tiles:
		return k.winograd(c, dir, halves{})
	case w == byProduct && dir == backwardWeights:
		return k.pointwiseWeights(c)
	case w == byProduct:
		return k.pointwise(c, dir, halves{})
	}
	p, err := k.d.planBy(w, c, dir)
	if err != nil {
		return err
	}
	return k.convBy(p, c, dir, nil)
}

// wayKey identifies a primitive of a way other than direct.
type wayKey struct {
	convKey
	way way
}

// planBy returns the remembered plan of a convolution in one of oneDNN's ways.
func (d *Device) planBy(w way, c device.Conv, dir direction) (*convPlan, error) {
	if w == direct {
		return d.convPlanOf(c, dir)
	}
	m, ok := wayMethods[w]
	if !ok {
		return nil, fmt.Errorf("cpu device: no way %q of computing a convolution", w)
	}
	key := wayKey{convKey{c, dir}, w}
	if p := d.ways[key]; p != nil {
		return p, nil
	}
	p, err := d.planConv(c, dir, []method{m})
	if err == nil {
		d.ways[key] = p
	}
	return p, err
}

// can tells whether a way computes a convolution.
func (d *Device) can(w way, c device.Conv, dir direction) bool {
	switch w {
	case tiles:
		return winogradCan(c, dir)
	case byProduct:
		return isPointwise(c)
	}
	_, err := d.planBy(w, c, dir)
	return err == nil
}

// waysOf lists the ways that compute a convolution, the rule's first, those that come to
// the same primitive once.
func (d *Device) waysOf(c device.Conv, dir direction) []way {
	rule := ruleFor(c, dir)
	list := []way{rule}
	for _, w := range []way{tiles, byProduct} {
		if w != rule && d.can(w, c, dir) {
			list = append(list, w)
		}
	}
	type primitive struct {
		impl   string
		layout int
	}
	seen := map[primitive]bool{}
	for _, w := range []way{direct, jit, brgemm, blocked} {
		p, err := d.planBy(w, c, dir)
		if err != nil {
			continue
		}
		is := primitive{p.impl, int(p.method.layout)}
		if !seen[is] && w != rule {
			list = append(list, w)
		}
		seen[is] = true
	}
	return list
}
