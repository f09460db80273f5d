package cityeval_test

import (
	"fmt"
	"log"

	"manvision/segmentation/cityeval"
)

// Four pixels of road (label id 7) and two of sky (23), of which one is taken for road.
func ExampleEvaluator() {
	e := cityeval.New()
	if err := e.Process([]uint8{7, 7, 7, 7, 23, 23}, []uint8{7, 7, 7, 7, 23, 7}, nil); err != nil {
		log.Fatal(err)
	}
	s := e.Evaluate()
	for _, c := range s.Classes {
		if c.IoU != nil {
			fmt.Printf("%s %.2f\n", c.Name, *c.IoU)
		}
	}
	fmt.Printf("mIoU %.2f, pixels right %.2f\n", *s.MIoU, *s.PixelAccuracy)
	// Output:
	// road 0.80
	// sky 0.50
	// mIoU 0.65, pixels right 0.83
}
