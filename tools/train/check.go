package main

import (
	"context"
	"errors"
	"fmt"

	"manvision/internal/cli"
	"manvision/internal/doctor"
	"manvision/internal/finding"
	"manvision/internal/preflight"
)

// checked is what --check --json holds.
type checked struct {
	Recipe   string            `json:"recipe"`
	Errors   int               `json:"errors"`
	Warnings int               `json:"warnings"`
	Notes    int               `json:"notes"`
	Machine  *doctor.Machine   `json:"machine"`
	Findings []finding.Finding `json:"findings"`
}

// runCheck prints everything that it finds about a run, a recipe that does not load
// included.
func runCheck(ctx context.Context, o *options) error {
	r := checked{Recipe: o.config, Machine: doctor.Look("/")}
	cfg, err := o.recipe()
	var bad *cli.InputError
	if errors.As(err, &bad) {
		err = bad.Err // the faults by themselves
	}
	if err != nil {
		r.Findings = append(preflight.Recipe(err), r.Machine.Environment()...)
	} else {
		opts := preflight.Options{Machine: r.Machine, Open: o.open, Resume: o.resume, ResumeAuto: o.auto, Progress: func(split string) (step, done func()) {
			return cli.NewBar(o.streams.Err, -1, "looking at "+split)
		}}
		if r.Findings, err = preflight.Check(ctx, cfg, opts); err != nil {
			return err
		}
	}
	r.Errors, r.Warnings, r.Notes = finding.Count(r.Findings, finding.Error), finding.Count(r.Findings, finding.Warning), finding.Count(r.Findings, finding.Note)
	if o.json != "" {
		if err := cli.WriteJSON(o.json, o.streams.Out, r); err != nil {
			return err
		}
	}
	if o.json != "-" {
		if err := finding.Write(o.streams.Out, r.Findings); err != nil {
			return err
		}
	}
	if r.Errors > 0 {
		return fmt.Errorf("%d errors and %d warnings found in %s", r.Errors, r.Warnings, o.config)
	}
	return nil
}
