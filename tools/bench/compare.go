package main

import (
	"errors"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"manvision/internal/bench"
	"manvision/internal/cli"
	"manvision/report"
)

// recording is where figures are kept for comparisons.
type recording struct{ file, commit string }

func (r *recording) flags(c *cobra.Command) {
	c.Flags().StringVar(&r.file, "record", "", "add the figures to this `file` for 'bench compare'; begun where there is none")
	c.Flags().StringVar(&r.commit, "commit", "", "with --record: the source's `name` in a file that is begun")
}

// add keeps figures, if that was asked for.
func (r *recording) add(threads int, figures ...bench.Figure) error {
	if r.file == "" {
		return nil
	}
	rec, err := bench.OpenRecord(r.file, threads, r.commit, time.Now().UTC().Format(time.RFC3339))
	if err != nil {
		return err
	}
	for _, f := range figures {
		rec.Add(f)
	}
	return cli.WriteJSON(r.file, nil, rec)
}

func newGoBench(out io.Writer, o *options) *cobra.Command {
	var r recording
	c := &cobra.Command{Use: "gobench --record FILE", Short: "Record what 'go test -bench' prints, read from standard input", Args: cobra.NoArgs,
		Example: "  go test -run '^$' -bench . -count 5 ./exec | bin/bench gobench --record new.json",
		RunE: func(*cobra.Command, []string) error {
			if r.file == "" {
				return errors.New("--record is missing: the file for the figures")
			}
			list, err := bench.GoBenchmarks(io.TeeReader(os.Stdin, out))
			if err != nil {
				return err
			}
			return r.add(o.threads, list...)
		}}
	r.flags(c)
	return c
}

// errLoss makes the exit status 1.
var errLoss = errors.New("some benchmarks got worse beyond noise, or are missing")

func newCompare(out io.Writer) *cobra.Command {
	var file string
	var floor float64
	c := &cobra.Command{Use: "compare OLD.json NEW.json", Short: "Ratios of two files of 'make bench'; fails when something got worse", Args: cobra.ExactArgs(2),
		Long: `Compares the medians of every benchmark. A change counts when it is larger than
--floor and the medians' intervals, ± 1.7·1.25·s/√n with s from the median absolute
deviation of the runs, do not overlap (the notches of McGill, Tukey and Larsen 1978);
with fewer than three runs, when it is larger than 10 %. Where a peer was timed in
turn, the ratio to it has to have changed as well. Ratios above 1 are worse.

Exit status: 0 nothing got worse; 1 something did, or is missing, or a file cannot be
read.`,
		RunE: func(_ *cobra.Command, args []string) error {
			var records [2]*bench.Record
			for i, path := range args {
				var err error
				if records[i], err = bench.ReadRecord(path); err != nil {
					return err
				}
			}
			if !(floor >= 0) {
				return errors.New("--floor must not be negative")
			}
			list := bench.Compare(records[0], records[1], floor)
			if file != "" {
				if err := cli.WriteJSON(file, out, list); err != nil {
					return err
				}
			}
			if file != "-" {
				if err := bench.WriteChanges(out, report.IsTerminal(out), records[0], records[1], list); err != nil {
					return err
				}
			}
			if bench.Lost(list) {
				return errLoss
			}
			return nil
		}}
	c.Flags().Float64Var(&floor, "floor", 0.02, "share by which medians may differ whatever their spread")
	c.Flags().StringVar(&file, "json", "", "write the comparison as JSON to `file` (- for standard output)")
	return c
}
