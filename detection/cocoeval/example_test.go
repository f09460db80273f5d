package cocoeval_test

import (
	"fmt"
	"log"
	"strings"

	"manvision/data/coco"
	"manvision/detection/cocoeval"
)

// One of two objects is found, and something that is not there: the precision is 1 up to
// a recall of a half, 51 of COCO's 101 recalls.
func ExampleEvaluate() {
	const truth = `{
 "images": [{"id": 1, "file_name": "1.jpg", "width": 200, "height": 200}],
 "annotations": [
  {"id": 1, "image_id": 1, "category_id": 3, "bbox": [10, 10, 50, 50], "area": 2500, "iscrowd": 0},
  {"id": 2, "image_id": 1, "category_id": 3, "bbox": [100, 100, 60, 60], "area": 3600, "iscrowd": 0}],
 "categories": [{"id": 3, "name": "dog"}]}`
	gt, err := coco.Decode(strings.NewReader(truth), "truth.json", coco.Options{AsIs: true})
	if err != nil {
		log.Fatal(err)
	}
	s, err := cocoeval.Evaluate(gt, []coco.Result{
		{ImageID: 1, CategoryID: 3, BBox: [4]float64{10, 10, 50, 50}, Score: 0.9},
		{ImageID: 1, CategoryID: 3, BBox: [4]float64{150, 0, 20, 20}, Score: 0.4},
	}, cocoeval.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("AP %.3f, AP50 %.3f, AR100 %.3f, large objects %g\n", s.AP, s.AP50, s.AR100, s.APl)
	// Output: AP 0.505, AP50 0.505, AR100 0.500, large objects -1
}
