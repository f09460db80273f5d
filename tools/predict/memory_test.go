package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"manvision/internal/cli"
	"manvision/internal/resident"
	"manvision/internal/tinymodel"
)

// TestSteadyMemory looks at images by the thousand with all outputs: the memory that the
// process holds must not grow in the second half. MANVISION_PREDICT_IMAGES is how many
// images (default 400; 10000 for the closing measurement).
func TestSteadyMemory(t *testing.T) {
	images := 400
	if text := os.Getenv("MANVISION_PREDICT_IMAGES"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 100 {
			t.Fatalf("MANVISION_PREDICT_IMAGES=%s: give a number of at least 100", text)
		}
		images = n
	}
	if now, _ := resident.Bytes(); now == 0 {
		t.Skip("the system does not tell what memory a process holds")
	}
	for name, train := range map[string]func(testing.TB, string){"detector": tinymodel.Train, "classifier": tinymodel.TrainClasses, "segmenter": tinymodel.TrainSegmentation} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			train(t, dir)
			held, err := filepath.Glob(filepath.Join(dir, "*", "val"))
			if err != nil || len(held) == 0 {
				t.Fatal(held, err)
			}
			photos, err := imagesIn(held[0], true)
			if err != nil || len(photos) == 0 {
				t.Fatal(photos, err)
			}
			many := filepath.Join(dir, "many")
			if err := os.Mkdir(many, 0o777); err != nil {
				t.Fatal(err)
			}
			for i := range images {
				from := photos[i%len(photos)]
				b, err := os.ReadFile(from)
				if err = errors.Join(err, os.WriteFile(filepath.Join(many, fmt.Sprintf("%05d%s", i, filepath.Ext(from))), b, 0o666)); err != nil {
					t.Fatal(err)
				}
			}
			// Means of tenths: single values move with the garbage collector.
			sum, count := make([]int64, 10), make([]int64, 10)
			s := &cli.Streams{Out: new(bytes.Buffer), Err: new(bytes.Buffer)}
			o := &options{seen: func(n int) {
				if n%20 == 0 {
					now, _ := resident.Bytes()
					k := (n - 1) * 10 / images
					sum[k] += now
					count[k]++
				}
			}}
			args := []string{"--checkpoint", filepath.Join(dir, "model.safetensors"), "--input", many, "--out", filepath.Join(dir, "out"), "--threads", "2",
				"--json", filepath.Join(dir, "a.json"), "--jsonl", filepath.Join(dir, "a.jsonl"), "--csv", filepath.Join(dir, "a.csv")}
			if rc := cli.Execute(newCmdFor(s, o, run), s, args); rc != cli.OK {
				t.Fatalf("exit %d: %s", rc, s.Err)
			}
			line := ""
			for k := range sum {
				sum[k] /= max(1, count[k])
				line += fmt.Sprintf(" %.1f", float64(sum[k])/(1<<20))
			}
			t.Logf("%d images, MiB held in tenths of them:%s", images, line)
			// What is kept of an image is its path and name, below 1 KiB; the rest is the
			// garbage collector's room.
			limit := int64(8<<20) + int64(images/2)<<10
			if grown := sum[9] - sum[5]; grown > limit {
				t.Errorf("the memory grew by %.1f MiB in the second half, allowed are %.1f", float64(grown)/(1<<20), float64(limit)/(1<<20))
			}
		})
	}
}
