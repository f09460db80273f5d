package main

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/disintegration/imaging"
	"github.com/spf13/cobra"

	"manvision/config"
	"manvision/data"
	"manvision/data/augment"
	"manvision/data/coco"
	"manvision/internal/cli"
	"manvision/report"
	"manvision/report/page"
	"manvision/train"
)

type browseOptions struct {
	location
	out, html, config    string
	count, columns, cell int
	step                 int64
	seed                 uint64
	short                []int
	shortGiven           bool // by its flag
	long                 int
	scale                []float64
	crop                 []int
	share                float64
	flip, jitter, hue    float64
	photometric          bool
	ordered, skipBad     bool
	stdout, stderr       io.Writer
}

func newBrowseCmd(runF func(context.Context, *browseOptions) error) *cobra.Command {
	o := &browseOptions{}
	cmd := &cobra.Command{
		Use:   "browse [DIR] --out SHEET.png --html PAGE.html",
		Short: "Draw a contact sheet or a page of images and targets as the network sees them",
		Long: `Send images through the loader, resized, scaled, cut, mirrored, colour-jittered and
normalised as for training, turn them back into pictures with their boxes and names
or beside their label maps or under their class, and write them as one PNG (--out), as
one HTML page that needs no other file (--html), or both. Images with
one class each are drawn as squares from their middle unless --crop is given; those of
CIFAR, STL-10 and SVHN at their own size unless --short is.

` + layouts,
		Example: `  data browse datasets/coco --split val2017 --out sheet.png
  data browse runs/shapes --split train --out sheet.png --count 40 --flip 0.5 --jitter 0.4
  data browse runs/shapes --split train --html page.html --flip 0.5 --photometric
  data browse datasets/cityscapes --split train --out sheet.png --count 6 --scale 0.5,2 --crop 512,512
  data browse my --split train --html page.html --config my.yaml`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.dir = args[0]
			}
			o.stdout, o.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			o.shortGiven = cmd.Flags().Changed("short")
			for _, name := range preparing {
				if o.config != "" && cmd.Flags().Changed(name) {
					return usagef("--%s and --config: the recipe says how images are prepared; copy it and change it there, or leave --config out", name)
				}
			}
			return runF(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "PNG `file` to write: a contact sheet")
	f.StringVar(&o.html, "html", "", "HTML `file` to write: a page of the images and how each was prepared")
	o.location.flags(cmd)
	f.StringVar(&o.config, "config", "", "recipe: prepare images as its training does, instead of by the flags of size and\naugmentation")
	f.IntVar(&o.count, "count", 24, "images, 1 to 1000")
	f.IntVar(&o.columns, "columns", 0, "columns; 0: about as many as rows")
	f.IntVar(&o.cell, "cell", 320, "longest side of a picture on the sheet in pixels")
	f.Int64Var(&o.step, "start", 0, "position of the first image in the training order")
	f.Uint64Var(&o.seed, "seed", 1, "seed of order and augmentation")
	f.IntSliceVar(&o.short, "short", []int{600}, "short side after resizing; of several, one is drawn for each image; 0 keeps the size")
	f.IntVar(&o.long, "long", 1000, "longest side allowed after resizing; 0: any")
	f.Float64SliceVar(&o.scale, "scale", nil, "random factor on that size, least,greatest, such as 0.5,2")
	f.IntSliceVar(&o.crop, "crop", nil, "random window of `width,height` pixels; default all of the image")
	f.Float64Var(&o.share, "max-share", 0, "label maps: draw windows until no class has this share or more of one, 0 to 1; 0: any")
	f.Float64Var(&o.flip, "flip", 0, "probability of mirroring, 0 to 1")
	f.Float64Var(&o.jitter, "jitter", 0, "strength of brightness, contrast and saturation jitter, 0 and up")
	f.Float64Var(&o.hue, "hue", 0, "strength of hue jitter, 0 to 0.5")
	f.BoolVar(&o.photometric, "photometric", false, "random brightness, contrast, saturation and hue as mmsegmentation's recipes, instead of --jitter and --hue")
	f.BoolVar(&o.ordered, "ordered", false, "file order instead of the training order")
	f.BoolVar(&o.skipBad, "skip-bad", false, "leave out images that cannot be read, and say so")
	return cmd
}

