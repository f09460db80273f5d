package main

import (
	"context"
	"io"
	"os"
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
	inputs     []string
	list       string // file of further inputs, "-" for in
	in         io.Reader
	video      string // the input, where it is a video; set by clip
	out        string
	json       string // file, "-" for stdout, "" for none
	jsonl, csv string // the same
	draw       string // one of drawPictures, drawVideo, drawNone; "": as the input is
	every      int    // frames of a video
	everyGiven bool
	gt         string
	score      float64
	scoreGiven bool
	threshold  float64 // -1: the model's
	nmsIoU     float64 // -1: the model's
	most       int     // detections; 0: the model's
	classes    []string
	batch      int // 0: the recipe's
	scales     []float64
	flip       bool
	flipGiven  bool
	window     []int
	stride     []int
	skipBad    bool
	keepGoing  bool
	threads    int
	open       func(threads int) (device.Device, error)
	seen       func(images int) // told of every image, for tests
}

func newCmd(s *cli.Streams, run func(context.Context, *options) error) *cobra.Command {
	return newCmdFor(s, &options{}, run)
}

// newCmdFor is newCmd with what o says that no flag does.
func newCmdFor(s *cli.Streams, o *options, run func(context.Context, *options) error) *cobra.Command {
	o.streams, o.in = s, os.Stdin
	o.open = func(threads int) (device.Device, error) { return cpu.New(cpu.Options{Threads: threads}) }
	cmd := &cobra.Command{
		Use:   "predict --checkpoint F --out DIR --input FILE|FOLDER|PATTERN...",
		Short: "Detect objects on images, label their pixels, or name what is on them",
		Long: `Looks at images with a trained model and draws what it finds. The checkpoint brings
everything: the model, how images are prepared, and the names of the classes. Where a
folder holds no image, those of its subfolders are taken; further inputs may follow
without --input.

A detector's pictures go to the --out folder under the images' names (.png), the
first twelve also on one sheet, sheet.png. --json writes all detections in COCO's
result form, as evaluation would score them: from --score-threshold on. image_id is the
position of the file, from 0, or, with --gt, the id of the image of that file name.

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

--jsonl writes a JSON object a line and image, --csv a line a detection or class. A
video file is looked at frame by frame: outputs then have the frame's number and its
time in seconds (frame / frames a second), image_id is the frame's number, and
NAME_found.avi in the --out folder shows what was found.

With --arch the checkpoint is a file of torchvision's weights (.pth or safetensors)
for the network of that name, which brings sizes, normalisation and the names of the
classes; 'data download weights' fetches them. Networks: ` + strings.Join(arch.Names(), ", ") + `.

A file that cannot be read ends the work with exit status 2, with --keep-going the
others are looked at and the status is 1, with --skip-bad it is 0. Results of the images
before are kept.

Exit status: 0 done; 1 failed or stopped; 2 wrong usage or bad input.`,
		Example: `  predict --checkpoint best.safetensors --input photo.jpg --out found
  predict --checkpoint best.safetensors --input 'photos/*.jpg' --out found --score 0.5
  predict --checkpoint best.safetensors --out found --csv found.csv photos more/*.jpg
  find . -name '*.jpg' | predict --checkpoint best.safetensors --list - --draw none --jsonl -
  predict --checkpoint best.safetensors --input walk.mp4 --out found --every 5 --classes person,dog
  predict --checkpoint best.safetensors --input val2017 --out found --gt instances_val2017.json --json results.json
  predict --checkpoint city.safetensors --input cityscapes/leftImg8bit/val --gt cityscapes --out found
  predict --checkpoint city.safetensors --input cityscapes/leftImg8bit/test --out found --scales 0.75,1,1.25 --flip
  predict --arch resnet50 --checkpoint resnet50-0676ba61.pth --input photos --out found --json top5.json`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			set := cmd.Flags().Changed
			o.inputs = append(o.inputs, args...)
			o.scoreGiven, o.flipGiven, o.everyGiven = set("score"), set("flip"), set("every")
			if err := o.validate(set); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.checkpoint, "checkpoint", "", "checkpoint `file`")
	f.StringVar(&o.arch, "arch", "", "the checkpoint is torchvision's weights for the network of this `name`")
	f.StringArrayVar(&o.inputs, "input", nil, "image `file`, folder of images, quoted pattern, or a video file; may be given several times")
	f.StringVar(&o.list, "list", "", "`file` that names further image files, one a line (- for stdin)")
	f.StringVar(&o.out, "out", "", "`folder` for the pictures")
	f.StringVar(&o.draw, "draw", "", "`what` to draw: pictures, none, or of a video a video (default pictures, of a video a video)")
	f.IntVar(&o.every, "every", 1, "video: look at every `n`-th frame")
	f.StringVar(&o.json, "json", "", "write the detections in COCO's result form, or what was found on each image, to `file` (- for stdout)")
	f.StringVar(&o.jsonl, "jsonl", "", "write what was found as one JSON object a line and image to `file` (- for stdout)")
	f.StringVar(&o.csv, "csv", "", "write what was found as comma-separated lines to `file` (- for stdout)")
	f.StringVar(&o.gt, "gt", "", "ground truth to draw beside what was found: an instances `file` (image ids are taken from it, too), CityScapes' root, or a folder of label maps")
	f.Float64Var(&o.score, "score", 0.3, "detector: least score of a box that is drawn, 0 to 1")
	f.Float64Var(&o.threshold, "score-threshold", -1, "detector: only boxes of a score above it are found, 0 to below 1 (default the model's)")
	f.Float64Var(&o.nmsIoU, "nms-iou", -1, "detector: of boxes of a class that overlap by more than this IoU only the best is found, 0 to 1 (default the model's)")
	f.IntVar(&o.most, "max-detections", 0, "detector: most boxes found on an image (default the model's)")
	f.StringSliceVar(&o.classes, "classes", nil, "detector: leave out what is found of other classes than these `names`")
	f.IntVar(&o.batch, "batch", 0, "detector, classifier: images at a time (default the recipe's eval.batch)")
	f.Float64SliceVar(&o.scales, "scales", nil, "segmentation: sizes to look at the image in and average, such as 0.75,1,1.25")
	f.BoolVar(&o.flip, "flip", false, "segmentation: also look at the mirrored image and average")
	f.IntSliceVar(&o.window, "window", nil, "segmentation: look through sliding windows of `width,height` pixels of the image as it is resized for the network")
	f.IntSliceVar(&o.stride, "stride", nil, "segmentation: pixels between windows, `x,y`; default two thirds of the window")
	f.BoolVar(&o.skipBad, "skip-bad", false, "leave out files that cannot be read, and count them")
	f.BoolVar(&o.keepGoing, "keep-going", false, "go on after files that cannot be read; the exit status is then 1")
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
