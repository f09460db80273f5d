package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"manvision/arch"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/internal/cli"
)

// options are the inputs of the command.
type options struct {
	streams    *cli.Streams
	checkpoint string
	arch       string // network of torchvision's; "": the checkpoint's own
	input      string
	out        string
	json       string // file, "-" for stdout, "" for none
	gt         string
	score      float64
	scoreGiven bool
	scales     []float64
	flip       bool
	flipGiven  bool
	window     []int
	stride     []int
	skipBad    bool
	threads    int
	open       func(threads int) (device.Device, error)
}

func newCmd(s *cli.Streams, run func(context.Context, *options) error) *cobra.Command {
	o := &options{streams: s, open: func(threads int) (device.Device, error) { return cpu.New(cpu.Options{Threads: threads}) }}
	cmd := &cobra.Command{
		Use:   "predict --checkpoint F --input FILE|FOLDER|PATTERN --out DIR",
		Short: "Detect objects on images, label their pixels, or name what is on them",
		Long: `Looks at images with a trained model and draws what it finds. The checkpoint brings
everything: the model, how images are prepared, and the names of the classes.
Where a folder holds no image, those of its subfolders are taken.

A detector's pictures go to the --out folder under the images' names (.png), the
first twelve also on one sheet, sheet.png. --json writes all detections in COCO's
result form, as evaluation would score them: from the recipe's
eval.score_threshold on. image_id is the position of the file, from 0, or, with
--gt, the id of the image of that file name.

A segmentation network's label maps go to labels/ in the --out folder: one PNG an
image, under its name, with the values of the data set's own label files (label ids
for CityScapes: the folder is ready for the benchmark's server and for 'eval
cityscapes'). overlays/ gets the images with the labels laid over them, sheet.png
the first twelve images beside what was found, with --gt also beside the ground
truth and the errors. --json lists each image's classes and their share of it.
Images are looked at as the recipe's eval.segmentation says; --scales, --flip,
--window and --stride change that.

A classifier's pictures have the five most probable classes underneath, and --json
lists them; each image's first class is printed.

With --arch the checkpoint is a file of torchvision's weights (.pth or safetensors)
for the network of that name, which brings sizes, normalisation and the names of the
classes; 'data download weights' fetches them. Networks: ` + strings.Join(arch.Names(), ", ") + `.

Exit status: 0 done; 1 failed or stopped; 2 wrong usage or bad input.`,
		Example: `  predict --checkpoint best.safetensors --input photo.jpg --out found
  predict --checkpoint best.safetensors --input 'photos/*.jpg' --out found --score 0.5
  predict --checkpoint best.safetensors --input val2017 --out found --gt instances_val2017.json --json results.json
  predict --checkpoint city.safetensors --input cityscapes/leftImg8bit/val --gt cityscapes --out found
  predict --checkpoint city.safetensors --input cityscapes/leftImg8bit/test --out found --scales 0.75,1,1.25 --flip
  predict --arch resnet50 --checkpoint resnet50-0676ba61.pth --input photos --out found --json top5.json`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.scoreGiven, o.flipGiven = cmd.Flags().Changed("score"), cmd.Flags().Changed("flip")
			switch {
			case o.checkpoint == "":
				return cli.Usage("--checkpoint is missing: the model's weights; see 'predict --help'")
			case o.input == "":
				return cli.Usage("--input is missing: an image, a folder or a pattern; see 'predict --help'")
			case o.out == "":
				return cli.Usage("--out is missing: the folder for the pictures; see 'predict --help'")
			case !(o.score >= 0 && o.score <= 1):
				return cli.Usage("--score %v must be 0 to 1", o.score)
			case o.threads < 0:
				return cli.Usage("--threads is negative: %d", o.threads)
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.checkpoint, "checkpoint", "", "checkpoint `file`")
	f.StringVar(&o.arch, "arch", "", "the checkpoint is torchvision's weights for the network of this `name`")
	f.StringVar(&o.input, "input", "", "image `file`, folder of images, or quoted pattern")
	f.StringVar(&o.out, "out", "", "`folder` for the pictures")
	f.StringVar(&o.json, "json", "", "write the detections in COCO's result form, or what was found on each image, to `file` (- for stdout)")
	f.StringVar(&o.gt, "gt", "", "ground truth to draw beside what was found: an instances `file` (image ids are taken from it, too), CityScapes' root, or a folder of label maps")
	f.Float64Var(&o.score, "score", 0.3, "detector: least score of a box that is drawn, 0 to 1")
	f.Float64SliceVar(&o.scales, "scales", nil, "segmentation: sizes to look at the image in and average, such as 0.75,1,1.25")
	f.BoolVar(&o.flip, "flip", false, "segmentation: also look at the mirrored image and average")
	f.IntSliceVar(&o.window, "window", nil, "segmentation: look through sliding windows of `width,height` pixels of the image as it is resized for the network")
	f.IntSliceVar(&o.stride, "stride", nil, "segmentation: pixels between windows, `x,y`; default two thirds of the window")
	f.BoolVar(&o.skipBad, "skip-bad", false, "leave out files that cannot be read, and count them")
	f.IntVar(&o.threads, "threads", 0, "processors to use (0: as the recipe says)")
	return cmd
}

// viewFlag is the first flag given that only segmentation networks know, "" if none is.
func (o *options) viewFlag() string {
	switch {
	case len(o.scales) > 0:
		return "scales"
	case o.flipGiven:
		return "flip"
	case len(o.window) > 0:
		return "window"
	case len(o.stride) > 0:
		return "stride"
	}
	return ""
}
