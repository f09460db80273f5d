package coco

import (
	"errors"
	"fmt"
	"strings"
	"testing"
)

const (
	goodImages     = `"images": [{"id": 139, "file_name": "a.jpg", "width": 640, "height": 480}, {"id": 7, "file_name": "b.jpg", "width": 100, "height": 50}]`
	goodCategories = `"categories": [{"id": 3, "name": "cat", "supercategory": "animal"}, {"id": 1, "name": "dog"}]`
	goodAnnotation = `{"id": 1, "image_id": 139, "category_id": 3, "bbox": [1, 2, 3, 4], "area": 12, "iscrowd": 0}`
)

func file(images, categories, annotations string) string {
	return "{" + images + ",\n" + categories + ",\n\"annotations\": [" + annotations + "]}"
}

func annotated(annotations string) string { return file(goodImages, goodCategories, annotations) }

func withBox(box string) string {
	return annotated(goodAnnotation + `,
{"id": 4711, "image_id": 139, "category_id": 3, "bbox": ` + box + `, "area": 12}`)
}

func TestBadInstances(t *testing.T) {
	strict := Options{Outside: OutsideError}
	keep := Options{KeepSegmentation: true}
	seg := func(s string) string {
		return annotated(`{"segmentation": ` + s + `, "id": 1, "image_id": 139, "category_id": 3, "bbox": [1, 2, 3, 4]}`)
	}
	for _, c := range []struct {
		name, file string
		o          Options
		want       string
	}{
		{"empty file", "", Options{}, "x.json: the file is empty"},
		{"white space only", " \n", Options{}, "the file is empty"},
		{"results", "[]", Options{}, "holds a list, as a results file does"},
		{"no JSON", "hello", Options{}, "x.json:1: found 'h' where an object should follow"},
		{"cut off", annotated(goodAnnotation)[:300], Options{}, "it is cut off"},
		{"more behind", annotated(goodAnnotation) + "{}", Options{}, "found '{' behind the end"},
		{"no images key", `{"categories": [], "annotations": []}`, Options{}, `the key "images" is missing`},
		{"no annotations key", `{"categories": [], "images": []}`, Options{}, `the key "annotations" is missing`},
		{"images twice", `{"images": [], "images": []}`, Options{}, `the key "images" appears twice`},
		{"images no list", `{"images": 5}`, Options{}, `"images" is 5 where a list belongs`},
		{"no images", file(`"images": []`, goodCategories, ""), Options{}, "the data set is empty: it lists no images"},
		{"no categories", file(goodImages, `"categories": []`, ""), Options{}, "lists no categories"},
		{"no annotations", annotated(""), Options{}, "2 images but no annotations"},

		{"image without id", file(`"images": [{"file_name": "a"}]`, goodCategories, ""), Options{}, `image no. 1 of the list: the key "id" is missing`},
		{"image without width", file(`"images": [{"file_name": "a", "id": 5, "height": 4}]`, goodCategories, ""), Options{}, `image 5: the key "width" is missing`},
		{"image of size 0", file(`"images": [{"file_name": "a", "id": 5, "height": 4, "width": 0}]`, goodCategories, ""), Options{}, "image 5: size 0x4"},
		{"image id text", file(`"images": [{"file_name": "a", "id": "5", "height": 4, "width": 0}]`, goodCategories, ""), Options{}, `"id" is text "5" where a whole number belongs`},
		{"image id twice", file(`"images": [{"file_name": "a", "id": 5, "height": 4, "width": 1}, {"file_name": "b", "id": 5, "height": 4, "width": 1}]`, goodCategories, ""), Options{}, `image 5: the id appears twice: "a" and "b" (entries 1 and 2)`},
		{"category id twice", file(goodImages, `"categories": [{"id": 3, "name": "cat"}, {"id": 3, "name": "dog"}]`, ""), Options{}, `category 3: the id appears twice: "cat" and "dog"`},
		{"category name number", file(goodImages, `"categories": [{"id": 3, "name": 4}]`, ""), Options{}, `category 3: "name" is 4 where text belongs`},

		{"annotation id twice", annotated(goodAnnotation + "," + goodAnnotation), Options{}, "annotation 1 of image 139: the id appears again at image 139"},
		{"unknown image", annotated(strings.Replace(goodAnnotation, "139", "140", 1)), Options{}, "annotation 1 of image 140: the file lists no image 140"},
		{"unknown category", annotated(strings.Replace(goodAnnotation, `y_id": 3`, `y_id": 2`, 1)), Options{}, "annotation 1 of image 139: the file lists no category 2"},
		{"no box", annotated(`{"id": 1, "image_id": 139, "category_id": 3}`), Options{}, `annotation 1 of image 139: the key "bbox" is missing`},
		{"three numbers", withBox("[1, 2, 3]"), Options{}, `annotation 4711 of image 139: "bbox" has 3 numbers`},
		{"null box", withBox("[1, 2, null, 3]"), Options{}, `"bbox" is null where a number belongs`},
		{"text box", withBox(`"1 2 3 4"`), Options{}, `"bbox" is text "1 2 3 4" where a list of 4 numbers belongs`},
		{"zero width", withBox("[12, 40, 0, 31]"), Options{}, "x.json: annotation 4711 of image 139: box [12 40 0 31] has zero width; fix the file or pass --skip-bad-boxes (1 of 2 boxes)"},
		{"negative height", withBox("[12, 40, 5, -31]"), Options{}, "has negative height"},
		{"NaN", withBox("[NaN, 40, 5, 31]"), Options{}, "box [NaN 40 5 31] is not finite"},
		{"infinite", withBox("[-Infinity, 40, 5, 31]"), Options{}, "is not finite"},
		{"too large", withBox("[1e999, 40, 5, 31]"), Options{}, `"bbox" is a number too large`},
		{"outside", withBox("[700, 40, 5, 31]"), Options{}, "lies outside the 640x480 image"},
		{"leaves", withBox("[600, 40, 100, 31]"), strict, "leaves the 640x480 image"},
		{"corners", withBox("[300, 200, 600, 400]"), strict, "it would fit as corners x1, y1, x2, y2"},
		{"all corners", annotated(`{"id": 1, "image_id": 139, "category_id": 3, "bbox": [300, 200, 600, 400]}, {"id": 2, "image_id": 139, "category_id": 3, "bbox": [400, 100, 600, 400]}`), Options{}, "boxes look like x1, y1, x2, y2: 2 of 2"},
		{"negative area", annotated(strings.Replace(goodAnnotation, `a": 12`, `a": -1`, 1)), Options{}, `"area" is negative`},
		{"crowd 2", annotated(strings.Replace(goodAnnotation, `d": 0`, `d": 2`, 1)), Options{}, `"iscrowd" is 2 where 0 or 1 belongs`},
		{"fractional id", annotated(strings.Replace(goodAnnotation, `"id": 1`, `"id": 1.5`, 1)), Options{}, `"id" is 1.5 where a whole number belongs`},
		{"bad number", annotated(strings.Replace(goodAnnotation, `a": 12`, `a": 012`, 1)), Options{}, "malformed number"},
		{"bad word", annotated(strings.Replace(goodAnnotation, `a": 12`, `x": nil`, 1)), Options{}, `found "nil" where a value should follow`},

		{"short polygon", seg("[[1, 2, 3, 4]]"), keep, "segmentation: polygon has 4 numbers"},
		{"flat polygon", seg("[1, 2, 3, 4, 5, 6]"), keep, `"segmentation" is 1 where a list of polygons belongs`},
		{"mask without size", seg(`{"counts": [4]}`), keep, `the key "size" is missing`},
		{"mask without counts", seg(`{"size": [4, 4]}`), keep, `the key "counts" is missing`},
		{"mask too short", seg(`{"size": [4, 4], "counts": [3, 4]}`), keep, "run lengths cover 7 pixels, size [4 4] has 16"},
		{"mask negative run", seg(`{"size": [4, 4], "counts": [-3, 19]}`), keep, "run length -3 is out of range"},
		{"mask text", seg(`{"size": [4, 4], "counts": "\u0001"}`), keep, "compressed counts hold character"},

		{"as is: NaN", withBox("[NaN, 40, 5, 31]"), Options{AsIs: true}, "is not finite"},
		{"as is: negative", withBox("[1, 40, -5, 31]"), Options{AsIs: true}, "has a negative size"},
	} {
		_, err := Decode(strings.NewReader(c.file), "dir/x.json", c.o)
		var in *InputError
		if !errors.As(err, &in) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\n\twant %s", c.name, err, c.want)
		}
	}
}