func runBrowse(ctx context.Context, o *browseOptions) error {
	switch {
	case o.out == "" && o.html == "":
		return usagef("--out or --html is missing: the PNG or the HTML file to write")
	case o.count < 1 || o.count > 1000:
		return usagef("--count %d must be 1 to 1000", o.count)
	case o.columns < 0 || o.cell < 16 || o.cell > 4096:
		return usagef("--columns %d must not be negative and --cell %d must be 16 to 4096", o.columns, o.cell)
	}
	parts, err := o.parts()
	if err != nil {
		return err
	}
	cfg, err := o.loader()
	if err != nil {
		return err
	}
	src, err := openTargets(parts[0], o)
	if err != nil {
		return err
	}
	if t, ok := src.(*classTargets); ok && o.config == "" {
		t.fit(o, &cfg.Augment)
	}
	recipe := cfg.Augment
	cfg.Batch, cfg.Shuffle, cfg.Seed, cfg.Workers, cfg.Labels = 1, !o.ordered, o.seed, 2, parts[0].maps != nil
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
	step, done := cli.NewBar(o.stderr, o.count, "drawing")
	var tiles []report.Tile
	var how []string
	for range min(o.count, src.Len()) {
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		b, err := l.Next()
		if err != nil {
			return err
		}
		tile, err := drawTile(b, recipe, src, o.cell)
		how = append(how, prepared(&b.Samples[0]))
		l.Recycle(b)
		if err != nil {
			return err
		}
		tiles = append(tiles, tile)
		step()
	}
	done()
	if err := o.write(tiles, how, src); err != nil {
		return err
	}
	st := l.Stats()
	for _, s := range st.Skipped {
		fmt.Fprintln(o.stderr, "skipped:", s.Err)
	}
	fmt.Fprintf(o.stdout, "%s: %d images", strings.Trim(o.out+" "+o.html, " "), len(tiles))
	if _, ok := src.(*boxTargets); ok {
		fmt.Fprintf(o.stdout, ", %d boxes", st.Boxes)
	}
	if st.DroppedBoxes > 0 {
		fmt.Fprintf(o.stdout, ", %d boxes under a pixel dropped", st.DroppedBoxes)
	}
	fmt.Fprintln(o.stdout)
	return nil
}

// write leaves the sheet, the page, or both; how tells of each tile how it was prepared.
func (o *browseOptions) write(tiles []report.Tile, how []string, src targets) error {
	if o.out != "" {
		cell := o.cell
		if _, ok := src.(*mapTargets); ok {
			cell *= 2 // a picture and its label map
		}
		sheet, err := report.ContactSheet(tiles, o.columns, cell)
		if err != nil {
			return err
		}
		if err := report.SavePNG(o.out, report.Legend(sheet, src.legend())); err != nil {
			return err
		}
	}
	if o.html == "" {
		return nil
	}
	g := page.Gallery{Title: fmt.Sprintf("%d images as the network sees them", len(tiles)), Legend: src.legend()}
	for i, t := range tiles {
		g.Pictures = append(g.Pictures, page.Picture{Title: t.Title, Note: how[i], Views: []page.View{{Image: t.Image}}})
	}
	b, err := page.Album(strings.TrimSpace("Samples of "+o.dir+" "+o.split), []page.Gallery{g})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(o.html), 0o755); err != nil {
		return err
	}
	return cli.ReplaceFile(o.html, b)
}

// prepared tells what became of an image on its way to the network.
func prepared(s *data.Sample) string {
	across, down := fmt.Sprintf("%.2f", s.ScaleX), fmt.Sprintf("%.2f", s.ScaleY)
	text := fmt.Sprintf("%dx%d, scaled by %s", s.Width, s.Height, across)
	if across != down {
		text += fmt.Sprintf(" across and %s down", down)
	}
	if s.CropX != 0 || s.CropY != 0 {
		text += fmt.Sprintf(", cut from %d,%d", s.CropX, s.CropY)
	}
	return text
}

// preparing names the flags that a recipe stands for.
var preparing = []string{"short", "long", "scale", "crop", "max-share", "flip", "jitter", "hue", "photometric"}

// loader prepares images as the recipe's training does, or as the flags say.
func (o *browseOptions) loader() (data.LoaderConfig, error) {
	if o.config == "" {
		c, err := o.recipe()
		return data.LoaderConfig{Augment: c}, err
	}
	cfg, err := config.Load(o.config, nil)
	if err != nil {
		return data.LoaderConfig{}, usageError{err}
	}
	task, err := train.TaskOf(cfg)
	if err != nil {
		return data.LoaderConfig{}, usageError{err}
	}
	return task.Loader(cfg, true), nil
}

// recipe is how the flags prepare images.
func (o *browseOptions) recipe() (augment.Config, error) {
	c := augment.Config{
		Resize:      augment.Resize{ShortSides: o.short, LongMax: o.long},
		FlipProb:    o.flip,
		Jitter:      augment.Jitter{Brightness: o.jitter, Contrast: o.jitter, Saturation: o.jitter, Hue: o.hue},
		Photometric: o.photometric,
	}
	if len(o.short) == 1 && o.short[0] == 0 {
		c.Resize.ShortSides = nil
	}
	switch len(o.scale) {
	case 0:
	case 2:
		c.Scale = [2]float64{o.scale[0], o.scale[1]}
	default:
		return c, usagef("--scale %v: give the least and the greatest factor", o.scale)
	}
	switch len(o.crop) {
	case 0:
	case 2:
		c.Crop = augment.Crop{W: o.crop[0], H: o.crop[1]}
	default:
		return c, usagef("--crop %v: give width,height", o.crop)
	}
	c.Crop.MaxShare = o.share
	if err := c.Validate(); err != nil {
		return c, usageError{err}
	}
	return c, nil
}

