package doctor

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"manvision/internal/finding"
)

// host makes the files that describe a machine.
func host(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		p := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(p), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// sound are the files of a machine without findings, of the forms of proc(5).
func sound() map[string]string {
	return map[string]string{
		"proc/cpuinfo":     "processor\t: 0\nmodel name\t: Some CPU\nflags\t\t: fpu fma avx2 avx512f avx512_bf16 amx_bf16\n\nprocessor\t: 1\nflags\t\t: fpu\n",
		"proc/meminfo":     "MemTotal:       16000000 kB\nMemFree:  1 kB\nMemAvailable:   8000000 kB\n",
		"proc/loadavg":     "0.10 0.20 0.30 1/100 4711\n",
		"proc/self/cgroup": "0::/user/session\n",
		"sys/fs/cgroup/x":  "",
		"var/lib/dpkg/status": "Package: libdnnl2\nStatus: install ok installed\nVersion: 2.6.3-1\n\nPackage: libopencv-core406t64\nStatus: install ok installed\nVersion: 4.6.0+dfsg-12\n\n" +
			"Package: libjpeg62-turbo\nStatus: install ok installed\nVersion: 1:2.1.5-2\n\nPackage: libdeflate-dev\nStatus: install ok installed\nVersion: 9.9-9\n\nPackage: libdeflate0\nStatus: install ok installed\nVersion: 1.14-1\n",
		"sys/kernel/mm/transparent_hugepage/enabled":     "always [madvise] never\n",
		"usr/lib/x86_64-linux-gnu/libdnnl.so.2":          "",
		"usr/lib/x86_64-linux-gnu/libopencv_core.so.406": "",
		"usr/lib/x86_64-linux-gnu/libjpeg.so.62.3.0":     "",
		"usr/lib/x86_64-linux-gnu/libdeflate.so.0":       "",
	}
}

func TestSoundMachine(t *testing.T) {
	m := Look(host(t, sound()))
	if m.CPU != "Some CPU" || len(m.Flags) != len(Wanted) || m.Memory != 16000000<<10 || m.Free() != 8000000<<10 || m.Quota != 0 || m.GroupLimit != 0 || m.HugePages != "madvise" || m.Load != 0.1 {
		t.Errorf("%+v", m)
	}
	for i, want := range []string{"4.6.0", "2.6.3", "2.1.5", "1.14"} {
		if l := m.Libraries[i]; l.Version != want || !strings.HasPrefix(l.File, "/usr/lib/x86_64-linux-gnu/lib") {
			t.Errorf("%+v", l)
		}
	}
	if runtime.GOARCH == "amd64" && m.Environment() != nil {
		t.Errorf("%+v", m.Environment())
	}
}

// Everything that is wrong with a machine comes at once, each with its fix.
func TestFindingsOfAMachine(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the findings on other processors are others")
	}
	files := sound()
	files["proc/cpuinfo"] = "model name\t: Old CPU\nflags\t\t: fpu sse2\n"
	files["proc/loadavg"] = "4000 1 1 1/1 1\n"
	files["sys/kernel/mm/transparent_hugepage/enabled"] = "always madvise [never]\n"
	files["sys/fs/cgroup/user/memory.max"] = "1000000000\n"
	files["sys/fs/cgroup/user/memory.current"] = "900000000\n"
	files["sys/fs/cgroup/user/memory.stat"] = "anon 5\ninactive_file 100000000\n"
	files["sys/fs/cgroup/user/session/memory.max"] = "max\n"
	files["sys/fs/cgroup/user/session/cpu.max"] = "50000 100000\n"
	files["sys/fs/cgroup/cpu.max"] = "max 100000\n"
	delete(files, "usr/lib/x86_64-linux-gnu/libdnnl.so.2")
	delete(files, "usr/lib/x86_64-linux-gnu/libopencv_core.so.406")
	files["usr/local/lib/libopencv_core.so.4.9.0"] = ""
	m := Look(host(t, files))
	if m.GroupLimit != 1000000000 || m.GroupInUse != 800000000 || m.Free() != 200000000 || m.Quota != 0.5 {
		t.Errorf("%+v", m)
	}
	found := m.Environment()
	for _, want := range []string{
		"error libraries: oneDNN is not found",
		"warning libraries: OpenCV is 4.9.0 (/usr/local/lib/libopencv_core.so.4.9.0); tested is 4.6.0",
		"warning processor: Old CPU has no AVX2",
		"warning cores: the control group allows the time of 0.5 cores",
		"warning cores: programs that run already want the time of 4000.0 cores",
		"warning memory: 200 MB are free",
		"note memory: the control group allows 1.00 GB",
		"warning memory: huge pages are off",
	} {
		ok := false
		for _, f := range found {
			ok = ok || strings.HasPrefix(string(f.Severity)+" "+f.Area+": "+f.Kind, want) && f.Fix != ""
		}
		if !ok {
			t.Errorf("missing: %s", want)
		}
	}
	if len(found) != 8 {
		t.Errorf("%+v", found)
	}
}

// Version 1 of control groups, where the group's own folder is not in sight.
func TestGroupVersion1(t *testing.T) {
	files := sound()
	files["proc/self/cgroup"] = "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/\n"
	files["sys/fs/cgroup/memory/memory.limit_in_bytes"] = "2000000000\n"
	files["sys/fs/cgroup/memory/memory.usage_in_bytes"] = "500000000\n"
	files["sys/fs/cgroup/memory/memory.stat"] = "total_inactive_file 100000000\n"
	files["sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"] = "150000\n"
	files["sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us"] = "100000\n"
	if m := Look(host(t, files)); m.GroupLimit != 2000000000 || m.GroupInUse != 400000000 || m.Quota != 1.5 {
		t.Errorf("%+v", m)
	}
	files["sys/fs/cgroup/memory/memory.limit_in_bytes"] = "9223372036854771712\n" // none
	files["sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us"] = "-1\n"
	if m := Look(host(t, files)); m.GroupLimit != 0 || m.Quota != 0 {
		t.Errorf("%+v", m)
	}
}

// A machine that tells nothing is a few findings, no failure; nor is broken text.
func TestUnknownMachine(t *testing.T) {
	m := Look(t.TempDir())
	if m.Free() != 0 || len(m.Unreadable) != 3 || finding.Count(m.Environment(), finding.Error) != len(m.Libraries) {
		t.Errorf("%+v %+v", m, m.Environment())
	}
	files := sound()
	for name := range files {
		files[name] = ":\x00:::\n0::\n\n[[]]:x kB\nflags:"
	}
	Look(host(t, files)).Environment()
}

func TestDisk(t *testing.T) {
	dir := t.TempDir()
	d, err := DiskOf(filepath.Join(dir, "runs", "deep"))
	if err != nil || d.Folder != dir || d.Free <= 0 || d.Total < d.Free || !d.Writable {
		t.Errorf("%+v %v", d, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if f := DiskFindings(filepath.Join(file, "runs")); len(f) != 1 || f[0].Severity != finding.Error || f[0].Fix == "" {
		t.Errorf("%+v", f)
	}
	if os.Getuid() != 0 { // who may write everywhere
		if err := os.Chmod(dir, 0o500); err != nil {
			t.Fatal(err)
		}
		if f := DiskFindings(dir); len(f) != 1 || f[0].Severity != finding.Error {
			t.Errorf("%+v", f)
		}
	}
}
