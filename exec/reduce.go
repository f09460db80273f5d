package exec

import (
	"fmt"

	"gorgonia.org/gorgonia"

	"manvision/device"
)

// reducible reports why the device cannot compute on bf16 activations.
func reducible(dev device.Device) error {
	r, ok := dev.(device.Reducer)
	if !ok {
		return fmt.Errorf("device %s computes in its own precision only, not in bf16", dev.Name())
	}
	if _, err := r.BF16(); err != nil {
		return fmt.Errorf("precision bf16: %w; use f32", err)
	}
	return nil
}

// findWide notes the nodes whose values are better float in a program of bf16
// activations: all who read them want floats (losses, tokens, what is kept). nodes are
// in an order in which children come first.
func (c *compiler) findWide(nodes gorgonia.Nodes) {
	wanted, refused := map[int64]bool{}, map[int64]bool{}
	for _, n := range c.spec.Keep {
		wanted[n.ID()] = true
	}
	for i := len(nodes) - 1; i >= 0; i-- {
		n := nodes[i]
		id := n.ID()
		if bound := c.spec.Bind[n]; bound != nil {
			refused[id] = refused[id] || bound.Desc.DType == device.BF16
			wanted[id] = wanted[id] || bound.Desc.DType == device.Float
		}
		if wanted[id] && !refused[id] {
			c.wide[id] = true
		}
		kids := c.children(n)
		var in []bool // which kids' values an operation reads as bf16
		switch o := n.Op().(type) {
		case Aliaser:
			if k := kids[0].ID(); o.Alias() == 0 {
				wanted[k], refused[k] = wanted[k] || wanted[id], refused[k] || refused[id]
			}
			continue
		case Describer:
			if m, ok := device.Reduce(o.Descriptor()); ok && !(c.wide[id] && passes(m.Of)) {
				in = m.In
			}
		default:
			if isSum(n, kids) && !c.wide[id] {
				in = []bool{true, true}
			}
		}
		for j, k := range kids {
			if in != nil && in[j] {
				refused[k.ID()] = true
			} else {
				wanted[k.ID()] = true
			}
		}
	}
}

// passes tells operations that hand floats on where only floats are asked of them.
func passes(op device.Op) bool {
	switch op.(type) {
	case device.Concat, device.Slice, device.Add:
		return true
	}
	return false
}

// reduce returns the operation of a node in the form that reads bf16 activations,
// where there is one and some are bf16, with inputs cast to what it reads. Convolutions
// always take that form; what only floats are asked of they write as floats.
func (c *compiler) reduce(n *gorgonia.Node, op device.Op, in []*value) (device.Op, []*value, error) {
	if c.spec.Activations != device.BF16 {
		return op, in, nil
	}
	m, ok := device.Reduce(op)
	wide := c.wide[n.ID()]
	if ok {
		switch o := op.(type) {
		case device.Conv:
			if wide {
				m.Out[0] = false
				if o.Sum {
					m.In[len(m.In)-1] = false
				}
			}
		case device.ConvBackwardData, device.ConvBackwardWeights, device.GlobalAvgPoolBackward:
		default:
			ok = !(wide && passes(op)) && anyBF16(m, in)
		}
	}
	if ok {
		op = m
	}
	for i, d := range op.Inputs() {
		if i >= len(in) {
			break // step reports it
		}
		v, err := c.cast(in[i], d.DType)
		if err != nil {
			return nil, nil, err
		}
		in[i] = v
	}
	return op, in, nil
}

func anyBF16(m device.Mixed, in []*value) bool {
	for i, v := range in {
		if i < len(m.In) && m.In[i] && v.desc.DType == device.BF16 {
			return true
		}
	}
	return false
}

// casts reports whether values of one type can be turned into the other.
func casts(a, b device.DType) bool {
	return a == device.Float && b == device.BF16 || a == device.BF16 && b == device.Float
}

// cast returns v as the given type, computed once.
func (c *compiler) cast(v *value, to device.DType) (*value, error) {
	if !casts(v.desc.DType, to) || v.desc.Layout != device.Dense {
		return v, nil
	}
	if w := c.casts[v]; w != nil {
		return w, nil
	}
	w := &value{desc: v.desc, last: -1, name: v.name}
	w.desc.DType = to
	var err error
	if w.bytes, err = c.dev.Size(w.desc); err != nil {
		return nil, err
	}
	c.casts[v] = w
	return w, c.castStep(v, w)
}

func (c *compiler) castStep(v, w *value) error {
	return c.step(device.Cast{Size: v.desc.Elems(), From: v.desc.DType, To: w.desc.DType}, []*value{v}, []*value{w}, nil)
}
