package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"manvision/data/classes"
	"manvision/data/unpack"
	"manvision/internal/cli"
	"manvision/internal/doctor"
	"manvision/internal/finding"
	"manvision/report"
)

type prepareOptions struct {
	set            *dataset
	dir            string
	archives       []string
	replace        bool
	json           string
	stdout, stderr io.Writer
}

// preparation is what prepare did and found.
type preparation struct {
	Set      string          `json:"set"`
	Dir      string          `json:"dir"`
	Unpacked []unpack.Report `json:"unpacked"`
	Parts    []*preparedPart `json:"parts"`
	Missing  []string        `json:"missing"` // archives of parts that are not there
	Errors   int             `json:"errors"`
	Next     []string        `json:"next"` // commands to go on with
}

func newPrepareCmd(runF func(context.Context, *prepareOptions) error) *cobra.Command {
	prepare := &cobra.Command{
		Use:   "prepare",
		Short: "Unpack the archives of a data set and look whether all of it is there",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("name the data set: coco, cityscapes, cifar10 or cifar100; see %s --help", cmd.CommandPath())
		},
	}
	for i := range datasets {
		prepare.AddCommand(newPrepareSetCmd(&datasets[i], runF))
	}
	return prepare
}

func newPrepareSetCmd(set *dataset, runF func(context.Context, *prepareOptions) error) *cobra.Command {
	o := &prepareOptions{set: set}
	example := "  data prepare " + set.name
	for _, a := range set.archives {
		example += " --archive " + a.file
	}
	cmd := &cobra.Command{
		Use:   set.name + " [--archive FILE]... DIR",
		Short: set.title,
		Long: fmt.Sprintf(`Unpack archives of %s that were downloaded (.zip or .tar.gz) into the folder DIR,
only what belongs to the data set and nothing outside of DIR, then look whether the
layout is whole: the images of each part, whether each has its label, and sizes from
the files' headers ('data check' decodes all). Every file is written under another
name first: a second run goes on where one was stopped, and compares what is there.
Without --archive only the layout is looked at.

%s
Exit status: 0 done, also where a part is not there at all; 1 something of a part is
missing or wrong; 2 wrong usage, or an archive that is damaged or refused.`, set.title, set.terms),
		Example: example + " datasets/" + set.name + "\n  data prepare " + set.name + " datasets/" + set.name,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			o.dir, o.stdout, o.stderr = args[0], cmd.OutOrStdout(), cmd.ErrOrStderr()
			return runF(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringArrayVar(&o.archives, "archive", nil, "archive to unpack; may be given several times")
	f.BoolVar(&o.replace, "replace", false, "write files anew that are there with other contents than in the archive")
	f.StringVar(&o.json, "json", "", "also write what was done and found as JSON to this file, - for stdout instead of the table")
	return cmd
}

func runPrepare(ctx context.Context, o *prepareOptions) error {
	p := &preparation{Set: o.set.name, Dir: o.dir, Unpacked: []unpack.Report{}}
	for _, file := range o.archives {
		r, err := o.unpack(ctx, file)
		if err != nil {
			return err
		}
		fmt.Fprintf(o.stderr, "%s: %d files written, %d there already, %d of other kinds left out\n", file, r.Written, r.Kept, r.LeftOut)
		p.Unpacked = append(p.Unpacked, r)
	}
	if err := o.look(ctx, p); err != nil {
		return err
	}
	if o.json != "-" {
		if err := o.print(p); err != nil {
			return err
		}
	}
	if o.json != "" {
		if err := writeJSON(o.json, o.stdout, p); err != nil {
			return err
		}
	}
	if p.Errors > 0 {
		fmt.Fprintf(o.stderr, "%d errors found\n", p.Errors)
		return errFound
	}
	return nil
}

// unpack unpacks an archive.
func (o *prepareOptions) unpack(ctx context.Context, file string) (unpack.Report, error) {
	step, done := cli.NewBar(o.stderr, -1, "unpacking "+file)
	r, err := unpack.Archive(ctx, file, o.dir, unpack.Options{Select: o.set.has, Replace: o.replace, Progress: step, Room: o.room})
	done()
	var bad *classes.InputError
	switch {
	case ctx.Err() != nil:
		return r, errors.New("interrupted; the same command goes on")
	case errors.As(err, &bad) && bad.Kind == classes.NoImages:
		return r, usagef("%w; files of %s are called %s", err, o.set.title, strings.Join(o.set.files, ", "))
	case errors.As(err, &bad):
		return r, usageError{err}
	case err != nil && !o.replace:
		return r, fmt.Errorf("%w (--replace)", err)
	}
	return r, err
}

// room looks whether the disk has room for what an archive will take.
func (o *prepareOptions) room(bytes int64) error {
	disk, err := doctor.DiskOf(o.dir)
	if err != nil {
		return err
	}
	if bytes > disk.Free {
		return fmt.Errorf("%s: %.1f GB are to be written, and %.1f GB are free: make room or choose another folder", o.dir, float64(bytes)/1e9, float64(disk.Free)/1e9)
	}
	return nil
}

// print shows the parts, what is wrong and what to do next.
func (o *prepareOptions) print(p *preparation) error {
	t := report.NewTable("part", "images", "with label", "published", "state")
	for _, part := range p.Parts {
		t.Row(part.Name, part.Images, part.Labelled, part.Published, part.State)
	}
	if err := t.Write(o.stdout, report.IsTerminal(o.stdout)); err != nil {
		return err
	}
	for _, part := range p.Parts {
		if len(part.Findings) == 0 {
			continue
		}
		fmt.Fprintf(o.stdout, "%s:\n", part.Name)
		if err := finding.Write(o.stdout, part.Findings); err != nil {
			return err
		}
	}
	for _, m := range p.Missing {
		fmt.Fprintf(o.stdout, "missing: %s\n", m)
	}
	for _, n := range p.Next {
		fmt.Fprintf(o.stdout, "next: %s\n", n)
	}
	return nil
}
