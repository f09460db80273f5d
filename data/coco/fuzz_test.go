package coco

import (
	"bytes"
	"errors"
	"math"
	"testing"
)

// Whatever the bytes, the readers return a data set that holds what they
// promise, or an InputError; and one that is whole reads the same in pieces.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		annotated(goodAnnotation), withBox("[12, 40, 0, 31]"), withBox("[-5, NaN, 1e400, -Infinity]"),
		annotated(`{"id": 0, "image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 10], "segmentation": {"size": [2, 3], "counts": "012"}}`),
		annotated(`{"id": 2, "image_id": 7, "category_id": 1, "bbox": [0, 0, 10, 10], "segmentation": [[1, 2, 3, 4, 5, 6]], "x": {"y": ["\ud83d\ude00\\", null, true]}}`),
		"\xef\xbb\xbf{}", "[", `{"images": [`, `{"a": "\u12`, "",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, o := range []Options{{}, {AsIs: true, KeepSegmentation: true}, {SkipBadBoxes: true, SkipUnknown: true, KeepSegmentation: true}} {
			d, err := Decode(bytes.NewReader(data), "x.json", o)
			_, err2 := Decode(&slowReader{data: data, step: 1}, "x.json", o)
			if (err == nil) != (err2 == nil) {
				t.Fatalf("whole: %v, in pieces: %v", err, err2)
			}
			if err != nil {
				var in *InputError
				if !errors.As(err, &in) {
					t.Fatalf("%T", err)
				}
				continue
			}
			n := 0
			for i, im := range d.Images {
				for _, a := range d.Annotations(i) {
					n++
					if a.ImageID != im.ID {
						t.Fatalf("annotation %d is at the wrong image", a.ID)
					}
					for _, v := range a.Box {
						if math.IsNaN(v) || math.IsInf(v, 0) {
							t.Fatalf("box %v", a.Box)
						}
					}
					if b := a.Box; !o.AsIs && (b[2] <= 0 || b[3] <= 0 || b[0] < 0 || b[1] < 0) {
						t.Fatalf("box %v on %dx%d", b, im.Width, im.Height)
					}
				}
			}
			if n+d.Report.Skipped() < d.Report.Annotations {
				t.Fatalf("%d annotations kept, %d of %d skipped", n, d.Report.Skipped(), d.Report.Annotations)
			}
		}
	})
}

func FuzzParseResults(f *testing.F) {
	f.Add([]byte(`[{"image_id": 1, "category_id": 2, "bbox": [1, 2, 3, 4], "score": 0.5}]`))
	f.Add([]byte(`[{"image_id": 1, "category_id": 2, "score": 1e-5, "segmentation": {"size": [2, 3], "counts": "012"}}, {`))
	f.Add([]byte("[]"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, err := ParseResults(data, "r.json", ResultOptions{KeepSegmentation: true}); err == nil {
			for i := range r {
				if r[i].NoBBox && r[i].Segmentation.None() {
					t.Fatal("a result without place")
				}
			}
		}
	})
}
