package detection_test

import (
	"fmt"
	"log"

	"manvision/detection"
)

// Of boxes that overlap, the best stays, class by class.
func ExampleNMS() {
	boxes := [][4]float32{{0, 0, 10, 10}, {1, 0, 11, 10}, {1, 0, 11, 10}, {30, 30, 40, 40}}
	scores := []float32{0.9, 0.8, 0.7, 0.6}
	classes := []int32{0, 0, 1, 0}
	fmt.Println(detection.NMS(boxes, scores, classes, 0.5, 0))
	// Output: [0 2 3]
}

// The anchors of RetinaNet for a canvas, and which of them an object is assigned to.
func ExampleAssign() {
	grid, err := detection.DefaultAnchors().Grid(256, 256)
	if err != nil {
		log.Fatal(err)
	}
	a, err := detection.NewAssigner(detection.DefaultAssign())
	if err != nil {
		log.Fatal(err)
	}
	labels, deltas := make([]int32, grid.Len()), make([]float32, 4*grid.Len())
	positive, err := detection.Assign(a, grid, [][4]float64{{50, 60, 120, 130}}, []int32{7}, labels, deltas)
	if err != nil {
		log.Fatal(err)
	}
	count := map[int32]int{}
	for _, l := range labels {
		count[l]++
	}
	fmt.Println(grid.Len(), "anchors on", len(grid.Levels), "levels,", positive, "of the object,", count[detection.Background], "background")
	// Output: 12276 anchors on 5 levels, 40 of the object, 12162 background
}

// What a detector regresses against an anchor, and back.
func ExampleBoxCoder() {
	var c detection.BoxCoder
	anchor := [4]float32{0, 0, 10, 20}
	d := c.Encode(anchor, [4]float64{5, 0, 15, 20})
	fmt.Printf("%.2f\n%.2f\n", d, c.Decode(anchor, d))
	// Output:
	// [0.50 0.00 0.00 0.00]
	// [5.00 0.00 15.00 20.00]
}
