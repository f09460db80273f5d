package onnx_test

import (
	"bytes"
	"fmt"
	"log"

	"manvision/backbone"
	"manvision/classification"
	"manvision/device/ref"
	"manvision/manpp"
	"manvision/nn"
	"manvision/onnx"
)

// A classifier as an ONNX file for any number of images.
func ExampleClassifier() {
	dev := ref.NewThreads(1)
	defer dev.Close()
	store := nn.NewStore(dev, 1)
	defer store.Free()
	m := &manpp.Model{Store: store, Backbone: backbone.CIFARResNet(8, 16, false), Strategy: manpp.E2E}
	info := onnx.Info{Source: "an example", Classes: []string{"cat", "dog"}, Std: [3]float32{1, 1, 1}}
	f, err := onnx.Classifier(m, &classification.Net{Classes: 2}, info, onnx.Options{H: 32, W: 32, Fold: true})
	if err != nil {
		log.Fatal(err)
	}
	if err := store.Realize(); err != nil { // the weights, of which a checkpoint has better ones
		log.Fatal(err)
	}
	var file bytes.Buffer
	n, err := f.WriteTo(&file)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(f.Inputs[0].Name, f.Inputs[0].Dims, "to", f.Outputs[0].Name, f.Outputs[0].Dims)
	fmt.Println(f.Nodes()["Conv"], "convolutions,", f.Parameters, "parameters, all of the file written:", n == int64(file.Len()) && n == f.Size())
	// Output:
	// images [N 3 32 32] to logits [N 2]
	// 9 convolutions, 77186 parameters, all of the file written: true
}
