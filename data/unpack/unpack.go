// Package unpack writes the files of archives that people downloaded into a folder, and
// nothing outside of it.
package unpack

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"manvision/data/classes"
)

// Options say what is unpacked.
type Options struct {
	// Select chooses the files by their names in the archive, with slashes; they keep
	// their names. nil takes all.
	Select func(name string) bool
	// Replace writes files anew that are there with other contents; otherwise they are
	// an error.
	Replace bool
	// Room, if not nil, is asked before the first file of a .zip is written, which tells
	// how many bytes will be.
	Room func(bytes int64) error
	// Progress, if not nil, is called after each file.
	Progress func()
}

// Report says what became of an archive's files.
type Report struct {
	Archive string `json:"archive"`
	Written int    `json:"written"`
	Kept    int    `json:"kept"`     // there already with the same contents
	LeftOut int    `json:"left_out"` // not selected
	Bytes   int64  `json:"bytes"`    // written
}

// Bounds on an archive's contents, those of classes.WalkArchive.
const (
	maxMembers   = 1 << 21
	maxRatio     = 100
	freeUnpacked = 64 << 20
)

// partial ends the names of files that are being written.
const partial = ".part"

// Archive unpacks a .zip, .tar, .tar.gz or .tgz file into the folder dir, which is made
// if missing. Each file is written under another name first and renamed, so that what
// has a name is whole; a second run writes what is missing and compares the rest. The
// contents of a .zip are checked by its CRC-32s. Errors of the archive are of type
// *classes.InputError: names that lead out of the folder or occur twice, links and
// devices, more than 2^21 members, more than 64 MiB and a hundred times the archive's
// size of contents, damage, and an archive none of whose files is selected. A link in dir
// that leads out of it is not followed.
func Archive(ctx context.Context, file, dir string, o Options) (Report, error) {
	u := &unpacker{ctx: ctx, o: o, file: file, report: Report{Archive: file}, seen: map[string]bool{}}
	zipped := strings.HasSuffix(strings.ToLower(file), ".zip")
	st, err := os.Stat(file)
	if err != nil {
		return u.report, &classes.InputError{Path: file, Offset: -1, Kind: classes.Missing, Problem: "cannot be read", Err: err}
	}
	if st.IsDir() || !zipped && !classes.IsArchive(file) {
		return u.report, u.bad(classes.NoImages, "it is no .zip, .tar.gz, .tgz or .tar file", nil)
	}
	u.limit = freeUnpacked + maxRatio*uint64(st.Size())
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return u.report, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return u.report, err
	}
	defer root.Close()
	u.root = root
	if zipped {
		err = u.zip()
	} else {
		err = classes.WalkArchive(file, u.member)
	}
	if err != nil {
		return u.report, err
	}
	if u.report.Written+u.report.Kept == 0 {
		return u.report, u.bad(classes.NoImages, fmt.Sprintf("none of its %d files was expected; the first are %s", u.report.LeftOut, strings.Join(u.others, ", ")), nil)
	}
	return u.report, nil
}

type unpacker struct {
	ctx    context.Context
	o      Options
	file   string
	root   *os.Root
	report Report
	seen   map[string]bool
	others []string // the first files left out
	total  uint64   // bytes of the selected files
	limit  uint64   // of total
}

func (u *unpacker) bad(k classes.Kind, text string, err error) error {
	return &classes.InputError{Path: u.file, Offset: -1, Kind: k, Problem: text, Err: err}
}

// wanted says whether a file is selected; a name twice and more than the limit of
// contents are errors.
func (u *unpacker) wanted(name string, size uint64) (bool, error) {
	if u.seen[name] {
		return false, u.bad(classes.Unsafe, fmt.Sprintf("member %q is there twice", name), nil)
	}
	u.seen[name] = true
	if u.o.Select == nil || u.o.Select(name) {
		if u.total += size; u.total > u.limit || size > u.limit {
			return false, u.bad(classes.Unsafe, fmt.Sprintf("it would unpack to more than %d bytes", u.limit), nil)
		}
		return true, nil
	}
	if u.report.LeftOut++; len(u.others) < 3 {
		u.others = append(u.others, name)
	}
	return false, nil
}

// member unpacks a member of a .tar: it is written first, as it can be read once only.
func (u *unpacker) member(name string, size int64, r io.Reader) error {
	if ok, err := u.wanted(name, uint64(size)); !ok || err != nil {
		return err
	}
	sum, err := u.write(name, size, r)
	if err != nil {
		return err
	}
	there, same, err := u.look(name, size, sum)
	if err != nil || there && !same && !u.o.Replace {
		return errors.Join(err, u.differs(name, err), u.root.Remove(name+partial))
	}
	if same {
		return errors.Join(u.root.Remove(name+partial), u.keep())
	}
	return u.finish(name, size)
}

// look compares a file that is there with its size and CRC-32.
func (u *unpacker) look(name string, size int64, sum uint32) (there, same bool, err error) {
	st, err := u.root.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, false, nil
	case err != nil:
		return false, false, err
	case !st.Mode().IsRegular():
		return true, false, fmt.Errorf("%s is there and is no file", u.path(name))
	case st.Size() != size:
		return true, false, nil
	}
	f, err := u.root.Open(name)
	if err != nil {
		return true, false, err
	}
	defer f.Close()
	h := crc32.NewIEEE()
	if _, err := io.Copy(h, f); err != nil {
		return true, false, err
	}
	return true, h.Sum32() == sum, nil
}

// differs is the error of a file that is there with other contents, nil where there is
// another one.
func (u *unpacker) differs(name string, other error) error {
	if other != nil {
		return nil
	}
	return fmt.Errorf("%s is there and is not the file in %s: move it away, or let it be replaced", u.path(name), u.file)
}

func (u *unpacker) path(name string) string { return path.Join(u.root.Name(), name) }

// write writes a file of size bytes under its partial name and returns its CRC-32.
func (u *unpacker) write(name string, size int64, r io.Reader) (sum uint32, err error) {
	if err := u.root.MkdirAll(path.Dir(name), 0o777); err != nil {
		return 0, err
	}
	f, err := u.root.OpenFile(name+partial, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o666)
	if err != nil {
		return 0, err
	}
	h := crc32.NewIEEE()
	in := &source{ctx: u.ctx, r: r}
	// One byte more shows a member that is longer than it says, and lets the reader of a
	// .zip see the end, where it compares the CRC-32.
	n, err := io.Copy(io.MultiWriter(f, h), io.LimitReader(in, size+1))
	if in.err == nil && err == nil && n != size {
		in.err = fmt.Errorf("it has not the %d bytes that the archive says", size)
	}
	if in.err != nil && u.ctx.Err() == nil {
		err = u.bad(classes.Broken, fmt.Sprintf("member %q is damaged: %v", name, in.err), in.err)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, errors.Join(err, u.root.Remove(name+partial))
	}
	return h.Sum32(), nil
}

func (u *unpacker) finish(name string, size int64) error {
	if err := u.root.Rename(name+partial, name); err != nil {
		return err
	}
	u.report.Written++
	u.report.Bytes += size
	u.step()
	return nil
}

func (u *unpacker) keep() error {
	u.report.Kept++
	u.step()
	return nil
}

func (u *unpacker) step() {
	if u.o.Progress != nil {
		u.o.Progress()
	}
}

// source ends reading with the context and keeps what stopped it.
type source struct {
	ctx context.Context
	r   io.Reader
	err error
}

// Read implements io.Reader.
func (s *source) Read(p []byte) (int, error) {
	if s.err = s.ctx.Err(); s.err != nil {
		return 0, s.err
	}
	n, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return n, err
}
