package data_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"manvision/data"
	"manvision/data/augment"
	"manvision/data/classes"
	"manvision/data/coco"
	"manvision/data/shapes"
)

// A data set on disk becomes batches of normalised images with boxes.
func ExampleLoader() {
	dir, err := os.MkdirTemp("", "shapes")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if _, _, err := shapes.Write(context.Background(), dir, shapes.Options{Train: 10, Seed: 1}); err != nil {
		panic(err)
	}
	ds, err := coco.Read(shapes.InstancesFile(dir, shapes.TrainPart), coco.Options{})
	if err != nil {
		panic(err)
	}
	src, err := data.NewCocoDetection(ds, shapes.ImageDir(dir, shapes.TrainPart), data.DetectionOptions{})
	if err != nil {
		panic(err)
	}
	l, err := data.NewLoader(src, data.LoaderConfig{
		Batch: 4, Shuffle: true, Seed: 1, Epochs: 1, Workers: 2,
		Augment: augment.Config{Resize: augment.Resize{ShortSides: []int{96}}, FlipProb: 0.5},
	})
	if err != nil {
		panic(err)
	}
	defer l.Close()
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			panic(err)
		}
		fmt.Println(b.Epoch, b.Step, b.N, b.H, b.W, b.C, len(b.Samples))
		l.Recycle(b)
	}
	// Output:
	// 0 0 4 96 96 3 4
	// 0 1 4 96 96 3 4
	// 0 2 4 96 96 3 4
}

// Images with label maps become batches of equal crops, labels beside pixels.
func ExampleSegmentation() {
	dir, err := os.MkdirTemp("", "shapes")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if _, _, err := shapes.Write(context.Background(), dir, shapes.Options{Train: 6, Seed: 1, Labels: true}); err != nil {
		panic(err)
	}
	set, err := shapes.Segmentation(dir, shapes.TrainPart)
	if err != nil {
		panic(err)
	}
	l, err := data.NewLoader(data.NewSegmentation(set), data.LoaderConfig{
		Batch: 3, Shuffle: true, Seed: 1, Epochs: 1, Workers: 2, Labels: true,
		Augment: augment.Config{
			Scale: [2]float64{0.5, 2}, Crop: augment.Crop{W: 96, H: 64, MaxShare: 0.95},
			FlipProb: 0.5, Photometric: true,
		},
	})
	if err != nil {
		panic(err)
	}
	defer l.Close()
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			panic(err)
		}
		fmt.Println(b.Step, b.N, b.H, b.W, len(b.Images), len(b.Labels))
		l.Recycle(b)
	}
	// Output:
	// 0 3 64 96 55296 18432
	// 1 3 64 96 55296 18432
}

// Class folders become batches for a classifier: random parts of 96x96 pixels as
// torchvision cuts them, mirrored half of the time, with a class each.
func ExampleClassification() {
	dir, err := os.MkdirTemp("", "shapes")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	if _, _, err := shapes.Write(context.Background(), dir, shapes.Options{Train: 6, Seed: 1}); err != nil {
		panic(err)
	}
	// Two classes, three pictures each.
	for i, class := range []string{"ant", "ant", "ant", "bee", "bee", "bee"} {
		name := fmt.Sprintf("%06d.jpg", i+1)
		if err := os.MkdirAll(filepath.Join(dir, "sorted", class), 0o777); err != nil {
			panic(err)
		}
		if err := os.Rename(filepath.Join(shapes.ImageDir(dir, shapes.TrainPart), name), filepath.Join(dir, "sorted", class, name)); err != nil {
			panic(err)
		}
	}
	src, err := data.NewClassification(classes.ScanFolders(filepath.Join(dir, "sorted"), classes.FolderOptions{}))
	if err != nil {
		panic(err)
	}
	l, err := data.NewLoader(src, data.LoaderConfig{
		Batch: 4, Epochs: 1, Workers: 2, Seed: 1, Last: data.LastPad,
		Augment: augment.Config{Part: augment.RandomPart{W: 96, H: 96}, Interpolation: augment.Antialias, FlipProb: 0.5},
	})
	if err != nil {
		panic(err)
	}
	defer l.Close()
	fmt.Println(src.ClassNames())
	for {
		b, err := l.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			panic(err)
		}
		fmt.Println(b.N, b.H, b.W, b.Classes, len(b.Samples))
		l.Recycle(b)
	}
	// Output:
	// [ant bee]
	// 4 96 96 [0 0 0 1] 4
	// 4 96 96 [1 1 -1 -1] 2
}
