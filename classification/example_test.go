package classification_test

import (
	"fmt"
	"log"

	"manvision/backbone"
	"manvision/classification"
	"manvision/device/ref"
	"manvision/manpp"
	"manvision/nn"
)

// A classifier of small images, compiled for two at a time.
func ExampleNet_NewInference() {
	dev := ref.NewThreads(1)
	defer dev.Close()
	body := backbone.CIFARResNet(20, 16, false)
	store := nn.NewStore(dev, 1)
	defer store.Free()
	m := &manpp.Model{Store: store, Backbone: body, Strategy: manpp.E2E}
	net := &classification.Net{Classes: 10}
	inf, err := net.NewInference(m, 2, 32, 32, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer inf.Close()
	if err := store.Realize(); err != nil { // weights are drawn; a checkpoint would be set here
		log.Fatal(err)
	}
	if err := inf.Input.Upload(make([]float64, 2*32*32*3)); err != nil {
		log.Fatal(err)
	}
	logits := make([]float64, 2*inf.Classes)
	if err := inf.Run(logits); err != nil {
		log.Fatal(err)
	}
	parameters := 0
	for _, v := range store.Vars() {
		if v.Trainable {
			parameters += v.Elems()
		}
	}
	fmt.Println(len(logits), "logits by", parameters, "parameters; equal images, equal logits:", logits[3] == logits[13])
	// Output: 20 logits by 272474 parameters; equal images, equal logits: true
}
