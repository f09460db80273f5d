package cityeval

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"manvision/data/labelmap"
	"manvision/internal/testdata"
)

func labels(t *testing.T, path string, v ...uint8) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := labelmap.WritePNG(path, v, len(v), 1); err != nil {
		t.Fatal(err)
	}
}

func TestLinkedFolders(t *testing.T) {
	dir := t.TempDir()
	labels(t, dir+"/store/a_0_1_gtFine_labelIds.png", 7)
	labels(t, dir+"/out/a_0_1_leftImg8bit.png", 7) // as predictions named after their image are
	if err := os.Mkdir(dir+"/gt", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(dir+"/store", dir+"/gt/val"); err != nil {
		t.Skip(err)
	}
	pairs, splits, err := Find(dir+"/gt", dir+"/out")
	if err != nil || len(pairs) != 1 || pairs[0].Key != "a_0_1" || len(splits) != 0 {
		t.Fatal(pairs, splits, err)
	}
}

func TestManyMissing(t *testing.T) {
	dir := t.TempDir()
	for i := range 30 {
		labels(t, fmt.Sprintf("%s/gt/a_0_%02d_gtFine_labelIds.png", dir, i), 7)
	}
	labels(t, dir+"/pred/a_0_07.png", 7)
	_, _, err := Find(dir+"/gt", dir+"/pred")
	if err == nil {
		t.Fatal("no error")
	}
	lines := strings.Split(err.Error(), "\n")
	if len(lines) != 21 || lines[20] != "and 9 files more" || !strings.Contains(lines[0], "a_0_00_gtFine_labelIds.png: no prediction") {
		t.Errorf("%d lines:\n%s", len(lines), err)
	}
	var bad *labelmap.InputError
	if !errors.As(err, &bad) || bad.Kind != labelmap.MissingLabel {
		t.Error("no InputError")
	}
}

func TestStopped(t *testing.T) {
	dir := testdata.Shared(t, "miou-oracle")
	ctx, stop := context.WithCancel(context.Background())
	stop()
	if _, err := EvaluateFolders(ctx, dir, dir, Options{}); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestBadPixels(t *testing.T) {
	e := New()
	for _, c := range []struct {
		gt, pred []uint8
		inst     []uint16
		want     string
	}{
		{[]uint8{7, 7}, []uint8{7}, nil, "2 pixels of ground truth, 1 predicted"},
		{[]uint8{7, 7}, []uint8{7, 7}, []uint16{1}, "1 of instances"},
		{[]uint8{7, 34}, []uint8{7, 7}, nil, "the ground truth has the value 34"},
		{[]uint8{7, 7}, []uint8{7, 34}, nil, "the prediction has the value 34"},
		{[]uint8{7, 7}, []uint8{7, 7}, []uint16{7, 34001}, "the instance id 34001: 34 is no label with instances"},
		{[]uint8{7, 7}, []uint8{7, 7}, []uint16{26001, 8001}, "the instance id 8001"},
	} {
		if err := e.Process(c.gt, c.pred, c.inst); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
	}
	if s := e.Evaluate(); s.Pixels != 0 || s.MIoU != nil || s.Instances {
		t.Errorf("%+v", s)
	}
}
