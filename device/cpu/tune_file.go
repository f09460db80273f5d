package cpu

/*
#include <oneapi/dnnl/dnnl.h>
*/
import "C"

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"manvision/internal/atomicfile"
	"manvision/internal/processor"
)

// tuningVersion changes with what the names of ways and convolutions mean.
const tuningVersion = 1

// tuningFile is a file of choices.
type tuningFile struct {
	Version int      `json:"version"`
	Machine string   `json:"machine"`
	Library string   `json:"library"`
	Choices []choice `json:"choices"`
}

// machine is the processor with the instruction sets that oneDNN may use, as its number.
func machine() string {
	return fmt.Sprintf("%s, instruction sets %#x", processor.Name(), int(C.dnnl_get_effective_cpu_isa()))
}

func library() string {
	v := C.dnnl_version()
	return fmt.Sprintf("oneDNN %d.%d.%d %.12s", v.major, v.minor, v.patch, C.GoString(v.hash))
}

// tuningPath is the file of this machine's choices.
func tuningPath() (string, error) {
	dir, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no folder to keep choices in: %w; set XDG_CACHE_HOME", err)
	}
	h := fnv.New64a()
	fmt.Fprint(h, tuningVersion, machine(), library())
	return filepath.Join(dir, "manvision", fmt.Sprintf("tuning-%016x.json", h.Sum64())), nil
}

// parseTuning reads a file of choices.
func parseTuning(b []byte) (*tuningFile, error) {
	var f tuningFile
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("no file of choices: %w", err)
	}
	if f.Version != tuningVersion {
		return nil, fmt.Errorf("choices of version %d, this program reads %d", f.Version, tuningVersion)
	}
	for _, c := range f.Choices {
		if c.Conv == "" || c.Threads < 1 || c.Way == "" {
			return nil, fmt.Errorf("no file of choices: an entry has conv %q, threads %d, way %q", c.Conv, c.Threads, c.Way)
		}
	}
	return &f, nil
}

func (f *tuningFile) bytes() ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", " ")
	err := e.Encode(f)
	return b.Bytes(), err
}

// readTuning reads the user's choices; a file that holds none of this machine's is put
// aside, and the note says so.
func readTuning(path string) (kept map[id]choice, note string, err error) {
	kept = map[id]choice{}
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return kept, "", nil
	}
	if err != nil {
		return nil, "", fmt.Errorf("kept choices: %w", err)
	}
	f, err := parseTuning(b)
	if err == nil && (f.Machine != machine() || f.Library != library()) {
		err = fmt.Errorf("choices of %s with %s", f.Machine, f.Library)
	}
	if err != nil {
		bad := path + ".bad"
		if moved := os.Rename(path, bad); moved != nil {
			return nil, "", fmt.Errorf("kept choices: %s: %w; remove the file", path, err)
		}
		return kept, fmt.Sprintf("%s was not usable (%v) and is now %s", path, err, bad), nil
	}
	for _, c := range f.Choices {
		kept[c.id()] = c
	}
	return kept, "", nil
}

// keepTuning adds choices to the file at path. Those that another program has put there
// meanwhile stay.
func keepTuning(path string, fresh []choice) error {
	if len(fresh) == 0 {
		return nil
	}
	fail := func(err error) error { return fmt.Errorf("keep choices: %w", err) }
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fail(err)
	}
	lock, err := os.OpenFile(path+".lock", os.O_CREATE|os.O_RDWR, 0o666)
	if err != nil {
		return fail(err)
	}
	defer lock.Close() // which unlocks
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return fail(err)
	}
	f := &tuningFile{Version: tuningVersion, Machine: machine(), Library: library()}
	there := map[id]bool{}
	if b, err := os.ReadFile(path); err == nil {
		if old, err := parseTuning(b); err == nil && old.Machine == f.Machine && old.Library == f.Library {
			f.Choices = old.Choices
		}
	}
	for _, c := range f.Choices {
		there[c.id()] = true
	}
	more := false
	for _, c := range fresh {
		if !there[c.id()] {
			f.Choices = append(f.Choices, c)
			more = true
		}
	}
	if !more {
		return nil
	}
	b, err := f.bytes()
	if err != nil {
		return fail(err)
	}
	if err := atomicfile.Save(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	}); err != nil {
		return fail(err)
	}
	return nil
}
