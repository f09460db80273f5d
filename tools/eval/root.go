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

// modelOptions are the inputs of 'eval --config C --checkpoint F'.
type modelOptions struct {
	streams    *cli.Streams
	config     string
	arch       string // network of torchvision's, in the place of a recipe
	checkpoint string
	sets       []string
	json       string // file, "-" for stdout, "" for none
	results    string // file, "" for none
	perClass   bool
	open       func(threads int) (device.Device, error)
}

// newRoot returns the command with all its subcommands.
func newRoot(s *cli.Streams) *cobra.Command {
	root := newModel(s, func(ctx context.Context, o *modelOptions) error {
		if o.arch != "" {
			return runArch(ctx, o)
		}
		return runModel(ctx, o)
	})
	root.AddCommand(newCoco(s, runCoco), newCityscapes(s, runCityscapes))
	return root
}

func newModel(s *cli.Streams, run func(context.Context, *modelOptions) error) *cobra.Command {
	o := &modelOptions{streams: s, open: func(threads int) (device.Device, error) { return cpu.New(cpu.Options{Threads: threads}) }}
	cmd := &cobra.Command{
		Use:   "eval --config C.yaml --checkpoint F",
		Short: "Evaluate models and result files",
		Long: `Evaluates a trained model on the validation data of a recipe: a detector by COCO's
twelve numbers and average precision per class; a segmentation network by mIoU,
pixel and mean accuracy, and IoU per class; a classifier by top-1 and top-5 accuracy,
in all and per class. 'eval coco' does the same for the results file of any detector,
'eval cityscapes' for label maps.

With --arch the checkpoint is a file of torchvision's weights for the network of that
name, and --set data.root names the data: ImageNet's folder with val/, COCO's, or for
segmentation one with images and label maps of VOC's 21 classes, whose folders
data.val.images and data.val.annotations name. Networks: ` + strings.Join(arch.Names(), ", ") + `.

A table is printed on a terminal, "key<tab>value" lines with all digits otherwise.

Exit status: 0 done; 1 failed or stopped; 2 wrong usage, recipe or data.`,
		Example: `  eval --config configs/detection/demo-shapes.yaml --checkpoint runs/demo-shapes/checkpoints/best.safetensors
  eval --config recipe.yaml --set data.root=coco --checkpoint best.safetensors --results results.json
  eval --config recipe.yaml --checkpoint best.safetensors --set 'eval.segmentation.scales=[0.75, 1, 1.25]' --set eval.segmentation.flip=true
  eval --arch retinanet_resnet50_fpn --checkpoint retinanet_resnet50_fpn_coco-eeacb38b.pth --set data.root=coco
  eval coco --gt instances_val2017.json --dt results.json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return cli.Usage("unknown command %q; see 'eval --help'", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.config != "" && o.arch != "":
				return cli.Usage("--config and --arch exclude each other: a recipe of yours, or a network of torchvision's")
			case o.config == "" && o.arch == "" && o.checkpoint == "":
				if err := cmd.Usage(); err != nil {
					return err
				}
				return cli.Usage("name a command, or a model with --config and --checkpoint")
			case o.config == "" && o.arch == "":
				return cli.Usage("--config is missing: the recipe; see 'eval --help'")
			case o.checkpoint == "":
				return cli.Usage("--checkpoint is missing: the model's weights; see 'eval --help'")
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "recipe `file`")
	f.StringVar(&o.arch, "arch", "", "the checkpoint is torchvision's weights for the network of this `name`")
	f.StringVar(&o.checkpoint, "checkpoint", "", "checkpoint `file`")
	f.StringArrayVar(&o.sets, "set", nil, "change a `key=value` of the recipe, the value in YAML; may be repeated")
	f.StringVar(&o.json, "json", "", "write all numbers as JSON to `file` (- for stdout, instead of the table)")
	f.StringVar(&o.results, "results", "", "write a detector's detections as a COCO results `file`")
	f.BoolVar(&o.perClass, "per-class", false, "print every class")
	return cmd
}
