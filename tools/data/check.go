package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"manvision/data"
	"manvision/data/coco"
	"manvision/report"
)

type checkOptions struct {
	dir, split, annotations, images, json string
	fast, classes                         bool
	examples                              int
	stdout, stderr                        io.Writer
}

func newCheckCmd(runF func(context.Context, *checkOptions) error) *cobra.Command {
	o := &checkOptions{}
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "Look for everything that is wrong with a COCO data set, at once",
		Long: `Read every annotation and decode every image of a data set in COCO form and list
all findings: missing and broken images, sizes that differ from the annotations,
bad boxes, unknown categories, duplicates, images without boxes.

DIR holds annotations/instances_NAME.json and the image folders NAME.

Exit status: 0 nothing is wrong (warnings and notes aside), 1 errors were found,
2 wrong usage or a file that cannot be read.`,
		Example: `  data check datasets/coco
  data check datasets/coco --split val2017 --json report.json
  data check --annotations my.json --images photos`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.dir = args[0]
			}
			o.stdout, o.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return runF(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.split, "split", "", "check only this part, NAME of instances_NAME.json")
	f.StringVar(&o.annotations, "annotations", "", "instances file, instead of DIR")
	f.StringVar(&o.images, "images", "", "image folder, instead of DIR/NAME")
	f.BoolVar(&o.fast, "headers", false, "read image headers only, do not decode")
	f.BoolVar(&o.classes, "classes", false, "also print objects and images of each class")
	f.IntVar(&o.examples, "examples", 5, "examples to list for each kind of finding")
	f.StringVar(&o.json, "json", "", "also write the report as JSON to this file, - for stdout instead of the table")
	return cmd
}

func runCheck(ctx context.Context, o *checkOptions) error {
	if o.examples < 1 {
		return usagef("--examples %d must be at least 1", o.examples)
	}
	parts, err := findParts(o.dir, o.split, o.annotations, o.images)
	if err != nil {
		return err
	}
	var reports []*data.CheckReport
	failed := 0
	for _, p := range parts {
		step, done := newBar(o.stderr, -1, "checking "+p.name)
		r, err := data.CheckDetection(ctx, p.annotations, p.images, data.CheckOptions{HeadersOnly: o.fast, Examples: o.examples, Progress: step})
		done()
		var input *coco.InputError
		switch {
		case ctx.Err() != nil:
			return errors.New("interrupted")
		case errors.As(err, &input):
			return usageError{err}
		case err != nil:
			return usagef("%s: %w", p.name, err)
		}
		failed += r.Errors()
		reports = append(reports, r)
		if o.json != "-" {
			if err := printCheck(o, p.name, r); err != nil {
				return err
			}
		}
	}
	if o.json != "" {
		out := struct {
			Errors int                 `json:"errors"`
			Parts  []*data.CheckReport `json:"parts"`
		}{failed, reports}
		if err := writeJSON(o.json, o.stdout, out); err != nil {
			return err
		}
	}
	if failed > 0 {
		fmt.Fprintf(o.stderr, "%d errors found\n", failed)
		return errFound
	}
	return nil
}

func printCheck(o *checkOptions, name string, r *data.CheckReport) error {
	tty := report.IsTerminal(o.stdout)
	t := report.NewTable("part", "images", "objects", "crowds", "small", "medium", "large", "classes", "images without box", "most objects")
	t.Row(name, r.Images, r.Objects, r.Crowds, r.Small, r.Medium, r.Large, len(r.Classes), r.WithoutBox, r.MaxPerImage)
	if err := t.Write(o.stdout, tty); err != nil {
		return err
	}
	if o.classes {
		t = report.NewTable("label", "category id", "name", "objects", "images")
		for _, k := range r.Classes {
			t.Row(k.Label, k.CategoryID, k.Name, k.Objects, k.Images)
		}
		if err := t.Write(o.stdout, tty); err != nil {
			return err
		}
	}
	for _, f := range r.Findings {
		fmt.Fprintf(o.stdout, "%s: %s: %d\n", f.Severity, f.Kind, f.Count)
		for _, e := range f.Examples {
			fmt.Fprintf(o.stdout, "  %s\n", e)
		}
		if n := f.Count - len(f.Examples); n > 0 {
			fmt.Fprintf(o.stdout, "  and %d more\n", n)
		}
	}
	if len(r.Findings) == 0 {
		fmt.Fprintln(o.stdout, "no findings")
	}
	return nil
}