func TestSkipsAndClips(t *testing.T) {
	anns := []string{goodAnnotation}
	for i, box := range []string{"[12, 40, 0, 31]", "[NaN, 40, 5, 31]", "[900, 40, 5, 31]", "[600, -5, 100, 31]", "[639.5, 0, 0.75, 10]"} {
		anns = append(anns, fmt.Sprintf(`{"id": %d, "image_id": 139, "category_id": 1, "bbox": %s}`, 10+i, box))
	}
	anns = append(anns, `{"id": 0, "image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 10]}`,
		`{"id": 30, "image_id": 8, "category_id": 1, "bbox": [0, 0, 10, 10]}`,
		`{"id": 31, "image_id": 7, "category_id": 9, "bbox": [0, 0, 10, 10]}`)
	d, err := Decode(strings.NewReader(annotated(strings.Join(anns, ","))), "x.json", Options{SkipBadBoxes: true, SkipUnknown: true})
	if err != nil {
		t.Fatal(err)
	}
	if d.Report.Skipped() != 5 || d.NumAnnotations() != 4 || len(d.Annotations(0)) != 3 || len(d.Annotations(1)) != 1 {
		t.Errorf("skipped %d, kept %d\n%s", d.Report.Skipped(), d.NumAnnotations(), d.Report.String())
	}
	if got := d.Annotations(0)[1].Box; got != [4]float64{600, 0, 40, 26} {
		t.Errorf("clipped to %v", got)
	}
	if got := d.Annotations(0)[2].Box; got != [4]float64{639.5, 0, 0.5, 10} {
		t.Errorf("clipped to %v", got)
	}
	for _, want := range []string{"2 images, 9 annotations (5 skipped)", "3 x bad box", "1 x box over the image's edge",
		"1 x box up to a pixel", "1 x annotation id 0", "1 x annotation of an unknown image", "1 x annotation of an unknown category",
		"annotation 10 of image 139: box [12 40 0 31] has zero width"} {
		if !strings.Contains(d.Report.String(), want) {
			t.Errorf("no %q in\n%s", want, d.Report.String())
		}
	}
	d, err = Decode(strings.NewReader(annotated("")), "x.json", Options{AsIs: true})
	if err != nil || d.NumAnnotations() != 0 {
		t.Errorf("as is without annotations: %v", err)
	}
	d, err = Decode(strings.NewReader(withBox("[600, -5, 100, 0]")), "x.json", Options{AsIs: true})
	if err != nil || d.Annotations(0)[1].Box != [4]float64{600, -5, 100, 0} {
		t.Errorf("as is: %v", err)
	}
}

func TestBadResults(t *testing.T) {
	const good = `{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}`
	for _, c := range []struct{ file, want string }{
		{"", "the file is empty; a results file without detections holds []"},
		{"{}", "holds an object, as an instances file does"},
		{"[" + good, "it is cut off"},
		{"[" + good + "] x", "behind the end of the data"},
		{"[5]", "found '5' where an object should follow"},
		{`[{"category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}]`, `result 0: the key "image_id" is missing`},
		{"[" + good + `, {"image_id": 1, "bbox": [1, 2, 3, 4], "score": 0.5}]`, `result 1 of image 1: the key "category_id" is missing`},
		{`[{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4]}]`, `the key "score" is missing`},
		{`[{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3], "score": 1}]`, `"bbox" has 3 numbers`},
		{`[{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, NaN], "score": 1}]`, `is not finite`},
		{`[{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, -4], "score": 1}]`, `negative size; boxes are x, y, width, height`},
		{`[{"image_id": 1, "category_id": 2, "bbox": [], "score": 1}]`, `neither "bbox" nor "segmentation"`},
	} {
		_, err := ParseResults([]byte(c.file), "r.json", ResultOptions{})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v\n\twant %s", c.file, err, c.want)
		}
	}
}
