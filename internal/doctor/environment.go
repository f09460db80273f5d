package doctor

import (
	"fmt"
	"runtime"
	"strings"

	"manvision/internal/finding"
	"manvision/report/progress"
)

// Least amounts below which nothing but toys runs.
const (
	leastMemory = 1 << 30
	leastDisk   = 1 << 30
)

// Environment lists what about a machine hinders trainings or slows them, with its fix.
func (m *Machine) Environment() []finding.Finding {
	var out []finding.Finding
	add := func(area string, s finding.Severity, fix, format string, args ...any) {
		out = append(out, finding.New(area, s, fix, format, args...))
	}
	for _, l := range m.Libraries {
		install := "sudo apt-get install " + l.Package + " (Debian 12, Ubuntu 24.04), then make build"
		switch {
		case l.File == "":
			add("libraries", finding.Error, install, "%s is not found: no command that computes starts", l.Name)
		case l.Version == "":
			add("libraries", finding.Note, "", "%s has no version in its name: %s; tested is %s", l.Name, l.File, l.Tested)
		case minor(l.Version) != minor(l.Tested):
			s := finding.Note // what decodes does so to the same bits
			if l.Name == "OpenCV" || l.Name == "oneDNN" {
				s = finding.Warning
			}
			add("libraries", s, install+"; or make test, to see whether the same results come out", "%s is %s (%s); tested is %s", l.Name, l.Version, l.File, l.Tested)
		}
	}
	m.processorFindings(add)
	if m.Quota > 0 && m.Quota < float64(m.Cores) {
		n := max(1, int(m.Quota))
		add("cores", finding.Warning, fmt.Sprintf("--set threads=%d (and data.workers), or raise the limit (docker run --cpus, CPUQuota=)", n),
			"the control group allows the time of %.3g cores, but %d are in sight: threads beyond it are stopped while the others wait", m.Quota, m.Cores)
	}
	if m.Load > float64(m.Cores)/2 {
		add("cores", finding.Warning, "end what else runs (top), or --set threads to what it leaves",
			"programs that run already want the time of %.1f cores of %d: the threads of a step wait for each other, so that one busy core slows them all", m.Load, m.Cores)
	}
	free := m.Free()
	switch {
	case free == 0:
		add("memory", finding.Note, "", "the system does not tell how much memory is free")
	case free < leastMemory:
		add("memory", finding.Warning, "end what else runs, or raise the limit of the container", "%s are free of %s", progress.Bytes(free), progress.Bytes(m.Memory))
	}
	if m.GroupLimit > 0 && m.GroupLimit < m.Memory {
		add("memory", finding.Note, "docker run --memory, or MemoryMax=, raises it", "the control group allows %s of the machine's %s", progress.Bytes(m.GroupLimit), progress.Bytes(m.Memory))
	}
	if m.HugePages == "never" {
		add("memory", finding.Warning, "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled", "huge pages are off: large layers are slower by some percent")
	}
	for _, e := range m.Unreadable {
		add("system", finding.Note, "", "%s", e)
	}
	return out
}

func (m *Machine) processorFindings(add func(area string, s finding.Severity, fix, format string, args ...any)) {
	if runtime.GOARCH != "amd64" {
		add("processor", finding.Warning, "use an x86-64 machine for speed", "%s: the kernels are tuned for x86-64", m.System)
		return
	}
	const guest = "a virtual machine can hide it: choose the host's CPU model (qemu -cpu host)"
	switch {
	case m.CPU == "" && m.Flags == nil: // unreadable, which is a finding of its own
	case !m.Has("avx2") || !m.Has("fma"):
		add("processor", finding.Warning, guest+"; otherwise use a processor from 2013 on", "%s has no AVX2 with FMA: kernels are several times slower", m.CPU)
	case !m.Has("avx512f"):
		add("processor", finding.Note, guest, "%s has no AVX-512: figures of BENCHMARKS.md are with it", m.CPU)
	case !m.Has("avx512_bf16"):
		add("processor", finding.Note, "nothing to do", "%s has no avx512_bf16: precision bf16 saves memory, but not time", m.CPU)
	}
}

// minor cuts a version to its first two numbers, which is what interfaces depend on.
func minor(v string) string {
	parts := strings.SplitN(v, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}

// DiskFindings says what is wrong with the folder that a command is to write to.
func DiskFindings(path string) []finding.Finding {
	d, err := DiskOf(path)
	switch {
	case err != nil:
		return []finding.Finding{finding.New("disk", finding.Error, "choose another folder", "%v", err)}
	case !d.Writable:
		return []finding.Finding{finding.New("disk", finding.Error, "chmod u+w "+d.Folder+", or choose another folder", "%s may not be written to", d.Folder)}
	case d.Free < leastDisk:
		return []finding.Finding{finding.New("disk", finding.Warning, "make room, or choose a folder on another disk", "%s are free of %s at %s", progress.Bytes(d.Free), progress.Bytes(d.Total), d.Folder)}
	}
	return nil
}
