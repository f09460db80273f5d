package main

import (
	"encoding/json"
	"errors"
	"io"

	"github.com/spf13/cobra"

	"manvision/device/cpu"
	"manvision/internal/bench"
)

func newInfer(out io.Writer, o *options) *cobra.Command {
	var network string
	var batch, size, height, width int
	c := &cobra.Command{Use: "infer", Short: "Inference of ResNet-50 or of RetinaNet's network (peer: benchmarks/resnet50_infer.py)", Args: cobra.NoArgs,
		Example: "  bin/bench infer --batch 1 --steps 50\n  bin/bench infer --batch 32\n  bin/bench infer --network retinanet --height 800 --width 1088",
		RunE: func(*cobra.Command, []string) error {
			if batch < 1 || size < 1 || height < 1 || width < 1 {
				return errors.New("--batch, --size, --height and --width must be at least 1")
			}
			return o.time(out, func(dev *cpu.Device) (*bench.Steps, error) {
				switch network {
				case "resnet50":
					return bench.ResNet50Infer(dev, batch, size, o.steps, o.profile)
				case "retinanet":
					return bench.RetinaNetInfer(dev, height, width, o.steps, o.profile)
				}
				return nil, errors.New("--network is resnet50 or retinanet")
			})
		}}
	f := c.Flags()
	f.StringVar(&network, "network", "resnet50", "resnet50 or retinanet")
	f.IntVar(&batch, "batch", 1, "images at a time, of resnet50")
	f.IntVar(&size, "size", 224, "height and width in pixels, of resnet50")
	f.IntVar(&height, "height", 800, "rows of the canvas, of retinanet: a multiple of 32")
	f.IntVar(&width, "width", 1088, "columns of the canvas, of retinanet: a multiple of 32")
	for _, name := range []string{"height", "width"} {
		c.MarkFlagsMutuallyExclusive("batch", name)
		c.MarkFlagsMutuallyExclusive("size", name)
	}
	return c
}

func newDetect(out io.Writer, o *options) *cobra.Command {
	var checkpoint string
	var score float64
	c := &cobra.Command{Use: "detect IMAGE|FOLDER", Short: "RetinaNet ResNet-50 from JPEG files to boxes (peer: benchmarks/retinanet_infer.py)", Args: cobra.ExactArgs(1),
		Long: "Decodes, resizes to a short side of 800 pixels, runs the network and suppresses, one image at a time; seconds are those of an image.\n" +
			"The peer writes a file of weights with --save.",
		Example: "  bin/bench detect FOLDER --checkpoint retinanet.pth",
		RunE: func(_ *cobra.Command, args []string) error {
			dev, err := cpu.New(cpu.Options{Threads: o.threads})
			if err != nil {
				return err
			}
			defer dev.Close()
			r, err := bench.Detect(dev, args[0], checkpoint, score, o.steps)
			if err != nil {
				return err
			}
			return json.NewEncoder(out).Encode(r)
		}}
	c.Flags().StringVar(&checkpoint, "checkpoint", "", "weights of torchvision's retinanet_resnet50_fpn")
	c.Flags().Float64Var(&score, "score", 0.05, "least score of a detection")
	c.MarkFlagRequired("checkpoint")
	return c
}
