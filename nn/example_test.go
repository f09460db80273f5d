package nn_test

import (
	"fmt"
	"log"

	"manvision/device"
	"manvision/device/ref"
	"manvision/nn"
)

// A graph of layers, its gradient, compiled and run: one linear layer and its loss.
func ExampleGraph() {
	dev := ref.NewThreads(1)
	defer dev.Close()
	store := nn.NewStore(dev, 1)
	defer store.Free()
	g := nn.NewGraph(store, nn.Train)
	x, input := g.Input("x", device.Desc{Shape: []int{2, 3}})
	labels, targets := g.Input("labels", device.Desc{DType: device.Int32, Shape: []int{2}})
	loss := g.CrossEntropy(g.FC(x, "fc", 2, nn.Constant(0)), labels, -1)
	if err := g.Err(); err != nil {
		log.Fatal(err)
	}
	grads, err := g.Gradients(loss)
	if err != nil {
		log.Fatal(err)
	}
	p, err := g.Compile("linear", nil, loss, grads[0].Node)
	if err != nil {
		log.Fatal(err)
	}
	defer p.Close()
	fmt.Println("planned:", p.Bytes() > 0, "and nothing is allocated yet")

	if err := store.Realize(); err != nil {
		log.Fatal(err)
	}
	if err := input.Upload([]float64{1, 0, 0, 0, 1, 0}); err != nil {
		log.Fatal(err)
	}
	if err := targets.Upload([]int32{0, 1}); err != nil {
		log.Fatal(err)
	}
	if err := p.Run(); err != nil {
		log.Fatal(err)
	}
	l, d := make([]float64, 1), make([]float64, 6)
	if err := p.Download(l, loss); err != nil {
		log.Fatal(err)
	}
	if err := p.Download(d, grads[0].Node); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("loss %.4f, gradient of %s %.2f\n", l[0], grads[0].Var.Name, d)
	// Output:
	// planned: true and nothing is allocated yet
	// loss 0.6931, gradient of fc.weight [-0.25 0.25 0.00 0.25 -0.25 0.00]
}
