package segmentation_test

import (
	"fmt"
	"log"

	"manvision/backbone"
	"manvision/device/ref"
	"manvision/manpp"
	"manvision/nn"
	"manvision/segmentation"
)

// Through which windows a picture will be looked at, before anything is allocated.
func ExampleViewer_Plan() {
	dev := ref.NewThreads(1)
	defer dev.Close()
	body, err := backbone.New("resnet18", 8)
	if err == nil {
		body, err = backbone.Dilated(body, 16)
	}
	if err != nil {
		log.Fatal(err)
	}
	store := nn.NewStore(dev, 1)
	defer store.Free()
	m := &manpp.Model{Store: store, Backbone: body, Strategy: manpp.E2E, Prefix: segmentation.BodyPrefix}
	net := &segmentation.Net{Classes: 19, Head: segmentation.DeepLabV3, OutputStride: 16, Channels: 16}
	v, err := segmentation.NewViewer(net, m, segmentation.ViewOptions{Mode: segmentation.Sliding, Window: [2]int{128, 128}, Stride: [2]int{96, 96}}, nil, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer v.Close()
	p, err := v.Plan(320, 200)
	if err != nil {
		log.Fatal(err)
	}
	g := p.Grids[0]
	fmt.Println(g.Windows(), "windows from columns", g.X, "and rows", g.Y)
	// Output: 6 windows from columns [0 96 192] and rows [0 72]
}
