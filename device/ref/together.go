package ref

import "manvision/device"

// together runs the members one after another.
func (d *Device) together(o device.Together) (program, error) {
	var all []program
	scratch := 0
	for _, op := range o.Ops {
		p, err := d.program(op)
		if err != nil {
			return program{}, err
		}
		scratch = max(scratch, p.scratch)
		all = append(all, p)
	}
	return program{scratch: scratch, run: func(c *call) error {
		in, out := c.in, c.out
		for i, op := range o.Ops {
			nin, nout := len(op.Inputs()), len(op.Outputs())
			member := call{in: in[:nin], out: out[:nout], scratch: c.scratch, threads: c.threads}
			if err := all[i].run(&member); err != nil {
				return err
			}
			in, out = in[nin:], out[nout:]
		}
		return nil
	}}, nil
}
