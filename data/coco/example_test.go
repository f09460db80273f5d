package coco_test

import (
	"fmt"
	"log"
	"strings"

	"manvision/data/coco"
)

const instances = `{
 "images": [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 80}],
 "annotations": [
  {"id": 1, "image_id": 7, "category_id": 18, "bbox": [10, 10, 20, 20], "area": 400, "iscrowd": 0},
  {"id": 2, "image_id": 7, "category_id": 1, "bbox": [90, 0, 30, 30], "area": 900, "iscrowd": 0}],
 "categories": [{"id": 1, "name": "person"}, {"id": 18, "name": "dog"}]}`

// Category ids may have gaps; labels have none. A box that leaves its image is clipped.
func ExampleDecode() {
	d, err := coco.Decode(strings.NewReader(instances), "instances.json", coco.Options{})
	if err != nil {
		log.Fatal(err)
	}
	for _, a := range d.Annotations(0) {
		label, _ := d.IDs.Label(a.CategoryID)
		fmt.Println(a.CategoryID, "is label", label, d.IDs.Name(label), "at", a.Box)
	}
	// Output:
	// 18 is label 1 dog at [10 10 20 20]
	// 1 is label 0 person at [90 0 10 30]
}

// What is wrong is named by file, annotation and cause.
func ExampleDecode_error() {
	bad := strings.Replace(instances, "[10, 10, 20, 20]", "[10, 10, 0, 20]", 1)
	_, err := coco.Decode(strings.NewReader(bad), "instances.json", coco.Options{})
	fmt.Println(strings.Contains(err.Error(), "annotation 1"), strings.Contains(err.Error(), "zero width"))
	// Output: true true
}
