package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"manvision/device/cpu"
	"manvision/internal/bench"
)

func newDeepLab(out io.Writer, o *options) *cobra.Command {
	var d bench.DeepLab
	var infer bool
	c := &cobra.Command{Use: "deeplab", Short: "DeepLabV3 ResNet-50: training step, or label map of a picture (peer: benchmarks/deeplab_peer.py)", Args: cobra.NoArgs,
		Example: "  bin/bench deeplab\n  bin/bench deeplab --blocks 4\n  bin/bench deeplab --infer --width 1024",
		RunE: func(*cobra.Command, []string) error {
			if infer && o.profile {
				return errors.New("--profile times the kernels of a training step: leave out --infer")
			}
			return o.time(out, func(dev *cpu.Device) (*bench.Steps, error) {
				if infer {
					return d.Infer(dev, o.steps)
				}
				return d.Train(dev, o.steps, o.profile)
			})
		}}
	f := c.Flags()
	f.BoolVar(&infer, "infer", false, "time label maps of one picture at a time; no --batch, --blocks, --no-aux, --profile")
	f.IntVar(&d.Batch, "batch", 2, "images a step")
	f.IntVar(&d.Height, "height", 512, "rows of the images")
	f.IntVar(&d.Width, "width", 512, "columns of the images")
	f.IntVar(&d.Blocks, "blocks", 1, "1 trains end to end; 2 cuts in the middle of layer3, 4 behind layer1, layer2 and layer3")
	f.BoolVar(&d.Balanced, "balanced", false, "with --blocks 4: cut so that the largest step is smallest")
	f.IntVar(&d.LocalChannels, "local-channels", 0, "width of the local heads; 0: a quarter of their input's")
	f.BoolVar(&d.NoAux, "no-aux", false, "leave out the auxiliary head")
	o.tunable(c)
	f.BoolVar(&d.Fold, "fold", true, "with --infer: fold batch norms into the convolutions")
	for _, name := range []string{"batch", "blocks", "balanced", "local-channels", "no-aux"} {
		c.MarkFlagsMutuallyExclusive("infer", name)
	}
	return c
}
