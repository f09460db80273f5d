package main

import (
	"fmt"
	"io"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"manvision/internal/cli"
	"manvision/internal/doctor"
	"manvision/internal/finding"
	"manvision/report/progress"
)

// options are the inputs of the command.
type options struct {
	streams *cli.Streams
	root    string // of the file system that describes the machine
	folder  string // whose disk counts
	json    string // file, "-" for stdout, "" for none
}

// result is what --json holds.
type result struct {
	Errors   int               `json:"errors"`
	Warnings int               `json:"warnings"`
	Notes    int               `json:"notes"`
	Machine  *doctor.Machine   `json:"machine"`
	Disk     *doctor.Disk      `json:"disk,omitempty"`
	Findings []finding.Finding `json:"findings"`
}

func newCmd(s *cli.Streams) *cobra.Command {
	o := &options{streams: s}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at the machine that trainings are to run on",
		Long: `Looks at the processor (AVX2, AVX-512, bf16, AMX), the cores and the memory with the
limits of the control group that a container runs in, huge pages, the versions of
OpenCV, oneDNN, libjpeg and libdeflate against those that were tested, what is needed
to build, and the disk, and prints every finding with its fix. It starts where these
libraries are missing, too. 'train --config C.yaml --check' looks at a recipe, its
data and its weights as well.

Exit status: 0 nothing is wrong (warnings and notes aside), 1 errors were found,
2 wrong usage.`,
		Example: `  doctor
  doctor --folder /data/runs
  doctor --json machine.json`,
		Args: cli.NoArgs,
		RunE: func(*cobra.Command, []string) error { return run(o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.folder, "folder", ".", "`folder` that runs are to be written to: its disk is looked at")
	f.StringVar(&o.root, "root", "/", "`folder` that holds the system's proc, sys, usr and var, such as a container's")
	f.StringVar(&o.json, "json", "", "write everything as JSON to `file` (- for stdout instead of the table)")
	return cmd
}

// tools are what builds the commands, with what to do where one is missing.
var tools = []struct{ name, fix string }{
	{"go", "install Go 1.25 or newer: https://go.dev/dl"},
	{"make", "sudo apt-get install make"},
	{"pkg-config", "sudo apt-get install pkg-config"},
	{"g++", "sudo apt-get install g++"},
}

func run(o *options) error {
	m := doctor.Look(o.root)
	r := result{Machine: m, Findings: m.Environment()}
	if d, err := doctor.DiskOf(o.folder); err == nil {
		r.Disk = &d
	}
	r.Findings = append(r.Findings, doctor.DiskFindings(o.folder)...)
	for _, t := range tools {
		if _, err := exec.LookPath(t.name); err != nil {
			r.Findings = append(r.Findings, finding.New("build", finding.Note, t.fix, "%s is not installed; it is needed to build the commands only", t.name))
		}
	}
	finding.SortBySeverity(r.Findings)
	r.Errors, r.Warnings, r.Notes = finding.Count(r.Findings, finding.Error), finding.Count(r.Findings, finding.Warning), finding.Count(r.Findings, finding.Note)
	if o.json != "" {
		if err := cli.WriteJSON(o.json, o.streams.Out, r); err != nil {
			return err
		}
	}
	if o.json != "-" {
		if err := write(o.streams.Out, o.streams.Terminal, &r); err != nil {
			return err
		}
	}
	if r.Errors > 0 {
		return fmt.Errorf("%d errors found", r.Errors)
	}
	return nil
}

// write prints what the machine has, then the findings. It does without the tables of
// package report, which link libdeflate.
func write(out io.Writer, terminal bool, r *result) error {
	var text strings.Builder
	row := func(name, format string, args ...any) {
		if terminal {
			name = fmt.Sprintf("%-14s ", name)
		} else {
			name += "\t"
		}
		fmt.Fprintf(&text, name+format+"\n", args...)
	}
	m := r.Machine
	row("machine", "%s", m.System)
	row("processor", "%s", m.CPU)
	var flags []string
	for _, w := range doctor.Wanted {
		flags = append(flags, w.Flag+" "+map[bool]string{true: "yes", false: "no"}[m.Has(w.Flag)])
	}
	row("vector units", "%s", strings.Join(flags, ", "))
	limit := ""
	if m.Quota > 0 {
		limit = fmt.Sprintf(", limited to the time of %.3g", m.Quota)
	}
	row("cores", "%d%s; load %.1f", m.Cores, limit, m.Load)
	limit = ""
	if m.GroupLimit > 0 {
		limit = fmt.Sprintf("; the control group allows %s", progress.Bytes(m.GroupLimit))
	}
	row("memory", "%s, %s free%s", progress.Bytes(m.Memory), progress.Bytes(m.Free()), limit)
	row("huge pages", "%s", m.HugePages)
	for _, l := range m.Libraries {
		have := l.Version
		if l.File == "" {
			have = "not found"
		} else if have == "" {
			have = "of unknown version"
		}
		row(l.Name, "%s (tested: %s)", have, l.Tested)
	}
	if r.Disk != nil {
		row("disk", "%s free of %s at %s", progress.Bytes(r.Disk.Free), progress.Bytes(r.Disk.Total), r.Disk.Folder)
	}
	if _, err := fmt.Fprintln(out, text.String()); err != nil {
		return err
	}
	return finding.Write(out, r.Findings)
}
