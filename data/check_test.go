package data

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"manvision/data/coco"
	"manvision/data/shapes"
)

func TestCheckDetection(t *testing.T) {
	dir := t.TempDir()
	counts, _, err := shapes.Write(context.Background(), dir, shapes.Options{Train: 20, Seed: 4})
	if err != nil {
		t.Fatal(err)
	}
	file, images := shapes.InstancesFile(dir, shapes.TrainPart), shapes.ImageDir(dir, shapes.TrainPart)
	for _, headers := range []bool{false, true} {
		r, err := CheckDetection(context.Background(), file, images, CheckOptions{HeadersOnly: headers})
		if err != nil {
			t.Fatal(err)
		}
		if r.Errors() != 0 || r.Images != 20 || r.Objects != counts.Objects || r.Small != counts.Small || r.Medium != counts.Medium || len(r.Classes) != len(shapes.Classes) || r.Classes[2].Objects != counts.PerClass[2] {
			t.Errorf("report %+v, made %+v", r, counts)
		}
	}
	for i := 2; i <= 9; i++ {
		path := filepath.Join(images, "00000"+string(rune('0'+i))+".jpg")
		if err := os.WriteFile(path, []byte("x"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	r, err := CheckDetection(context.Background(), file, images, CheckOptions{Examples: 3})
	if err != nil {
		t.Fatal(err)
	}
	if f := r.Findings[0]; r.Errors() != 8 || f.Severity != SeverityError || f.Kind != "broken image" || f.Count != 8 || len(f.Examples) != 3 {
		t.Errorf("findings %+v", r.Findings)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := CheckDetection(ctx, file, images, CheckOptions{}); !errors.Is(err, context.Canceled) {
		t.Errorf("cancelled: %v", err)
	}
	var input *coco.InputError
	if _, err := CheckDetection(context.Background(), filepath.Join(images, "000001.jpg"), images, CheckOptions{}); !errors.As(err, &input) {
		t.Errorf("no instances file: %v", err)
	}
}
