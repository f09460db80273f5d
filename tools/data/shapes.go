package main

import (
	"context"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"manvision/data/shapes"
	"manvision/internal/cli"
	"manvision/report"
)

type shapesOptions struct {
	out, size  string
	train, val int
	seed       uint64
	png, force bool
	labels     bool
	add        bool
	stdout     io.Writer
	stderr     io.Writer
}

func newShapesCmd(runF func(context.Context, *shapesOptions) error) *cobra.Command {
	o := &shapesOptions{}
	cmd := &cobra.Command{
		Use:   "shapes --out DIR",
		Short: "Draw the shapes data set: COCO boxes and label maps",
		Long: `Draw a procedural data set for detection and segmentation: six classes of shapes,
small to large, overlapping, on noisy backgrounds. DIR gets train/, val/ and
annotations/ in COCO's layout, and labels/train and labels/val with a PNG of class
indices for each image, 0 the background. Equal flags give equal files.`,
		Example: `  data shapes --out runs/shapes
  data shapes --out runs/shapes --images 2000 --val 200 --size 160x160 --seed 7
  data shapes --out runs/shapes --add-labels`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.stdout, o.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return runF(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "folder to write to (required)")
	f.IntVar(&o.train, "images", 1000, "training images")
	f.IntVar(&o.val, "val", 200, "validation images")
	f.StringVar(&o.size, "size", "128x128", "image size, height x width in pixels, 32 to 4096")
	f.Uint64Var(&o.seed, "seed", 1, "seed of everything random")
	f.BoolVar(&o.png, "png", false, "store images as PNG instead of JPEG")
	f.BoolVar(&o.labels, "labels", true, "write label maps, too")
	f.BoolVar(&o.add, "add-labels", false, "only give a data set that is there already the label maps that it lacks")
	f.BoolVar(&o.force, "force", false, "replace a data set that is already there")
	return cmd
}

func runShapes(ctx context.Context, o *shapesOptions) error {
	if o.out == "" {
		return usagef("--out is missing: the folder to write to")
	}
	if o.add {
		return addLabels(ctx, o)
	}
	h, w, err := parseSize(o.size)
	if err != nil {
		return err
	}
	if o.train < 1 || o.val < 0 || min(h, w) < 32 || max(h, w) > 4096 {
		return usagef("need at least 1 image, --val 0 or more and a size from 32 to 4096; got %d, %d, %dx%d", o.train, o.val, h, w)
	}
	step, done := cli.NewBar(o.stderr, o.train+o.val, "drawing")
	start := time.Now()
	train, val, err := shapes.Write(ctx, o.out, shapes.Options{
		Train: o.train, Val: o.val, Height: h, Width: w, Seed: o.seed, PNG: o.png, Labels: o.labels, Overwrite: o.force, Progress: step,
	})
	done()
	if err != nil {
		return err
	}
	header := []string{"part", "images", "objects", "small", "medium", "large"}
	t := report.NewTable(append(header, shapes.Classes...)...)
	for _, p := range []struct {
		name string
		c    shapes.Counts
	}{{shapes.TrainPart, train}, {shapes.ValPart, val}} {
		if p.c.Images == 0 {
			continue
		}
		row := []any{p.name, p.c.Images, p.c.Objects, p.c.Small, p.c.Medium, p.c.Large}
		for _, n := range p.c.PerClass {
			row = append(row, n)
		}
		t.Row(row...)
	}
	fmt.Fprintf(o.stderr, "wrote %s in %.1f s\n", o.out, time.Since(start).Seconds())
	return t.Write(o.stdout, report.IsTerminal(o.stdout))
}

func addLabels(ctx context.Context, o *shapesOptions) error {
	step, done := cli.NewBar(o.stderr, -1, "drawing")
	n := 0
	var mu sync.Mutex
	err := shapes.AddLabels(ctx, o.out, func() {
		mu.Lock()
		n++
		mu.Unlock()
		step()
	})
	done()
	if err != nil {
		return err
	}
	fmt.Fprintf(o.stdout, "%s: %d label maps added\n", o.out, n)
	return nil
}

// parseSize reads "HxW".
func parseSize(s string) (h, w int, err error) {
	var rest string
	if n, _ := fmt.Sscanf(s, "%dx%d%s", &h, &w, &rest); n != 2 {
		return 0, 0, usagef("size %q is not HxW, such as 128x128", s)
	}
	return h, w, nil
}
