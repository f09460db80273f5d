package manpp_test

import (
	"fmt"
	"log"

	"manvision/backbone"
	"manvision/classification"
	"manvision/device/ref"
	"manvision/manpp"
	"manvision/nn"
	"manvision/optim"
)

// Where a backbone is cut, and which units each block gets.
func ExampleStages() {
	b, err := backbone.New("resnet18", 64)
	if err != nil {
		log.Fatal(err)
	}
	p := manpp.Stages(b)
	fmt.Println("cuts after", p.Names(b))
	for j, units := range p.Blocks(b) {
		fmt.Printf("block %d: %s to %s\n", j+1, name(b.Units[units[0]]), name(b.Units[units[1]]))
	}
	// Output:
	// cuts after [layer1.1 layer2.1 layer3.1]
	// block 1: stem to layer1.1
	// block 2: layer2.0 to layer2.1
	// block 3: layer3.0 to layer3.1
	// block 4: layer4.0 to layer4.1
}

func name(u backbone.Unit) string {
	if u.Name == "" {
		return "stem"
	}
	return u.Name
}

// Four images are learnt by heart, block by block: no gradient crosses a cut. The memory
// of a step is known before it runs.
func ExampleTrainer() {
	dev := ref.NewThreads(1)
	defer dev.Close()
	b, err := backbone.New("resnet18", 8)
	if err != nil {
		log.Fatal(err)
	}
	store := nn.NewStore(dev, 1)
	defer store.Free()
	strategy, err := manpp.ParseStrategy("manpp")
	if err != nil {
		log.Fatal(err)
	}
	m := &manpp.Model{Store: store, Backbone: b, Partition: manpp.Stages(b), Strategy: strategy, EMAMomentum: 0.995}
	net := &classification.Net{Classes: 2}
	hyper := optim.Hyper{Rule: optim.SGD, Momentum: 0.9}
	opt, err := manpp.NewOptimizer(store, hyper, optim.Rules{}, optim.Schedule{Base: 0.02})
	if err != nil {
		log.Fatal(err)
	}
	tr, err := manpp.NewTrainer(m, opt, func(n, h, w int) (manpp.Heads, error) { return net.NewHeads(m, n, h, w) })
	if err != nil {
		log.Fatal(err)
	}
	defer tr.Close()
	steps, err := tr.Steps(4, 32, 32)
	if err != nil {
		log.Fatal(err)
	}
	memory := tr.Memory(steps)
	fmt.Println("blocks:", m.Blocks(), "the largest is the working memory:", memory.Arena == max(memory.Blocks[0], memory.Blocks[1], memory.Blocks[2], memory.Blocks[3]))

	if err := store.Realize(); err != nil {
		log.Fatal(err)
	}
	images := make([]float64, 4*32*32*3) // dark and bright ones in turn
	for i := range images {
		images[i] = float64(i%7)/7 + float64(i/(32*32*3)%2)
	}
	if err := steps.Input.Upload(images); err != nil {
		log.Fatal(err)
	}
	if err := classification.TargetsOf(steps.Heads).Set([]int32{0, 1, 0, 1}, nil); err != nil {
		log.Fatal(err)
	}
	var r manpp.StepReport
	first := 0.0
	for step := range int64(8) {
		if err := tr.Run(steps, step, nil, true, &r); err != nil {
			log.Fatal(err)
		}
		if step == 0 {
			first = r.Loss()
		}
	}
	fmt.Println("the loss fell:", r.Loss() < first/2)
	// Output:
	// blocks: 4 the largest is the working memory: true
	// the loss fell: true
}
