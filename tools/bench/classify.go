package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"manvision/device/cpu"
	"manvision/internal/bench"
	"manvision/manpp"
)

func newCIFAR(out io.Writer, o *options) *cobra.Command {
	var c bench.CIFAR
	var strategy string
	cmd := &cobra.Command{Use: "cifar", Short: "Training step of a residual network for CIFAR-10 (peer: the official release)", Args: cobra.NoArgs,
		Example: "  bin/bench cifar\n  bin/bench cifar --depth 110 --blocks 55\n  bin/bench cifar --blocks 1",
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			if c.Strategy, err = manpp.ParseStrategy(strategy); err != nil {
				return err
			}
			switch given := cmd.Flags().Changed; {
			case c.Blocks == 1 && c.Strategy.Local && given("strategy"):
				return fmt.Errorf("--strategy %s needs several --blocks", strategy)
			case !c.Strategy.Local && !given("blocks"):
				c.Blocks = 1
			}
			return o.time(out, func(dev *cpu.Device) (*bench.Steps, error) { return c.Train(dev, o.steps, o.profile) })
		}}
	f := cmd.Flags()
	f.IntVar(&c.Depth, "depth", 32, "layers: 32 or 110")
	f.IntVar(&c.Blocks, "blocks", 16, "published number of blocks; 1 trains end to end; 8, 16 and for depth 110 also 32, 55")
	f.StringVar(&strategy, "strategy", manpp.MANPP.Name, "e2e, or with several blocks dgl, man, manpp, infopro, mlaan or another of the strategies")
	f.IntVar(&c.Lanes, "lanes", 1, "blocks that run at once, each on its share of the threads")
	f.IntVar(&c.Batch, "batch", 128, "images a step")
	o.tunable(cmd)
	return cmd
}

func newViT(out io.Writer, o *options) *cobra.Command {
	var v bench.ViT
	c := &cobra.Command{Use: "vit", Short: "Training step of a vision transformer at 224² (peer: the official release)", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return o.time(out, func(dev *cpu.Device) (*bench.Steps, error) { return v.Train(dev, o.steps, o.profile) })
		}}
	f := c.Flags()
	f.StringVar(&v.Size, "size", "tiny", strings.Join(bench.ViTSizes(), ", "))
	f.IntVar(&v.Blocks, "blocks", 4, "4 blocks trained by MAN++; 1 trains end to end")
	f.IntVar(&v.Batch, "batch", 8, "images a step")
	return c
}