// targets are images with what there is to learn from them.
type targets interface {
	data.Source
	// draw lays the targets of the only image of a batch over img, which shows the
	// canvas scale times as large.
	draw(b *data.Batch, img image.Image, scale float64) (image.Image, error)
	// legend explains the colours of what has been drawn.
	legend() []report.Swatch
}

func openTargets(p part, o *browseOptions) (targets, error) {
	if p.set != nil {
		return openClasses(p, o)
	}
	if p.maps != nil {
		set, err := p.maps.scan()
		if err == nil {
			if o.skipBad {
				for _, f := range set.Problems {
					fmt.Fprintln(o.stderr, "skipped:", f)
				}
				set.Problems = nil
			}
			err = set.Err()
		}
		if err != nil {
			return nil, usageError{err}
		}
		return &mapTargets{Segmentation: data.NewSegmentation(set), shown: make([]bool, len(set.Classes))}, nil
	}
	ds, err := coco.Read(p.annotations, coco.Options{SkipBadBoxes: true, SkipUnknown: true})
	if err != nil {
		return nil, usageError{err}
	}
	if ds.Report.Skipped() > 0 {
		fmt.Fprintln(o.stderr, ds.Report.String())
	}
	src, err := data.NewCocoDetection(ds, p.images, data.DetectionOptions{})
	if err != nil {
		return nil, usageError{err}
	}
	return &boxTargets{src}, nil
}

// drawTile turns the only image of a batch back into a picture with its targets,
// brought to the cell so that small images can be read.
func drawTile(b *data.Batch, recipe augment.Config, src targets, cell int) (report.Tile, error) {
	s := b.Samples[0]
	img, err := recipe.Picture(b.Images, b.W, s.InW, s.InH)
	if err != nil {
		return report.Tile{}, err
	}
	scale := float64(cell) / float64(max(s.InW, s.InH))
	big := imaging.Resize(img, max(1, int(float64(s.InW)*scale)), max(1, int(float64(s.InH)*scale)), imaging.Linear)
	out, err := src.draw(b, big, scale)
	title := fmt.Sprintf("%s  %dx%d", s.File[strings.LastIndexByte(s.File, '/')+1:], s.InW, s.InH)
	if t, ok := src.(*classTargets); ok {
		title = t.title(b)
	}
	if _, ok := src.(*boxTargets); ok {
		title = fmt.Sprintf("%d  %dx%d", s.ImageID, s.InW, s.InH)
	}
	if s.Flipped {
		title += "  mirrored"
	}
	return report.Tile{Image: out, Title: title}, err
}

// boxTargets are boxes.
type boxTargets struct{ *data.CocoDetection }

func (t *boxTargets) draw(b *data.Batch, img image.Image, scale float64) (image.Image, error) {
	s, ids := b.Samples[0], t.Dataset().IDs
	marks := make([]report.Mark, len(s.Boxes))
	for i, box := range s.Boxes {
		marks[i] = report.Mark{Class: int(s.Labels[i]), Name: ids.Name(int(s.Labels[i])), Score: -1}
		for k, v := range box {
			marks[i].Box[k] = float64(v) * scale
		}
	}
	return report.DrawDetections(img, marks), nil
}

// legend of boxes is empty: their names stand beside them.
func (t *boxTargets) legend() []report.Swatch { return nil }

// mapTargets are label maps.
type mapTargets struct {
	*data.Segmentation
	shown []bool // classes drawn
}

func (t *mapTargets) draw(b *data.Batch, img image.Image, scale float64) (image.Image, error) {
	s := b.Samples[0]
	w, h := img.Bounds().Dx(), img.Bounds().Dy()
	labels := make([]uint8, 0, w*h)
	for y := range h {
		row := b.Labels[min(int((float64(y)+0.5)/scale), s.InH-1)*b.W:]
		for x := range w {
			l := row[min(int((float64(x)+0.5)/scale), s.InW-1)]
			if int(l) < len(t.shown) {
				t.shown[l] = true
			}
			labels = append(labels, l)
		}
	}
	over, err := report.DrawLabels(img, labels, report.Palette(t.Set().Classes))
	if err != nil {
		return nil, err
	}
	return report.SideBySide(img, over, "picture", "labels"), nil
}

func (t *mapTargets) legend() []report.Swatch {
	var out []report.Swatch
	for id, c := range report.Palette(t.Set().Classes) {
		if t.shown[id] {
			out = append(out, report.Swatch{Colour: c, Text: t.Set().Classes[id].Name})
		}
	}
	return out
}
