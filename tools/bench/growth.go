package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"

	"github.com/spf13/cobra"

	"manvision/device"
	"manvision/internal/bench"
	"manvision/internal/cli"
	"manvision/report"
)

func newGrowth(out, errs io.Writer, o *options) *cobra.Command {
	var file string
	var point []int
	c := &cobra.Command{Use: "growth", Short: "Time and memory of a step against batch, image area, depth and K, with fitted exponents", Args: cobra.NoArgs,
		Long: `Times training steps of CIFAR networks, ResNet-50 and RetinaNet at several sizes, each in
a process of its own, two warm steps and --steps counted ones each, and fits power laws to
the medians by least squares of the logarithms. Some minutes on four idle cores.`,
		RunE: func(*cobra.Command, []string) error {
			if point != nil {
				return growthPoint(out, o, point)
			}
			list, err := bench.MeasureGrowth(o.growthProcess, func(text string) { io.WriteString(errs, text+"\n") })
			if err != nil {
				return err
			}
			if file != "" {
				if err := cli.WriteJSON(file, out, list); err != nil || file == "-" {
					return err
				}
			}
			return bench.WriteGrowth(out, report.IsTerminal(out), list)
		}}
	c.Flags().StringVar(&file, "json", "", "write all points as JSON to `file` (- for standard output)")
	c.Flags().IntSliceVar(&point, "point", nil, "number of a sweep and a size: that point alone, as JSON")
	_ = c.Flags().MarkHidden("point")
	return c
}

// growthPoint measures one point and prints it as JSON.
func growthPoint(out io.Writer, o *options, point []int) error {
	if len(point) != 2 {
		return fmt.Errorf("--point %v: want the number of a sweep and a size", point)
	}
	p, err := bench.GrowthPoint(func() (device.Device, error) { return o.device() }, point[0], point[1], o.steps)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(p)
}

// growthProcess has a process of its own measure a point.
func (o *options) growthProcess(sweep, size int) (*bench.Point, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.Command(self, "growth", "--point", fmt.Sprintf("%d,%d", sweep, size),
		"--steps", strconv.Itoa(o.steps), "--threads", strconv.Itoa(o.threads), "--precision", o.precision)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	text, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("%w: %s", err, bytes.TrimSpace(errs.Bytes()))
	}
	p := new(bench.Point)
	return p, json.Unmarshal(text, p)
}
