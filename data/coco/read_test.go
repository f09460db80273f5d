package coco

import (
	"io"
	"os"
	"strings"
	"testing"

	"manvision/internal/testdata"
)

// Counts taken from the file by a JSON reader: 128 images, 939 annotations, 10
// of them crowds, 80 categories with ids 1..90.
func TestReadTrain2017(t *testing.T) {
	path := testdata.Shared(t, "coco/annotations/instances_train2017.json")
	d, err := Read(path, Options{KeepSegmentation: true})
	if err != nil {
		t.Fatal(err)
	}
	if len(d.Images) != 128 || d.NumAnnotations() != 939 || d.IDs.Len() != 80 {
		t.Fatalf("read %d images, %d annotations, %d categories", len(d.Images), d.NumAnnotations(), d.IDs.Len())
	}
	crowds, none, outlines := 0, 0, 0
	for i, im := range d.Images {
		anns := d.Annotations(i)
		if len(anns) == 0 {
			none++
		}
		for _, a := range anns {
			if a.ImageID != im.ID {
				t.Fatalf("annotation %d of image %d listed at image %d", a.ID, a.ImageID, im.ID)
			}
			if a.Crowd {
				crowds++
				if a.Segmentation.RLE == nil {
					t.Errorf("crowd %d has no mask", a.ID)
				}
			}
			if _, err := a.Segmentation.Mask(im.Height, im.Width); err == nil {
				outlines++
			}
		}
	}
	if crowds != 10 || none == 0 || outlines != 939 {
		t.Errorf("%d crowds, %d images without annotation, %d outlines", crowds, none, outlines)
	}
	if l, ok := d.IDs.Label(90); !ok || l != 79 || d.IDs.Name(79) != "toothbrush" || d.IDs.CategoryID(0) != 1 {
		t.Error("id map is wrong")
	}
	t.Log(d.Report.String())
}

func TestReadThroughSmallReads(t *testing.T) {
	path := testdata.Shared(t, "coco/annotations/instances_train2017.json")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(&slowReader{data: data, step: 7}, path, Options{KeepSegmentation: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := Decode(&slowReader{data: data, step: 1}, path, Options{}); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, 1, 100, len(data) / 2, len(data) - 2} {
		_, err := Decode(strings.NewReader(string(data[:n])), path, Options{})
		if err == nil {
			t.Errorf("cut at %d: no error", n)
		} else {
			t.Log(err)
		}
	}
}

type slowReader struct {
	data []byte
	step int
}

func (r *slowReader) Read(p []byte) (int, error) {
	n := copy(p[:min(len(p), r.step)], r.data)
	r.data = r.data[n:]
	if n == 0 {
		return 0, io.EOF
	}
	if len(r.data) == 0 {
		return n, io.EOF
	}
	return n, nil
}
