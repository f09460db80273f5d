package main

import (
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"manvision/internal/cli"
	"manvision/internal/doctor"
)

// origin is how, when and where a run was started.
type origin struct {
	Command string  `json:"command"` // as typed
	Recipe  string  `json:"recipe"`  // as typed
	Started string  `json:"started"` // RFC 3339, UTC
	Program string  `json:"program"` // commit the program was built from, "+" where changed, "" where unknown
	Machine machine `json:"machine"`
}

// machine is what the run had, from internal/doctor.
type machine struct {
	CPU    string `json:"cpu"`    // model's name
	Cores  int    `json:"cores"`  // that the process may run on
	Memory int64  `json:"memory"` // bytes
}

// originOf describes the run that the process's arguments start.
func originOf(recipe string) origin {
	m := doctor.Look("/")
	args := append([]string{filepath.ToSlash(filepath.Clean(os.Args[0]))}, os.Args[1:]...)
	return origin{Command: cli.Quote(args), Recipe: filepath.ToSlash(recipe), Started: time.Now().UTC().Format(time.RFC3339),
		Program: program(), Machine: machine{m.CPU, m.Cores, m.Memory}}
}

// program is the commit that go build noted, its first 12 digits.
func program() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	commit, changed := "", ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value[:min(12, len(s.Value))]
		case s.Key == "vcs.modified" && s.Value == "true":
			changed = "+"
		}
	}
	if commit == "" {
		return ""
	}
	return commit + changed
}
