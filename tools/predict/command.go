package main

import (
	"context"

	"github.com/spf13/cobra"

	"manvision/device"
	"manvision/device/cpu"
	"manvision/internal/cli"
)

// options are the inputs of the command.
type options struct {
	streams    *cli.Streams
	checkpoint string
	input      string
	out        string
	json       string // file, "-" for stdout, "" for none
	gt         string
	score      float64
	skipBad    bool
	threads    int
	open       func(threads int) (device.Device, error)
}

func newCmd(s *cli.Streams, run func(context.Context, *options) error) *cobra.Command {
	o := &options{streams: s, open: func(threads int) (device.Device, error) { return cpu.New(cpu.Options{Threads: threads}) }}
	cmd := &cobra.Command{
		Use:   "predict --checkpoint F --input FILE|FOLDER|PATTERN --out DIR",
		Short: "Detect objects on images",
		Long: `Detects objects with a trained model and draws them. The checkpoint brings
everything: the model, how images are prepared, and the names of the classes.
Pictures go to the --out folder under their names (.png), the first twelve also
on one sheet, sheet.png.

--json writes all detections in COCO's result form, as evaluation would score
them: from the recipe's eval.score_threshold on. image_id is the position of the
file, from 0, or, with --gt, the id of the image of that file name.

Exit status: 0 done; 1 failed or stopped; 2 wrong usage or bad input.`,
		Example: `  predict --checkpoint best.safetensors --input photo.jpg --out found
  predict --checkpoint best.safetensors --input 'photos/*.jpg' --out found --score 0.5
  predict --checkpoint best.safetensors --input val2017 --out found --gt instances_val2017.json --json results.json`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
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
	f.StringVar(&o.input, "input", "", "image `file`, folder of images, or quoted pattern")
	f.StringVar(&o.out, "out", "", "`folder` for the pictures")
	f.StringVar(&o.json, "json", "", "write the detections in COCO's result form to `file` (- for stdout)")
	f.StringVar(&o.gt, "gt", "", "instances `file`: take image ids from it and draw its boxes beside the found ones on the sheet")
	f.Float64Var(&o.score, "score", 0.3, "least score of a box that is drawn, 0 to 1")
	f.BoolVar(&o.skipBad, "skip-bad", false, "leave out files that cannot be read, and count them")
	f.IntVar(&o.threads, "threads", 0, "processors to use (0: as the recipe says)")
	return cmd
}
