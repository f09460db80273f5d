package ref

import "manvision/device"

var _ device.Reducer = (*Device)(nil)

// SupportsBF16 implements device.Reducer: this device computes in float64 all the
// same.
func (d *Device) SupportsBF16() error { return nil }

func cast() program {
	return program{run: func(c *call) error {
		copy(c.out[0].f, c.in[0].f)
		return nil
	}}
}
