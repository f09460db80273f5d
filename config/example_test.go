package config_test

import (
	"fmt"
	"log"

	"manvision/config"
)

// A wrong key is an error with its line and the nearest known one.
func ExampleParse() {
	_, err := config.Parse("mine.yaml", []byte("name: mine\nmodel:\n  backbon: resnet18\n"), nil)
	fmt.Println(err)
	// Output: mine.yaml:3: unknown key "model.backbon" (did you mean "model.backbone"?)
}

// Where a value comes from, and what it may be.
func ExampleConfig_Explain() {
	c, err := config.Parse("mine.yaml", []byte("optim:\n  lr: 0.02\n"), []string{"data.root=coco", "optim.lr=0.01"})
	if err != nil {
		log.Fatal(err)
	}
	e, err := c.Explain("optim.lr")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s = %s from %s, default %s, %s\n", e.Key, e.Value, e.From, e.Default, e.Range)
	for _, g := range e.Given {
		fmt.Println(" ", g.Value)
	}
	// Output:
	// optim.lr = 0.01 from flag --set optim.lr=0.01, default 0.01, above 0 and at most 1000
	//   0.01
	//   0.02
	//   0.01
}
