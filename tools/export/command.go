package main

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"manvision/arch"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/internal/cli"
	"manvision/onnx"
)

// options are the inputs of the command.
type options struct {
	streams    *cli.Streams
	checkpoint string
	arch       string // network of torchvision's; "": the checkpoint's own
	config     string // recipe of plain weights
	sets       []string
	out        string
	json       string // file, "-" for stdout, "" for none
	sized      bool   // --size was given
	score      float64
	scoreGiven bool
	file       onnx.Options
	open       func() (device.Device, error)
}

// maxSide and maxBatch bound inputs.
const maxSide, maxBatch = 16384, 65536

func newCmd(s *cli.Streams, run func(context.Context, *options) error) *cobra.Command {
	o := &options{streams: s, open: func() (device.Device, error) { return cpu.New(cpu.Options{}) }}
	var size, batch string
	cmd := &cobra.Command{
		Use:   "export --checkpoint F --out MODEL.onnx",
		Short: "Write a trained network as an ONNX file",
		Long: `Writes the inference network of a checkpoint as an ONNX file, operator set 17, of
standard operations only. Weights are initializers under torchvision's names. The input
"images" is float [N,3,H,W], RGB, normalised; with --normalize pixels from 0 to 255.

  task            outputs                          with --decode
  classification  logits [N,classes]               probabilities [N,classes]
  segmentation    logits [N,classes,H,W]           labels [N,H,W], uint8
  detection       logits [N,A,classes], deltas     boxes [detections,4], scores, labels:
                  [N,A,4], anchors [A,4]           thresholds and suppression included

Boxes are x1 y1 x2 y2 in pixels of the input; labels are places in the list of classes.
The metadata have that list, the category or label ids, how images are prepared, how
detections are decoded, and this program's version.

With --arch the checkpoint is a file of torchvision's weights (.pth or safetensors) for
the network of that name: ` + strings.Join(arch.Names(), ", ") + `.
With --config it is taken for the recipe's network, whose data tell the classes.

Exit status: 0 done; 1 failed or stopped; 2 wrong usage or bad input.`,
		Example: `  export --checkpoint best.safetensors --out model.onnx
  export --checkpoint best.safetensors --out model.onnx --batch dynamic --normalize
  export --checkpoint best.safetensors --out detector.onnx --size 800x1344 --decode --score 0.3
  export --arch resnet50 --checkpoint resnet50-0676ba61.pth --out resnet50.onnx --fold --json -`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o.scoreGiven, o.sized = cmd.Flags().Changed("score"), cmd.Flags().Changed("size")
			switch {
			case o.checkpoint == "":
				return cli.Usage("--checkpoint is missing: the model's weights; see 'export --help'")
			case o.out == "":
				return cli.Usage("--out is missing: the file to write; see 'export --help'")
			case o.arch != "" && o.config != "":
				return cli.Usage("--arch and --config both name the network; give one of them")
			case len(o.sets) > 0 && o.config == "":
				return cli.Usage("--set changes the recipe of --config, which is missing")
			case o.scoreGiven && !o.file.Decode:
				return cli.Usage("--score is for --decode: raw outputs have no threshold")
			case !(o.score >= 0 && o.score < 1):
				return cli.Usage("--score %v must be at least 0 and below 1", o.score)
			}
			var err error
			if o.file.H, o.file.W, err = parseSize(size, o.sized); err == nil {
				o.file.Batch, err = parseBatch(batch)
			}
			if err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.checkpoint, "checkpoint", "", "checkpoint `file`")
	f.StringVar(&o.arch, "arch", "", "the checkpoint is torchvision's weights for the network of this `name`")
	f.StringVar(&o.config, "config", "", "the checkpoint is of this recipe's network; `file`")
	f.StringArrayVar(&o.sets, "set", nil, "change a setting of --config, `key=value`")
	f.StringVar(&o.out, "out", "", "ONNX `file` to write")
	f.StringVar(&size, "size", "", "size of the input, `HxW` pixels; default the largest of the recipe's training, or torchvision's")
	f.StringVar(&batch, "batch", "1", "images at a time, a `number` or dynamic")
	f.BoolVar(&o.file.Decode, "decode", false, "outputs are results: probabilities, label maps, boxes")
	f.Float64Var(&o.score, "score", 0, "detector with --decode: least score of a box, 0 to 1; default the recipe's eval.score_threshold or torchvision's 0.05")
	f.BoolVar(&o.file.Fold, "fold", false, "batch norms become parts of the convolutions before them")
	f.BoolVar(&o.file.Normalize, "normalize", false, "the file normalises: its input are pixels from 0 to 255")
	f.StringVar(&o.json, "json", "", "write what the file holds to `file` (- for stdout)")
	return cmd
}

func parseSize(text string, given bool) (h, w int, err error) {
	if !given {
		return 0, 0, nil
	}
	a, b, ok := strings.Cut(text, "x")
	if ok {
		if h, err = strconv.Atoi(a); err == nil {
			w, err = strconv.Atoi(b)
		}
	}
	if !ok || err != nil || h < 1 || w < 1 || h > maxSide || w > maxSide {
		return 0, 0, cli.Usage("--size %q must be height x width in pixels, up to %d, such as 224x224", text, maxSide)
	}
	return h, w, nil
}

func parseBatch(text string) (int, error) {
	if text == "dynamic" {
		return 0, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > maxBatch {
		return 0, cli.Usage("--batch %q must be a number of images, 1 to %d, or dynamic", text, maxBatch)
	}
	return n, nil
}

// shape is a value's axes, such as [N,3,224,224].
func shape(v onnx.Value) string {
	var dims []string
	for _, d := range v.Dims {
		dims = append(dims, d.String())
	}
	return fmt.Sprintf("%s [%s]", v.Type, strings.Join(dims, ","))
}
