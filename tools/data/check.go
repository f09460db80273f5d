package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"manvision/data"
	"manvision/data/classes"
	"manvision/data/coco"
	"manvision/data/labelmap"
	"manvision/internal/cli"
	"manvision/internal/finding"
	"manvision/report"
)

type checkOptions struct {
	location
	json           string
	fast, classes  bool
	examples       int
	stdout, stderr io.Writer
}

func newCheckCmd(runF func(context.Context, *checkOptions) error) *cobra.Command {
	o := &checkOptions{}
	cmd := &cobra.Command{
		Use:   "check [DIR]",
		Short: "Look for everything that is wrong with a data set, at once",
		Long: `Read every annotation and label map and decode every image of a data set, and list
all findings: missing and broken files, sizes that differ, bad boxes, unknown
categories, duplicates, images without boxes; label values that no class has, RGB or
palette label files, images without label maps; empty classes, files that are no
images, labels out of range, the same image in two classes. Pixels are counted by class.

` + layouts + `
CityScapes' test split is looked at only where --split names it.

Exit status: 0 nothing is wrong (warnings and notes aside), 1 errors were found,
2 wrong usage or a file that cannot be read.`,
		Example: `  data check datasets/coco
  data check datasets/coco --split val2017 --json report.json
  data check --annotations my.json --images photos
  data check datasets/cityscapes --split val
  data check datasets/cifar-10-binary.tar.gz --classes
  data check --images photos --labels masks --names background,cat,dog --ignore 255`,
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
	o.location.flags(cmd)
	f.BoolVar(&o.fast, "headers", false, "read image headers only, do not decode")
	f.BoolVar(&o.classes, "classes", false, "also print objects or images of each class (label maps: always)")
	f.IntVar(&o.examples, "examples", 5, "examples to list for each kind of finding")
	f.StringVar(&o.json, "json", "", "also write the report as JSON to this file, - for stdout instead of the table")
	return cmd
}

func runCheck(ctx context.Context, o *checkOptions) error {
	if o.examples < 1 {
		return usagef("--examples %d must be at least 1", o.examples)
	}
	parts, err := o.parts()
	if err != nil {
		return err
	}
	var reports []any
	failed := 0
	for _, p := range parts {
		step, done := cli.NewBar(o.stderr, -1, "checking "+p.name)
		var r checked
		switch {
		case p.set != nil:
			r, err = checkClasses(ctx, o, p, step)
		case p.maps != nil:
			r, err = checkMaps(ctx, o, p, step)
		default:
			r, err = checkBoxes(ctx, o, p, step)
		}
		done()
		var boxes *coco.InputError
		var maps *labelmap.InputError
		var classed *classes.InputError
		switch {
		case ctx.Err() != nil:
			return errors.New("interrupted")
		case errors.As(err, &boxes) || errors.As(err, &maps) || errors.As(err, &classed):
			return usageError{err}
		case err != nil:
			return usagef("%s: %w", p.name, err)
		}
		failed += r.errors
		reports = append(reports, r.json)
		if o.json != "-" {
			if err := r.print(); err != nil {
				return err
			}
			if err := finding.Write(o.stdout, r.findings); err != nil {
				return err
			}
		}
	}
	if o.json != "" {
		out := struct {
			Errors int   `json:"errors"`
			Parts  []any `json:"parts"`
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

// checked is what was found in a part.
type checked struct {
	errors   int
	json     any
	findings []finding.Finding
	print    func() error // the tables
}

func checkBoxes(ctx context.Context, o *checkOptions, p part, step func()) (checked, error) {
	r, err := data.CheckDetection(ctx, p.annotations, p.images, data.CheckOptions{HeadersOnly: o.fast, Examples: o.examples, Progress: step})
	if err != nil {
		return checked{}, err
	}
	return checked{errors: r.Errors(), json: r, findings: r.Findings, print: func() error { return printBoxes(o, p.name, r) }}, nil
}

func printBoxes(o *checkOptions, name string, r *data.CheckReport) error {
	tty := report.IsTerminal(o.stdout)
	t := report.NewTable("part", "images", "objects", "crowds", "small", "medium", "large", "classes", "images without box", "most objects")
	t.Row(name, r.Images, r.Objects, r.Crowds, r.Small, r.Medium, r.Large, len(r.Classes), r.WithoutBox, r.MaxPerImage)
	if err := t.Write(o.stdout, tty); err != nil || !o.classes {
		return err
	}
	t = report.NewTable("label", "category id", "name", "objects", "images")
	for _, k := range r.Classes {
		t.Row(k.Label, k.CategoryID, k.Name, k.Objects, k.Images)
	}
	return t.Write(o.stdout, tty)
}

func checkMaps(ctx context.Context, o *checkOptions, p part, step func()) (checked, error) {
	r, err := p.maps.check(ctx, labelmap.CheckOptions{HeadersOnly: o.fast, Examples: o.examples, Progress: step})
	var bad *labelmap.InputError
	if errors.As(err, &bad) && o.split == "" && o.labels == "" {
		// A part of several, such as a split without its folder of labels, does not keep
		// the others from being looked at.
		r, err = &labelmap.Report{Source: bad.Path, Findings: []labelmap.Finding{
			{Severity: labelmap.SeverityError, Kind: string(bad.Kind), Count: 1, Examples: []string{bad.Error()}}}}, nil
	}
	if err != nil {
		return checked{}, err
	}
	return checked{errors: r.Errors(), json: r, findings: r.Findings, print: func() error { return printMaps(o, p.name, r) }}, nil
}

func printMaps(o *checkOptions, name string, r *labelmap.Report) error {
	tty := report.IsTerminal(o.stdout)
	percent := func(n, of int64) string {
		if of == 0 {
			return "-"
		}
		return fmt.Sprintf("%.2f%%", 100*float64(n)/float64(of))
	}
	found := 0
	classes := report.NewTable("class", "name", "pixels", "share", "images")
	for _, k := range r.Classes {
		if k.Pixels > 0 {
			found++
		}
		classes.Row(k.ID, k.Name, k.Pixels, percent(k.Pixels, r.Pixels-r.Ignored), k.Images)
	}
	classes.Row("-", "ignored (share of all)", r.Ignored, percent(r.Ignored, r.Pixels), "")
	t := report.NewTable("part", "labels", "images", "broken", "pixels", "classes", "classes found")
	t.Row(name, r.Labels, r.Pairs, r.Broken, r.Pixels, len(r.Classes), found)
	if err := t.Write(o.stdout, tty); err != nil {
		return err
	}
	return classes.Write(o.stdout, tty)
}
