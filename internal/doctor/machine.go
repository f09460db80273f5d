// Package doctor looks at the machine that trainings run on: processor, memory,
// limits of its control group, libraries, disk. It links neither OpenCV nor oneDNN, so
// that it works where these are missing.
package doctor

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
)

// Machine is what a training run has at hand. Sizes are in bytes; what the system does
// not tell is 0 or empty.
type Machine struct {
	System string `json:"system"` // such as linux/amd64
	CPU    string `json:"cpu"`
	Cores  int    `json:"cores"` // that the process may run on
	// Quota is how many cores' time the control group allows, 0 for no limit.
	Quota float64 `json:"quota"`
	// Flags are those of Wanted that the processor has.
	Flags []string `json:"flags"`
	Load  float64  `json:"load"` // programs that ran on average in the last minute

	Memory     int64     `json:"memory"`
	Available  int64     `json:"available"`    // without swapping
	GroupLimit int64     `json:"group_limit"`  // of the control group, 0 for none
	GroupInUse int64     `json:"group_in_use"` // without what the system can drop
	HugePages  string    `json:"huge_pages"`   // transparent ones: always, madvise, never
	Libraries  []Library `json:"libraries"`
	Unreadable []string  `json:"unreadable,omitempty"` // files of the system
}

// Wanted lists the processor's abilities that kernels make use of, with what for.
var Wanted = []struct{ Flag, Use string }{
	{"avx2", "the vector kernels"},
	{"fma", "the vector kernels"},
	{"avx512f", "the fastest float32 kernels"},
	{"avx512_bf16", "precision bf16"},
	{"amx_bf16", "precision bf16 on tiles"},
}

// Free is how much memory a program can still take: what the machine has available or,
// where that is less, what the control group leaves; 0 where the system does not tell.
func (m *Machine) Free() int64 {
	free := m.Available
	if m.GroupLimit > 0 {
		left := max(m.GroupLimit-m.GroupInUse, 1)
		if free == 0 || left < free {
			free = left
		}
	}
	return free
}

// Has reports whether the processor has an ability of Wanted.
func (m *Machine) Has(flag string) bool {
	for _, f := range m.Flags {
		if f == flag {
			return true
		}
	}
	return false
}

// Look looks at the machine whose file system has its root there: "/".
func Look(root string) *Machine {
	m := &Machine{System: runtime.GOOS + "/" + runtime.GOARCH, Cores: runtime.NumCPU()}
	s := system{root, m}
	s.processor()
	s.memory()
	s.group()
	if fields := strings.Fields(string(s.read("proc/loadavg", true))); len(fields) > 0 {
		m.Load, _ = strconv.ParseFloat(fields[0], 64)
	}
	_, rest, _ := strings.Cut(string(s.read("sys/kernel/mm/transparent_hugepage/enabled", false)), "[")
	m.HugePages, _, _ = strings.Cut(rest, "]")
	m.Libraries = s.libraries()
	return m
}

// system reads the files that describe a machine.
type system struct {
	root string
	m    *Machine
}

// read reads a file below the root, which may be missing; where it must not be, that is
// noted.
func (s system) read(name string, must bool) []byte {
	b, err := os.ReadFile(filepath.Join(s.root, name))
	if err != nil && must {
		s.m.Unreadable = append(s.m.Unreadable, err.Error())
	}
	return b
}

func (s system) processor() {
	lines := bufio.NewScanner(bytes.NewReader(s.read("proc/cpuinfo", true)))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		key, value, _ := strings.Cut(lines.Text(), ":")
		switch strings.TrimSpace(key) {
		case "model name":
			s.m.CPU = strings.TrimSpace(value)
		case "flags":
			have := " " + value + " "
			for _, w := range Wanted {
				if strings.Contains(have, " "+w.Flag+" ") {
					s.m.Flags = append(s.m.Flags, w.Flag)
				}
			}
			return // all cores are alike
		}
	}
}

func (s system) memory() {
	for _, line := range strings.Split(string(s.read("proc/meminfo", true)), "\n") {
		key, value, _ := strings.Cut(line, ":")
		kib, _ := strconv.ParseInt(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 10, 64)
		switch key {
		case "MemTotal":
			s.m.Memory = kib << 10
		case "MemAvailable":
			s.m.Available = kib << 10
		}
	}
}
