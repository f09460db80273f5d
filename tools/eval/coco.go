package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"manvision/detection/cocoeval"
)

// cocoOptions are the inputs of 'eval coco'.
type cocoOptions struct {
	streams     *streams
	gt, dt      string
	iou         string
	json        string // file, "-" for stdout, "" for none
	perClass    bool
	skipUnknown bool
	compat      string // "" or "pycocotools"
	threads     int
}

func newCoco(s *streams, run func(*cocoOptions) error) *cobra.Command {
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
		Args: noArgs,
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
		return usage("--gt is missing: the instances file; see 'eval coco --help'")
	case o.dt == "":
		return usage("--dt is missing: the results file; see 'eval coco --help'")
	case !slices.Contains([]string{"bbox", "segm"}, o.iou):
		return usage("--iou %q is unknown: valid are bbox, segm", o.iou)
	case !slices.Contains([]string{"", "pycocotools"}, o.compat):
		return usage("--compat %q is unknown: valid is pycocotools", o.compat)
	case o.threads < 0:
		return usage("--threads is negative: %d", o.threads)
	}
	return nil
}

func runCoco(o *cocoOptions) error {
	s, err := cocoeval.EvaluateFiles(o.gt, o.dt, cocoeval.Options{
		IoU: o.iou, SkipUnknown: o.skipUnknown, CompatPycocotools: o.compat != "", Workers: o.threads,
	})
	if err != nil {
		return err
	}
	for _, w := range s.Warnings {
		fmt.Fprintf(o.streams.err, "warning: %s\n", w)
	}
	if o.json != "" {
		b, err := json.MarshalIndent(s, "", "  ")
		if err != nil {
			return err
		}
		b = append(b, '\n')
		if o.json == "-" {
			_, err = o.streams.out.Write(b)
			return err
		}
		if err := replaceFile(o.json, b); err != nil {
			return err
		}
	}
	if !o.streams.terminal {
		return s.WritePlain(o.streams.out, o.perClass)
	}
	var table strings.Builder
	table.WriteString(s.Table())
	if o.perClass {
		table.WriteString("\n" + s.ClassTable())
	}
	_, err = io.WriteString(o.streams.out, table.String())
	return err
}

// replaceFile writes a file in one step: a failure leaves the old one.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(b)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if e := f.Close(); err == nil {
		err = e
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
