package train

import (
	"context"
	"errors"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"manvision/data"
	"manvision/data/augment"
	"manvision/data/coco"
	"manvision/detection"
	"manvision/report"
)

// trained trains the tiny recipe and returns its checkpoint and recipe's root.
func trained(t *testing.T, sets ...string) (root, checkpoint string) {
	t.Helper()
	root = t.TempDir()
	res, err := Run(context.Background(), recipe(t, root, filepath.Join(root, "run"), sets...), Options{Open: openCPU})
	if err != nil {
		t.Fatal(err)
	}
	return root, res.Checkpoint
}

// Files named by themselves give exactly the detections of the evaluation, which
// are those that the training run scored.
func TestFilesAreDetectedAsEvaluated(t *testing.T) {
	sets := []string{"eval.score_threshold=0.005"}
	root, checkpoint := trained(t, sets...)
	cfg := recipe(t, root, "run", sets...)
	dev := onCPU(t, 2)
	src, err := OpenVal(context.Background(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	m, err := LoadModel(cfg, dev, src.Classes(), checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	_, want, err := m.Predictor.(*DetectionPredictor).Evaluate(context.Background(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(want) == 0 {
		t.Fatal("nothing detected: the comparison would be empty")
	}

	stored, classes, err := RecipeOf(checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	other, err := LoadModel(stored, dev, classes, checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var paths []string
	var imageIDs []int64
	for i := range src.Len() {
		paths, imageIDs = append(paths, src.Item(i).Path), append(imageIDs, src.Item(i).ImageID)
	}
	files, bad := OpenFiles(context.Background(), paths, imageIDs)
	if len(bad) > 0 {
		t.Fatal(bad)
	}
	var got []coco.Result
	if err := other.Predictor.(*DetectionPredictor).Detect(context.Background(), files, func(s *data.Sample, found []detection.Detection) error {
		got = append(got, Results(other.Model.(*Detector).IDs, s, found)...)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(want, got) {
		t.Errorf("evaluation found %d objects, the files %d:\n%s", len(want), len(got), cmp.Diff(want[:3], got[:3]))
	}
}

func TestBadFilesAreNamed(t *testing.T) {
	dir := t.TempDir()
	good, cut, text := filepath.Join(dir, "good.png"), filepath.Join(dir, "cut.png"), filepath.Join(dir, "text.jpg")
	img := image.NewNRGBA(image.Rect(0, 0, 40, 30))
	img.Set(7, 5, color.NRGBA{200, 100, 50, 255})
	if err := report.SavePNG(good, img); err != nil {
		t.Fatal(err)
	}
	b, _ := os.ReadFile(good)
	os.WriteFile(cut, b[:len(b)/2], 0o666)
	os.WriteFile(text, []byte("no image"), 0o666)
	files, bad := OpenFiles(context.Background(), []string{cut, good, text, filepath.Join(dir, "none.png")}, []int64{3, 5, 7, 9})
	if files.Len() != 1 || files.Item(0).ImageID != 5 || files.Item(0).Width != 40 || files.Item(0).Height != 30 {
		t.Errorf("files %+v", files)
	}
	if len(bad) != 3 {
		t.Fatalf("bad files: %v", bad)
	}
	for _, err := range bad {
		var e *augment.ImageError
		if !errors.As(err, &e) || e.File == "" {
			t.Errorf("%v is no ImageError", err)
		}
	}
	picture, err := Picture(good)
	if err != nil {
		t.Fatal(err)
	}
	if r, g, b, _ := picture.At(7, 5).RGBA(); r>>8 != 200 || g>>8 != 100 || b>>8 != 50 || picture.Bounds().Dx() != 40 {
		t.Errorf("picture of %v, pixel %d %d %d", picture.Bounds(), r>>8, g>>8, b>>8)
	}
}

// A bad image that the recipe skips counts as an image without detections; its
// stand-in does not count twice.
func TestSkippedImagesInEvaluation(t *testing.T) {
	root, checkpoint := trained(t)
	cfg := recipe(t, root, "run", "data.on_bad_image=skip", "eval.score_threshold=0.005")
	dev := onCPU(t, 2)
	src, err := OpenVal(context.Background(), cfg, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(src.Item(1).Path, 100); err != nil {
		t.Fatal(err)
	}
	m, err := LoadModel(cfg, dev, src.Classes(), checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	pred := m.Predictor.(*DetectionPredictor)
	s, results, err := pred.Evaluate(context.Background(), src, nil)
	if err != nil {
		t.Fatal(err)
	}
	per := map[int64]int{}
	for _, r := range results {
		per[r.ImageID]++
	}
	if per[src.Item(1).ImageID] != 0 || len(pred.Skipped) != 1 || len(s.Warnings) != 1 {
		t.Errorf("detections by image %v, skipped %v, warnings %v", per, pred.Skipped, s.Warnings)
	}
	for id, n := range per {
		if n > cfg.Eval.MaxDetections {
			t.Errorf("image %d counts twice: %d detections", id, n)
		}
	}
}
