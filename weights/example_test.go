package weights_test

import (
	"fmt"
	"log"
	"os"
	"path/filepath"

	"manvision/weights"
)

// What becomes of stored weights in a model with another classifier.
func ExampleMatch() {
	want := []weights.Tensor{{Name: "conv1.weight", Shape: []int{64, 3, 7, 7}}, {Name: "fc.weight", Shape: []int{10, 512}}, {Name: "fc.bias", Shape: []int{10}}}
	have := []weights.Tensor{{Name: "conv1.weight", Shape: []int{64, 3, 7, 7}}, {Name: "fc.weight", Shape: []int{1000, 512}}, {Name: "ema.step", Shape: []int{}}}
	r := weights.Match(want, have)
	fmt.Println("loaded", r.Loaded, "missing", r.Missing, "unused", r.Unused)
	for _, m := range r.Mismatched {
		fmt.Println(m.Name, "has", m.Have, "and should have", m.Want)
	}
	// Output:
	// loaded [conv1.weight] missing [fc.bias] unused [ema.step]
	// fc.weight has [1000 512] and should have [10 512]
}

// A run's folder keeps the last checkpoint and the best.
func ExampleFolder() {
	dir, err := os.MkdirTemp("", "run")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	f, err := weights.OpenFolder(dir, 0)
	if err != nil {
		log.Fatal(err)
	}
	for i, score := range []float64{0.4, 0.7, 0.6} {
		c := &weights.Checkpoint{Meta: weights.Meta{Step: int64(100 * (i + 1)), Score: &score}, Params: []weights.Tensor{{Name: "w", Shape: []int{1}, Data: []float32{1}}}}
		if _, err := f.Save(c); err != nil {
			log.Fatal(err)
		}
	}
	for _, name := range []string{weights.LastName, weights.BestName} {
		m, err := weights.LoadMeta(filepath.Join(dir, name))
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(name, "is of step", m.Step)
	}
	// Output:
	// last.safetensors is of step 300
	// best.safetensors is of step 200
}
