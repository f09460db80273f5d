package optim_test

import (
	"fmt"

	"manvision/optim"
)

// A learning rate depends on the step alone, so that a resumed run goes on with it.
func ExampleSchedule() {
	s := optim.Schedule{Curve: optim.Cosine, Base: 0.1, WarmupSteps: 10, WarmupFactor: 0.1, Steps: 110}
	for _, step := range []int64{0, 5, 10, 60, 110} {
		fmt.Printf("%3d %.4f\n", step, s.LR(step))
	}
	// Output:
	//   0 0.0100
	//   5 0.0550
	//  10 0.1000
	//  60 0.0500
	// 110 0.0000
}

// Settings of parameters by name: norms do not decay, the backbone learns slowly.
func ExampleRules() {
	tenth := 0.1
	r := optim.Rules{WeightDecay: 1e-4, NoNormDecay: true, Groups: []optim.Group{{Match: "backbone.*", LRScale: &tenth}}}
	fmt.Println(r.Resolve("backbone.conv1.weight", []int{64, 3, 7, 7}))
	fmt.Println(r.Resolve("head.norm.weight", []int{64}))
	// Output:
	// {0.1 0.0001 false}
	// {1 0 false}
}
