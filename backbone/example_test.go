package backbone_test

import (
	"fmt"
	"log"

	"manvision/backbone"
)

// The units of a ResNet and where its stages end.
func ExampleNew() {
	b, err := backbone.New("resnet18", backbone.PublishedWidth("resnet18"))
	if err != nil {
		log.Fatal(err)
	}
	for _, i := range b.StageEnds() {
		u, name := b.Units[i], "stem"
		if u.Name != "" {
			name = u.Name
		}
		fmt.Printf("%-9s %3d channels, 224 pixels become %d\n", name, u.Out, side(b, i, 224))
	}
	// Output:
	// stem       64 channels, 224 pixels become 56
	// layer1.1   64 channels, 224 pixels become 56
	// layer2.1  128 channels, 224 pixels become 28
	// layer3.1  256 channels, 224 pixels become 14
	// layer4.1  512 channels, 224 pixels become 7
}

// For segmentation the last stages are dilated instead of strided.
func ExampleDilated() {
	b, err := backbone.New("resnet50", 64)
	if err != nil {
		log.Fatal(err)
	}
	for _, stride := range []int{16, 8} {
		d, err := backbone.Dilated(b, stride)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("output stride %d: 512 pixels become %d\n", stride, side(d, len(d.Units)-1, 512))
	}
	// Output:
	// output stride 16: 512 pixels become 32
	// output stride 8: 512 pixels become 64
}

// side is the side of the map behind a unit.
func side(b *backbone.Backbone, unit, pixels int) int {
	for _, u := range b.Units[:unit+1] {
		pixels /= u.Stride
	}
	return pixels
}
