package doctor

import (
	"path"
	"strconv"
	"strings"
)

// group reads the limits of the process's control group (cgroups(7), version 1 or 2)
// and of the groups above it: the tightest counts.
func (s system) group() {
	for _, line := range strings.Split(string(s.read("proc/self/cgroup", false)), "\n") {
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 {
			continue
		}
		controllers, dir := parts[1], path.Clean("/"+parts[2])
		for _, c := range strings.Split(controllers, ",") {
			for _, mount := range []string{controllers, c} {
				base := path.Join("sys/fs/cgroup", mount)
				switch c {
				case "": // version 2
					s.each(base, dir, s.memory2, s.cpu2)
				case "memory":
					s.each(base, dir, s.memory1)
				case "cpu":
					s.each(base, dir, s.cpu1)
				}
			}
		}
	}
}

// each calls the readers for a group's folder and for all above it. In a container the
// group's own path may not be there: its folder is then the root of what it sees.
func (s system) each(base, dir string, readers ...func(dir string)) {
	for {
		for _, read := range readers {
			read(path.Join(base, dir))
		}
		if dir == "/" || dir == "." {
			return
		}
		dir = path.Dir(dir)
	}
}

// number is the whole number that a file or a part of it holds; false for "max".
func number(text string) (int64, bool) {
	n, err := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
	return n, err == nil && n >= 0
}

func (s system) memory2(dir string) {
	s.limitMemory(dir, "memory.max", "memory.current", "inactive_file ")
}

func (s system) memory1(dir string) {
	s.limitMemory(dir, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file ")
}

// noLimit is about what version 1 shows for no limit.
const noLimit = 1 << 60

func (s system) limitMemory(dir, limitFile, usageFile, droppable string) {
	limit, ok := number(string(s.read(path.Join(dir, limitFile), false)))
	if !ok || limit >= noLimit {
		return
	}
	used, _ := number(string(s.read(path.Join(dir, usageFile), false)))
	for _, line := range strings.Split(string(s.read(path.Join(dir, "memory.stat"), false)), "\n") {
		if rest, ok := strings.CutPrefix(line, droppable); ok {
			cache, _ := number(rest)
			used = max(used-cache, 0)
		}
	}
	if m := s.m; m.GroupLimit == 0 || limit-used < m.GroupLimit-m.GroupInUse {
		m.GroupLimit, m.GroupInUse = limit, used
	}
}

func (s system) cpu2(dir string) {
	if f := strings.Fields(string(s.read(path.Join(dir, "cpu.max"), false))); len(f) == 2 {
		s.limitCPU(f[0], f[1])
	}
}

func (s system) cpu1(dir string) {
	s.limitCPU(string(s.read(path.Join(dir, "cpu.cfs_quota_us"), false)), string(s.read(path.Join(dir, "cpu.cfs_period_us"), false)))
}

func (s system) limitCPU(quota, period string) {
	q, ok := number(quota)
	p, _ := number(period)
	if !ok || q == 0 || p == 0 {
		return
	}
	if cores := float64(q) / float64(p); s.m.Quota == 0 || cores < s.m.Quota {
		s.m.Quota = cores
	}
}
