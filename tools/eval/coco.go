package main

import (
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/spf13/cobra"

	"manvision/data/coco"
	"manvision/detection/cocoeval"
	"manvision/internal/cli"
	"manvision/train"
)

// cocoOptions are the inputs of 'eval coco'.
type cocoOptions struct {
	streams     *cli.Streams
	gt, dt      string
	iou         string
	json        string // file, "-" for stdout, "" for none
	perClass    bool
	skipUnknown bool
	compat      string // "" or "pycocotools"
	threads     int
}

func newCoco(s *cli.Streams, run func(*cocoOptions) error) *cobra.Command {
	o := &cocoOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "coco --gt instances.json --dt results.json",
		Short: "COCO's twelve numbers for any detector's result file",
		Long: `Computes COCO's twelve detection numbers, and average precision per class, of a
results file in COCO form against an instances file. The numbers equal those of
pycocotools.

A table is printed on a terminal, "key<tab>value" lines with all digits otherwise.
Numbers without a single object to compute them from are "-" in the table and -1
elsewhere.`,
		Example: `  eval coco --gt instances_val2017.json --dt results.json
  eval coco --gt instances_val2017.json --dt masks.json --iou segm --per-class
  eval coco --gt instances_val2017.json --dt results.json --json - | jq .AP50`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := o.check(); err != nil {
				return err
			}
			return run(o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.gt, "gt", "", "ground truth: instances `file`")
	f.StringVar(&o.dt, "dt", "", "detections: results `file`")
	f.StringVar(&o.iou, "iou", "bbox", "what to compare: bbox or segm")
	f.StringVar(&o.json, "json", "", "write all numbers as JSON to `file` (- for stdout, instead of the table)")
	f.BoolVar(&o.perClass, "per-class", false, "print every class")
	f.BoolVar(&o.skipUnknown, "skip-unknown", false, "leave out and count what belongs to images or categories that the ground truth does not list")
	f.StringVar(&o.compat, "compat", "", "pycocotools: reproduce its oddities, such as never finding annotation id 0")
	f.IntVar(&o.threads, "threads", 0, "processors to use (0: all)")
	return cmd
}

func (o *cocoOptions) check() error {
	switch {
	case o.gt == "":
		return cli.Usage("--gt is missing: the instances file; see 'eval coco --help'")
	case o.dt == "":
		return cli.Usage("--dt is missing: the results file; see 'eval coco --help'")
	case !slices.Contains([]string{"bbox", "segm"}, o.iou):
		return cli.Usage("--iou %q is unknown: valid are bbox, segm", o.iou)
	case !slices.Contains([]string{"", "pycocotools"}, o.compat):
		return cli.Usage("--compat %q is unknown: valid is pycocotools", o.compat)
	case o.threads < 0:
		return cli.Usage("--threads is negative: %d", o.threads)
	}
	return nil
}

func runCoco(o *cocoOptions) error {
	s, err := cocoeval.EvaluateFiles(o.gt, o.dt, cocoeval.Options{
		IoU: o.iou, SkipUnknown: o.skipUnknown, CompatPycocotools: o.compat != "", Workers: o.threads,
	})
	if err != nil {
		var bad *coco.InputError
		if errors.As(err, &bad) {
			return cli.Input(err)
		}
		return err
	}
	for _, w := range s.Warnings {
		fmt.Fprintf(o.streams.Err, "warning: %s\n", w)
	}
	if o.json != "" {
		if err := cli.WriteJSON(o.json, o.streams.Out, s); err != nil || o.json == "-" {
			return err
		}
	}
	return writeSummary(o.streams, s, o.perClass)
}

// writeSummary prints a table on a terminal, lines for programs otherwise.
func writeSummary(out *cli.Streams, s train.Detail, perClass bool) error {
	if !out.Terminal {
		return s.WritePlain(out.Out, perClass)
	}
	table := s.Table()
	if perClass {
		table += "\n" + s.ClassTable()
	}
	_, err := io.WriteString(out.Out, table)
	return err
}
