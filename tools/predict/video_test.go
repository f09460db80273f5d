package main

import (
	"encoding/csv"
	"encoding/json"
	"fmt"
	"image"
	"image/color"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"manvision/data/coco"
	"manvision/data/video"
	"manvision/report"
)

// writeVideo draws a video of n frames, ten a second, of 64x64 pixels, and what a reader
// makes of its frames into a folder of PNG files.
func writeVideo(path string, n int, frames string) error {
	w, err := video.Create(path, 10, 64, 64)
	if err != nil {
		return err
	}
	for i := range n {
		img := image.NewNRGBA(image.Rect(0, 0, 64, 64))
		for k := range 64 * 64 {
			x, y := k%64, k/64
			c := color.NRGBA{uint8(3 * x), uint8(3 * y), 90, 255}
			if x > i && x < i+24 && y > 20 && y < 44 {
				c = color.NRGBA{240, 30, 30, 255}
			}
			img.Set(x, y, c)
		}
		if err := w.Write(img); err != nil {
			return err
		}
	}
	if err := w.Close(); err != nil {
		return err
	}
	r, err := video.Open(path)
	if err != nil {
		return err
	}
	defer r.Close()
	for range n {
		frame, _, rgb, err := r.Next(nil)
		if err != nil {
			return err
		}
		img, err := (&subject{frame: frame, width: 64, height: 64, pixels: rgb}).image()
		if err != nil {
			return err
		}
		if err := report.SavePNG(filepath.Join(frames, strconv.Itoa(1000+frame)+".png"), img); err != nil {
			return err
		}
	}
	return nil
}

// commands are those of the scripts that only this package needs.
var commands = map[string]func(ts *testscript.TestScript, neg bool, args []string){
	// video FILE N FRAMES draws a video and its frames.
	"video": func(ts *testscript.TestScript, _ bool, args []string) {
		n, err := strconv.Atoi(args[1])
		ts.Check(err)
		ts.Check(writeVideo(ts.MkAbs(args[0]), n, ts.MkAbs(args[2])))
	},
	// spoil FILE changes a byte in the middle of a file.
	"spoil": func(ts *testscript.TestScript, _ bool, args []string) {
		b, err := os.ReadFile(ts.MkAbs(args[0]))
		ts.Check(err)
		b[len(b)/2] ^= 0xff
		ts.Check(os.WriteFile(ts.MkAbs(args[0]), b, 0o666))
	},
	// cut FILE takes the last fifth of a file off.
	"cut": func(ts *testscript.TestScript, _ bool, args []string) {
		st, err := os.Stat(ts.MkAbs(args[0]))
		ts.Check(err)
		ts.Check(os.Truncate(ts.MkAbs(args[0]), st.Size()*4/5))
	},
	// frames FILE N looks whether a video has N frames.
	"frames": func(ts *testscript.TestScript, _ bool, args []string) {
		r, err := video.Open(ts.MkAbs(args[0]))
		ts.Check(err)
		defer r.Close()
		if strconv.Itoa(r.Frames) != args[1] {
			ts.Fatalf("%s has %d frames, want %s", args[0], r.Frames, args[1])
		}
	},
	// lines FILE N looks whether a file has N lines.
	"lines": func(ts *testscript.TestScript, _ bool, args []string) {
		if n := strings.Count(ts.ReadFile(args[0]), "\n"); strconv.Itoa(n) != args[1] {
			ts.Fatalf("%s has %d lines, want %s", args[0], n, args[1])
		}
	},
	// same-detections JSON JSONL [CSV] compares what outputs hold.
	"same-detections": func(ts *testscript.TestScript, _ bool, args []string) {
		want, err := coco.ReadResults(ts.MkAbs(args[0]), coco.ResultOptions{})
		ts.Check(err)
		var got []coco.Result
		for _, line := range strings.Split(strings.TrimSpace(ts.ReadFile(args[1])), "\n") {
			var d detected
			ts.Check(json.Unmarshal([]byte(line), &d))
			for _, o := range d.Detections {
				got = append(got, coco.Result{ImageID: d.ImageID, CategoryID: o.CategoryID, Score: o.Score, BBox: o.BBox})
			}
		}
		equal := func(a, b coco.Result) bool {
			return a.ImageID == b.ImageID && a.CategoryID == b.CategoryID && a.Score == b.Score && a.BBox == b.BBox
		}
		if len(want) == 0 || !slices.EqualFunc(got, want, equal) {
			ts.Fatalf("%s has %d results, %s %d, or others", args[0], len(want), args[1], len(got))
		}
		if len(args) < 3 {
			return
		}
		rows, err := csv.NewReader(strings.NewReader(ts.ReadFile(args[2]))).ReadAll()
		ts.Check(err)
		if len(rows) != 1+len(want) {
			ts.Fatalf("%s has %d rows, want %d and a head", args[2], len(rows), len(want))
		}
		for i, r := range rows[1:] {
			if r[2] != strconv.Itoa(want[i].CategoryID) || r[3] != number(want[i].Score) || r[7] != number(want[i].BBox[3]) {
				ts.Fatalf("%s, row %d: %v, want %+v", args[2], i+1, r, want[i])
			}
		}
	},
}

// condition knows [video]: OpenCV can write a video, which it has to in CI.
func condition(dir string) func(cond string) (bool, error) {
	return func(cond string) (bool, error) {
		if cond != "video" {
			return false, fmt.Errorf("unknown condition %s", cond)
		}
		w, err := video.Create(filepath.Join(dir, "probe.avi"), 10, 64, 64)
		if err != nil {
			return os.Getenv("CI") == "true", nil
		}
		return true, w.Discard()
	}
}

func TestDrawingOfNothing(t *testing.T) {
	d := &drawing{kind: drawVideo, dir: t.TempDir()}
	if what, err := d.finish(nil); err != nil || what != "-" {
		t.Error(what, err)
	}
}
