package main

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"manvision/device"
	"manvision/internal/bench"
	"manvision/internal/cli"
	"manvision/internal/profile"
	"manvision/manpp"
	"manvision/report"
)

// works are the training steps, and the inference of one image, whose kernels can be
// looked at, as the targets have them.
var works = map[string]func(device.Device, int) (*bench.Steps, error){
	"resnet50": func(d device.Device, steps int) (*bench.Steps, error) { return bench.ResNet50(d, 8, 224, steps, true) },
	"retinanet": func(d device.Device, steps int) (*bench.Steps, error) {
		return bench.RetinaNetStep{N: 2, H: 608, W: 800}.Train(d, steps, true)
	},
	"retinanet-e2e": func(d device.Device, steps int) (*bench.Steps, error) {
		return bench.RetinaNetStep{E2E: true, N: 2, H: 608, W: 800}.Train(d, steps, true)
	},
	"deeplab": func(d device.Device, steps int) (*bench.Steps, error) {
		return bench.DeepLab{Batch: 2, Height: 512, Width: 512, Blocks: 1}.Train(d, steps, true)
	},
	"cifar": func(d device.Device, steps int) (*bench.Steps, error) {
		return bench.CIFAR{Depth: 32, Blocks: 16, Strategy: manpp.MANPP, Batch: 128}.Train(d, steps, true)
	},
	"cifar110": func(d device.Device, steps int) (*bench.Steps, error) {
		return bench.CIFAR{Depth: 110, Blocks: 55, Strategy: manpp.MANPP, Batch: 128}.Train(d, steps, true)
	},
	"infer1": func(d device.Device, steps int) (*bench.Steps, error) {
		return bench.ResNet50Infer(d, 1, 224, steps, true)
	},
	"vit": func(d device.Device, steps int) (*bench.Steps, error) {
		return bench.ViT{Size: "tiny", Blocks: 4, Batch: 8}.Train(d, steps, true)
	},
}

func workNames() []string { return slices.Sorted(maps.Keys(works)) }

func newOps(out io.Writer, o *options) *cobra.Command {
	var work, file, trace string
	var top int
	c := &cobra.Command{Use: "ops", Short: "Kernels of a training step, or of inference, beside the machine's measured peaks", Args: cobra.NoArgs,
		Long: `Measures the machine's peaks (a product of matrices, copies), trains a few steps
(infer1: the inference of one image by ResNet-50) with every kernel timed, and prints
for each kind and each shape of operation the time of a step, calls, share, 10⁹
operations and bytes a second, both as parts of the peaks, and the limit: the longer of
its operations at the peak and its bytes at the rate of a copy. The sum of the limits is
that of the step. A part of the peak above 100 % means Winograd's algorithm, a part of
the copy above it arguments that stayed in the caches.`,
		Example: "  bin/bench ops --work retinanet\n  bin/bench ops --work cifar --trace step.json --json ops.json",
		RunE: func(*cobra.Command, []string) error {
			run := works[work]
			if run == nil {
				return fmt.Errorf("--work %q: one of %s", work, strings.Join(workNames(), ", "))
			}
			dev, err := o.device()
			if err != nil {
				return err
			}
			defer dev.Close()
			peaks, err := profile.Measure(dev)
			if err != nil {
				return err
			}
			s, err := run(dev, o.steps)
			if err != nil {
				return err
			}
			if err := o.tuned(dev); err != nil {
				return err
			}
			r := s.Report(work, peaks)
			if trace != "" {
				var t profile.Trace
				t.AddKernels(s.Times, peaks)
				var b bytes.Buffer
				if err := t.Write(&b, work, nil); err != nil {
					return err
				}
				if err := cli.ReplaceFile(trace, b.Bytes()); err != nil {
					return err
				}
			}
			if file != "" {
				if err := cli.WriteJSON(file, out, r); err != nil || file == "-" {
					return err
				}
			}
			return r.Write(out, report.IsTerminal(out), top)
		}}
	f := c.Flags()
	f.StringVar(&work, "work", "resnet50", strings.Join(workNames(), ", "))
	o.tunable(c)
	f.IntVar(&top, "top", 20, "rows of each table; 0: all")
	f.StringVar(&trace, "trace", "", "write the last step as a trace for chrome://tracing or Perfetto to this `file`")
	f.StringVar(&file, "json", "", "write all rows as JSON to `file` (- for standard output)")
	return c
}
