package data

import (
	"context"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/data/augment"
	"manvision/data/coco"
	"manvision/data/shapes"
	"manvision/internal/testdata"
)

// All 128 real images through the loader. By hand from the file: 939
// annotations, 10 of them crowds; one image without any.
func TestRealImages(t *testing.T) {
	ds, err := coco.Read(testdata.Shared(t, "coco/annotations/instances_train2017.json"), coco.Options{})
	if err != nil {
		t.Fatal(err)
	}
	src, err := NewCocoDetection(ds, testdata.Shared(t, "coco/train2017"), DetectionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if src.Len() != 128 {
		t.Fatalf("%d images", src.Len())
	}
	l := newLoader(t, src, LoaderConfig{
		Batch: 4, Shuffle: true, Seed: 3, Epochs: 1, Workers: 3, GroupOrientation: true, Last: LastShort,
		Canvases: []Canvas{{320, 512}, {512, 320}},
		Augment:  augment.Config{Resize: augment.Resize{ShortSides: []int{320}, LongMax: 512}, FlipProb: 0.5},
	})
	var sum, sq, n [3]float64
	seen := map[int64]bool{}
	boxes, dropped, empty := 0, 0, 0
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		for k, s := range b.Samples {
			seen[s.ImageID] = true
			boxes += len(s.Boxes)
			dropped += s.Dropped
			if len(s.Boxes)+s.Dropped == 0 {
				empty++
			}
			for j, box := range s.Boxes {
				if box[0] < 0 || box[1] < 0 || box[2] > float32(s.InW) || box[3] > float32(s.InH) || box[2]-box[0] < 1 || box[3]-box[1] < 1 {
					t.Errorf("image %d: box %v on %dx%d", s.ImageID, box, s.InW, s.InH)
				}
				if s.Labels[j] < 0 || int(s.Labels[j]) >= ds.IDs.Len() {
					t.Errorf("image %d: label %d", s.ImageID, s.Labels[j])
				}
			}
			if min(s.InW, s.InH) != 320 && max(s.InW, s.InH) != 512 {
				t.Errorf("image %d: %dx%d", s.ImageID, s.InW, s.InH)
			}
			for y := 0; y < s.InH; y++ {
				row := b.Images[((k*b.H+y)*b.W)*3:][:s.InW*3]
				for i, v := range row {
					sum[i%3] += float64(v)
					sq[i%3] += float64(v) * float64(v)
					n[i%3]++
				}
			}
		}
		l.Recycle(b)
	}
	if len(seen) != 128 || boxes+dropped != 929 || empty < 1 {
		t.Errorf("%d images, %d boxes and %d dropped, %d empty; want 128, 929 together, at least 1", len(seen), boxes, dropped, empty)
	}
	// ImageNet's statistics fit natural images: near mean 0 and deviation 1.
	for c := range sum {
		mean := sum[c] / n[c]
		std := math.Sqrt(sq[c]/n[c] - mean*mean)
		if math.Abs(mean) > 0.3 || math.Abs(std-1.2) > 0.2 {
			t.Errorf("channel %d: mean %v, deviation %v", c, mean, std)
		}
	}
}

func TestShapesThroughLoader(t *testing.T) {
	dir := t.TempDir()
	counts, _, err := shapes.Write(context.Background(), dir, shapes.Options{Train: 30, Seed: 2, Width: 96, Height: 64})
	if err != nil {
		t.Fatal(err)
	}
	ds, err := coco.Read(shapes.InstancesFile(dir, shapes.TrainPart), coco.Options{})
	if err != nil {
		t.Fatal(err)
	}
	src, err := NewCocoDetection(ds, shapes.ImageDir(dir, shapes.TrainPart), DetectionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l := newLoader(t, src, LoaderConfig{Batch: 5, Epochs: 1, Workers: 2})
	boxes := 0
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		if b.H != 64 || b.W != 96 {
			t.Fatalf("canvas %dx%d", b.H, b.W)
		}
		for _, s := range b.Samples {
			boxes += len(s.Boxes)
		}
	}
	if boxes != counts.Objects || ds.IDs.Len() != len(shapes.Classes) || ds.IDs.Name(3) != "star" {
		t.Errorf("%d boxes of %d, %d classes", boxes, counts.Objects, ds.IDs.Len())
	}
}

func TestDetectionOptions(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "instances.json")
	const text = `{"images":[{"id":5,"file_name":"a.jpg","width":40,"height":30},{"id":6,"file_name":"b.jpg","width":40,"height":30},{"id":7,"file_name":"c.jpg","width":40,"height":30}],
"categories":[{"id":90,"name":"x"},{"id":3,"name":"y"}],
"annotations":[{"id":1,"image_id":7,"category_id":90,"bbox":[1,2,3,4],"area":12,"iscrowd":0,"segmentation":[[1,2,4,2,4,6]]},
{"id":2,"image_id":6,"category_id":3,"bbox":[1,2,3,4],"area":12,"iscrowd":1,"segmentation":{"counts":[0,1200],"size":[30,40]}}]}`
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	ds, err := coco.Read(file, coco.Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		o           DetectionOptions
		len, lastID int64
	}{{DetectionOptions{}, 3, 7}, {DetectionOptions{SkipEmpty: true}, 1, 7}, {DetectionOptions{SkipEmpty: true, KeepCrowd: true}, 2, 7}} {
		src, err := NewCocoDetection(ds, dir, c.o)
		if err != nil {
			t.Fatal(err)
		}
		last := src.Item(src.Len() - 1)
		label, _ := ds.IDs.Label(90)
		if int64(src.Len()) != c.len || last.ImageID != c.lastID || last.Boxes[0] != [4]float32{1, 2, 4, 6} || last.Labels[0] != int32(label) {
			t.Errorf("%+v: %d images, last %+v", c.o, src.Len(), last)
		}
	}
	if _, err := NewCocoDetection(ds, filepath.Join(dir, "nowhere"), DetectionOptions{}); err == nil || !strings.Contains(err.Error(), "image folder") {
		t.Errorf("no folder: %v", err)
	}
	if _, err := NewCocoDetection(ds, file, DetectionOptions{}); err == nil || !strings.Contains(err.Error(), "is a file") {
		t.Errorf("file: %v", err)
	}
}
