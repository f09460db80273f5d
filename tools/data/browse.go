package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"

	"github.com/disintegration/imaging"
	"github.com/spf13/cobra"

	"manvision/data"
	"manvision/data/augment"
	"manvision/data/coco"
	"manvision/report"
)

type browseOptions struct {
	dir, split, annotations, images, out string
	count, columns, cell                 int
	step                                 int64
	seed                                 uint64
	short                                []int
	long                                 int
	flip, jitter, hue                    float64
	ordered, skipBad                     bool
	stdout, stderr                       io.Writer
}

func newBrowseCmd(runF func(context.Context, *browseOptions) error) *cobra.Command {
	o := &browseOptions{}
	cmd := &cobra.Command{
		Use:   "browse [DIR] --out SHEET.png",
		Short: "Draw a contact sheet of images and boxes as the network sees them",
		Long: `Send images through the loader, resized, mirrored, colour-jittered and normalised
as for training, turn them back into pictures with their boxes and names, and
write them as one PNG.`,
		Example: `  data browse datasets/coco --split val2017 --out sheet.png
  data browse runs/shapes --split train --out sheet.png --count 40 --flip 0.5 --jitter 0.4`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.dir = args[0]
			}
			o.stdout, o.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return runF(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "PNG file to write (required)")
	f.StringVar(&o.split, "split", "", "part, NAME of instances_NAME.json; default the first")
	f.StringVar(&o.annotations, "annotations", "", "instances file, instead of DIR")
	f.StringVar(&o.images, "images", "", "image folder, instead of DIR/NAME")
	f.IntVar(&o.count, "count", 24, "images, 1 to 1000")
	f.IntVar(&o.columns, "columns", 0, "columns; 0: about as many as rows")
	f.IntVar(&o.cell, "cell", 320, "longest side of a picture on the sheet in pixels")
	f.Int64Var(&o.step, "start", 0, "position of the first image in the training order")
	f.Uint64Var(&o.seed, "seed", 1, "seed of order and augmentation")
	f.IntSliceVar(&o.short, "short", []int{600}, "short side after resizing; of several, one is drawn for each image; 0 keeps the size")
	f.IntVar(&o.long, "long", 1000, "longest side allowed after resizing; 0: any")
	f.Float64Var(&o.flip, "flip", 0, "probability of mirroring, 0 to 1")
	f.Float64Var(&o.jitter, "jitter", 0, "strength of brightness, contrast and saturation jitter, 0 and up")
	f.Float64Var(&o.hue, "hue", 0, "strength of hue jitter, 0 to 0.5")
	f.BoolVar(&o.ordered, "ordered", false, "file order instead of the training order")
	f.BoolVar(&o.skipBad, "skip-bad", false, "leave out images that cannot be read, and say so")
	return cmd
}

func runBrowse(ctx context.Context, o *browseOptions) error {
	switch {
	case o.out == "":
		return usagef("--out is missing: the PNG file to write")
	case o.count < 1 || o.count > 1000:
		return usagef("--count %d must be 1 to 1000", o.count)
	case o.columns < 0 || o.cell < 16 || o.cell > 4096:
		return usagef("--columns %d must not be negative and --cell %d must be 16 to 4096", o.columns, o.cell)
	}
	parts, err := findParts(o.dir, o.split, o.annotations, o.images)
	if err != nil {
		return err
	}
	ds, err := coco.Read(parts[0].annotations, coco.Options{SkipBadBoxes: true, SkipUnknown: true})
	if err != nil {
		return usageError{err}
	}
	if ds.Report.Skipped() > 0 {
		fmt.Fprintln(o.stderr, ds.Report.String())
	}
	src, err := data.NewCocoDetection(ds, parts[0].images, data.DetectionOptions{})
	if err != nil {
		return usageError{err}
	}
	recipe := augment.Config{
		Resize:   augment.Resize{ShortSides: o.short, LongMax: o.long},
		FlipProb: o.flip,
		Jitter:   augment.Jitter{Brightness: o.jitter, Contrast: o.jitter, Saturation: o.jitter, Hue: o.hue},
	}
	if len(o.short) == 1 && o.short[0] == 0 {
		recipe.Resize.ShortSides = nil
	}
	cfg := data.LoaderConfig{Batch: 1, Shuffle: !o.ordered, Seed: o.seed, Workers: 2, Augment: recipe}
	if o.skipBad {
		cfg.OnBad = data.SkipBad
	}
	l, err := data.NewLoader(src, cfg)
	if err != nil {
		return usageError{err}
	}
	defer l.Close()
	if err := l.SeekStep(o.step); err != nil {
		return usageError{err}
	}
	step, done := newBar(o.stderr, o.count, "drawing")
	var tiles []report.Tile
	for range min(o.count, src.Len()) {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		b, err := l.Next()
		if err != nil {
			return err
		}
		tile, err := drawTile(b, recipe, ds.IDs, o.cell)
		l.Recycle(b)
		if err != nil {
			return err
		}
		tiles = append(tiles, tile)
		step()
	}
	done()
	sheet, err := report.ContactSheet(tiles, o.columns, o.cell)
	if err != nil {
		return err
	}
	if err := report.SavePNG(o.out, sheet); err != nil {
		return err
	}
	for _, s := range l.Stats().Skipped {
		fmt.Fprintln(o.stderr, "skipped:", s.Err)
	}
	st := l.Stats()
	fmt.Fprintf(o.stdout, "%s: %d images, %d boxes", o.out, len(tiles), st.Boxes)
	if st.DroppedBoxes > 0 {
		fmt.Fprintf(o.stdout, ", %d boxes under a pixel dropped", st.DroppedBoxes)
	}
	fmt.Fprintln(o.stdout)
	return nil
}

// drawTile turns the only image of a batch back into a picture with its boxes,
// enlarged to the cell so that small images can be read.
func drawTile(b *data.Batch, recipe augment.Config, ids *coco.IDMap, cell int) (report.Tile, error) {
	s := b.Samples[0]
	var img image.Image
	img, err := recipe.Picture(b.Images, b.W, s.InW, s.InH)
	if err != nil {
		return report.Tile{}, err
	}
	scale := float64(cell) / float64(max(s.InW, s.InH))
	img = imaging.Resize(img, max(1, int(float64(s.InW)*scale)), max(1, int(float64(s.InH)*scale)), imaging.Linear)
	marks := make([]report.Mark, len(s.Boxes))
	for i, box := range s.Boxes {
		marks[i] = report.Mark{Class: int(s.Labels[i]), Name: ids.Name(int(s.Labels[i])), Score: -1}
		for k, v := range box {
			marks[i].Box[k] = float64(v) * scale
		}
	}
	title := fmt.Sprintf("%d  %dx%d", s.ImageID, s.InW, s.InH)
	if s.Flipped {
		title += "  mirrored"
	}
	return report.Tile{Image: report.DrawDetections(img, marks), Title: title}, nil
}
