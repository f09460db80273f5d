package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strings"

	"manvision/config"
	"manvision/internal/cli"
	"manvision/internal/profile"
	"manvision/train"
)

// Steps that --profile leaves out, since memory is touched for the first time, and
// those it records; rows of its tables that are printed.
const (
	profileSkip  = 2
	profileSteps = 5
	profileRows  = 20
)

// profiling is what --profile and --pprof do during a run.
type profiling struct {
	o        *options
	name     string
	recorder *profile.Recorder // nil without --profile
	peaks    *profile.Peaks
	cpu      *os.File // nil without --pprof
	say      func(string)
	written  bool
	err      error
}

// startProfile measures the machine's peaks, on a device that is gone before the
// training's own is made, and starts Go's profile.
func (o *options) startProfile(cfg *config.Config, say func(string)) (*profiling, error) {
	p := &profiling{o: o, name: cfg.Name, say: say}
	if o.profile != "" {
		if !p.oneFile() {
			if err := os.MkdirAll(o.profile, 0o777); err != nil {
				return nil, cli.Input(fmt.Errorf("--profile: %w", err))
			}
		} else if _, err := os.Stat(filepath.Dir(o.profile)); err != nil {
			return nil, cli.Input(fmt.Errorf("--profile: %w", err))
		}
		dev, err := o.open(train.Threads(cfg))
		if err != nil {
			return nil, err
		}
		p.peaks, err = profile.Measure(dev)
		if err = errors.Join(err, dev.Close()); err != nil {
			return nil, err
		}
		p.recorder = &profile.Recorder{Skip: profileSkip, Steps: profileSteps, Done: p.write}
	}
	if o.pprof != "" {
		if err := os.MkdirAll(o.pprof, 0o777); err != nil {
			return nil, cli.Input(fmt.Errorf("--pprof: %w", err))
		}
		f, err := os.Create(filepath.Join(o.pprof, "cpu.pprof"))
		if err != nil {
			return nil, cli.Input(fmt.Errorf("--pprof: %w", err))
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return nil, errors.Join(fmt.Errorf("--pprof: %w", err), f.Close())
		}
		p.cpu = f
	}
	return p, nil
}

// oneFile reports whether --profile names a file for everything.
func (p *profiling) oneFile() bool { return strings.HasSuffix(p.o.profile, ".json") }

// write leaves the profile of the recorded steps and prints its beginning.
func (p *profiling) write() {
	p.written = true
	r, trace := p.recorder.Report(p.name, p.peaks)
	if r == nil {
		p.say(fmt.Sprintf("no profile: the run ended within its first %d steps", profileSkip+1))
		return
	}
	var table bytes.Buffer
	if err := r.Write(&table, true, profileRows); err != nil {
		p.err = err
		return
	}
	p.say(table.String())
	var b bytes.Buffer
	if p.oneFile() {
		if p.err = trace.Write(&b, p.name, r); p.err == nil {
			p.err = cli.ReplaceFile(p.o.profile, b.Bytes())
		}
		return
	}
	var all bytes.Buffer
	p.err = errors.Join(trace.Write(&b, p.name, nil), r.Write(&all, true, 0))
	if p.err == nil {
		p.err = errors.Join(
			cli.ReplaceFile(filepath.Join(p.o.profile, "trace.json"), b.Bytes()),
			cli.ReplaceFile(filepath.Join(p.o.profile, "ops.txt"), all.Bytes()),
			cli.WriteJSON(filepath.Join(p.o.profile, "ops.json"), nil, r))
	}
}

// finish writes what has not been written when the run ends.
func (p *profiling) finish() error {
	if p.recorder != nil && !p.written {
		p.write()
	}
	if p.cpu == nil {
		return p.err
	}
	pprof.StopCPUProfile()
	errs := []error{p.err, p.cpu.Close()}
	f, err := os.Create(filepath.Join(p.o.pprof, "heap.pprof"))
	if err != nil {
		return errors.Join(append(errs, fmt.Errorf("--pprof: %w", err))...)
	}
	runtime.GC() // the heap's profile is as of the last collection
	return errors.Join(append(errs, pprof.WriteHeapProfile(f), f.Close())...)
}
