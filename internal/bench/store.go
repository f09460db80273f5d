package bench

import (
	"manvision/device"
	"manvision/nn"
)

// Activations is the type of activations in all that is timed: device.Float or
// device.BF16.
var Activations = device.Float

// newStore returns an empty store of variables for networks of that type.
func newStore(dev device.Device) *nn.Store {
	s := nn.NewStore(dev, 1)
	s.Activations = Activations
	return s
}
