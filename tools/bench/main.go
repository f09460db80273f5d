// Command bench times the toolkit's main work; BENCHMARKS.md holds the figures
// beside those of its peers.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"manvision/device"
	"manvision/device/cpu"
	"manvision/internal/bench"
	"manvision/internal/cli"
)

func main() {
	os.Exit(execute(os.Stdout, os.Stderr, os.Args[1:]))
}

func execute(out, errs io.Writer, args []string) int {
	root := newRoot(out)
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errs)
	cli.WrapHelp(root)
	if err := root.ExecuteContext(context.Background()); err != nil {
		fmt.Fprintf(errs, "error: %v\n", err)
		return 1
	}
	return 0
}

// options are what all timings share.
type options struct {
	threads, steps int
	profile        bool
	precision      string
	tune           bool
}

func newRoot(out io.Writer) *cobra.Command {
	var o options
	root := &cobra.Command{Use: "bench", Short: "Time training steps; figures are JSON on standard output", SilenceUsage: true, SilenceErrors: true,
		Example: "  bin/bench resnet50 --threads 4\n  bin/bench retinanet --threads 4 --height 608 --width 800\n  bin/bench deeplab --infer --width 1024"}
	// Not for --help: it loads the libraries once more.
	root.PersistentPreRun = func(*cobra.Command, []string) { cpu.BoundSpin() }
	root.PersistentFlags().IntVar(&o.threads, "threads", runtime.NumCPU(), "threads of the device")
	root.PersistentFlags().IntVar(&o.steps, "steps", 5, "counted steps, after two that are not")
	root.PersistentFlags().StringVar(&o.precision, "precision", "f32", "type of activations and their gradients: f32 or bf16")
	root.PersistentFlags().BoolVar(&o.profile, "profile", false, "add the time of every kernel")
	root.AddCommand(newResNet(out, &o), newRetinaNet(out, &o), newDeepLab(out, &o), newInfer(out, &o), newDetect(out, &o), newLoad(out), newCocoEval(out), newPair(out, &o))
	root.AddCommand(newCIFAR(out, &o), newViT(out, &o))
	root.AddCommand(newOps(out, &o), newGrowth(out, os.Stderr, &o), newCompare(out), newGoBench(out, &o))
	return root
}

func newResNet(out io.Writer, o *options) *cobra.Command {
	var batch, size int
	c := &cobra.Command{Use: "resnet50", Short: "Training step of ResNet-50 (peer: benchmarks/resnet50_step.py)", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return o.time(out, func(dev *cpu.Device) (*bench.Steps, error) {
				return bench.ResNet50(dev, batch, size, o.steps, o.profile)
			})
		}}
	c.Flags().IntVar(&batch, "batch", 8, "images a step")
	c.Flags().IntVar(&size, "size", 224, "height and width in pixels")
	o.tunable(c)
	return c
}

func newRetinaNet(out io.Writer, o *options) *cobra.Command {
	var step bench.RetinaNetStep
	c := &cobra.Command{Use: "retinanet", Short: "Training step of RetinaNet ResNet-50 (peer: the official release)", Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			return o.time(out, func(dev *cpu.Device) (*bench.Steps, error) { return step.Train(dev, o.steps, o.profile) })
		}}
	c.Flags().BoolVar(&step.E2E, "e2e", false, "train end to end instead of in four blocks")
	c.Flags().IntVar(&step.N, "batch", 2, "images a step")
	c.Flags().IntVar(&step.H, "height", 608, "rows of the canvas")
	c.Flags().IntVar(&step.W, "width", 800, "columns of the canvas")
	c.Flags().BoolVar(&step.ClipBlocks, "clip-blocks", false, "clip block by block (optim.clip: block)")
	o.tunable(c)
	c.Flags().BoolVar(&step.Recompute, "recompute-convs", false, "compute widening convolutions again (manpp.recompute: convs)")
	return c
}

func (o *options) time(out io.Writer, run func(*cpu.Device) (*bench.Steps, error)) error {
	dev, err := o.device()
	if err != nil {
		return err
	}
	defer dev.Close()
	s, err := run(dev)
	if err != nil {
		return err
	}
	if err := o.tuned(dev); err != nil {
		return err
	}
	enc := json.NewEncoder(out)
	enc.SetIndent("", "  ")
	return enc.Encode(s)
}

// tunable adds --tune to a command whose convolutions can be timed.
func (o *options) tunable(c *cobra.Command) {
	c.Flags().BoolVar(&o.tune, "tune", false, "choose each float32 convolution's algorithm by timing, once; choices are kept in manvision/ of the user's cache folder")
}

// tuned keeps the choices and says what they are.
func (o *options) tuned(dev *cpu.Device) error {
	if !o.tune {
		return nil
	}
	t, err := dev.Tuned()
	if err == nil {
		fmt.Fprintln(os.Stderr, t.Text)
	}
	return err
}

// device opens the device, after the precision of all that is timed has been set.
func (o *options) device() (*cpu.Device, error) {
	switch o.precision {
	case "f32":
	case "bf16":
		bench.Activations = device.BF16
	default:
		return nil, fmt.Errorf("--precision %q: want f32 or bf16", o.precision)
	}
	dev, err := cpu.New(cpu.Options{Threads: o.threads})
	if err == nil && o.tune {
		if err := dev.Tune(nil); err != nil {
			return nil, errors.Join(err, dev.Close())
		}
	}
	return dev, err
}
