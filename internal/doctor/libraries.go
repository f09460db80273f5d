package doctor

import (
	"bufio"
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Library is a shared library that the commands need.
type Library struct {
	Name    string `json:"name"`
	Version string `json:"version"` // "" where it is unknown
	File    string `json:"file"`    // "" where there is none
	Tested  string `json:"tested"`  // the version that tests and figures are from
	Package string `json:"package"` // of Debian and Ubuntu, to build with
}

// needed are the libraries with the versions that they are pinned to, how their files
// begin and which packages hold them and are built with.
var needed = []struct{ name, tested, file, pkg, dev string }{
	{"OpenCV", "4.6.0", "libopencv_core.so.", "libopencv-core", "libopencv-dev libopencv-contrib-dev"},
	{"oneDNN", "2.6.3", "libdnnl.so.", "libdnnl", "libdnnl-dev"},
	{"libjpeg-turbo", "2.1.5", "libjpeg.so.", "libjpeg", "libjpeg-dev"},
	{"libdeflate", "1.14", "libdeflate.so.", "libdeflate", "libdeflate-dev"},
}

// folders are where Linux systems keep shared libraries.
var folders = []string{"usr/local/lib", "usr/local/lib/*-linux-gnu", "lib/*-linux-gnu", "usr/lib/*-linux-gnu", "usr/lib64", "lib64", "usr/lib", "lib"}

// libraries finds the libraries of needed: the ones that this process has loaded, else
// those that a program would find. A file below /lib or /usr/lib has the version of its
// Debian package, where there is one, another the version in its name.
func (s system) libraries() []Library {
	loaded := mapped(s.read("proc/self/maps", false))
	packages := s.packages()
	var out []Library
	for _, n := range needed {
		l := Library{Name: n.name, Tested: n.tested, Package: n.dev, File: s.library(n.file, loaded)}
		if l.File != "" {
			l.Version = suffix(l.File)
			if strings.HasPrefix(l.File, "/lib/") || strings.HasPrefix(l.File, "/usr/lib/") {
				if v := packages[n.pkg]; v != "" {
					l.Version = v
				}
			}
		}
		out = append(out, l)
	}
	return out
}

// library returns the path of a library's file with links followed, "" for none.
func (s system) library(prefix string, loaded []string) string {
	for _, path := range loaded {
		if strings.HasPrefix(filepath.Base(path), prefix) {
			return path
		}
	}
	dirs := slices.Clone(folders)
	if s.root == "/" {
		for _, d := range slices.Backward(filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))) {
			dirs = slices.Insert(dirs, 0, strings.TrimPrefix(d, "/"))
		}
	}
	for _, d := range dirs {
		// The patterns are well formed, but for what a user's own path holds.
		found, _ := filepath.Glob(filepath.Join(s.root, d, prefix+"*"))
		for _, path := range found {
			if real, err := filepath.EvalSymlinks(path); err == nil {
				return "/" + strings.TrimPrefix(strings.TrimPrefix(real, filepath.Clean(s.root)), "/")
			}
		}
	}
	return ""
}

// suffix is the version at the end of a file's name: 4.6.0 of libopencv_core.so.4.6.0.
func suffix(file string) string {
	_, v, _ := strings.Cut(filepath.Base(file), ".so.")
	return v
}

// mapped lists the files that are mapped into a process (proc(5), maps).
func mapped(maps []byte) []string {
	var out []string
	for _, line := range strings.Split(string(maps), "\n") {
		if i := strings.IndexByte(line, '/'); i >= 0 {
			out = append(out, line[i:])
		}
	}
	return out
}

// packages reads the upstream versions of the installed packages of needed from dpkg's
// list; none on other systems.
func (s system) packages() map[string]string {
	out := map[string]string{}
	lines := bufio.NewScanner(bytes.NewReader(s.read("var/lib/dpkg/status", false)))
	lines.Buffer(nil, 1<<20)
	name, installed := "", false
	for lines.Scan() {
		line := lines.Text()
		if line == "" {
			name, installed = "", false
			continue
		}
		if p, ok := strings.CutPrefix(line, "Package: "); ok {
			for _, n := range needed {
				rest, found := strings.CutPrefix(p, n.pkg)
				// libjpeg62-turbo, libopencv-core406t64, but not libdeflate-dev.
				if found && rest != "" && '0' <= rest[0] && rest[0] <= '9' || p == "libjpeg-turbo8" && n.pkg == "libjpeg" {
					name = n.pkg
				}
			}
		}
		if v, ok := strings.CutPrefix(line, "Status: "); ok {
			installed = strings.HasSuffix(v, " installed")
		}
		if v, ok := strings.CutPrefix(line, "Version: "); ok && name != "" && installed {
			out[name] = upstream(v)
		}
	}
	return out
}

// upstream is the version of what was packaged: 4.6.0 of 4.6.0+dfsg-12, 2.1.5 of
// 1:2.1.5-2.
func upstream(v string) string {
	if _, rest, ok := strings.Cut(v, ":"); ok {
		v = rest
	}
	if i := strings.LastIndexByte(v, '-'); i >= 0 {
		v = v[:i]
	}
	v, _, _ = strings.Cut(v, "+")
	v, _, _ = strings.Cut(v, "~")
	return v
}
