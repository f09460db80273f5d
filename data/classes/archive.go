package classes

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// Bounds on what WalkArchive reads: members, and unpacked bytes as a multiple of
// the file's own. Images shrink by less than half; text and empty members may
// shrink a hundred times.
const (
	maxMembers   = 1 << 21
	maxRatio     = 100
	freeUnpacked = 64 << 20 // allowed beside that
)

// IsArchive reports whether a file's name ends as WalkArchive's do.
func IsArchive(name string) bool {
	name = strings.ToLower(name)
	return strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz") || strings.HasSuffix(name, ".tar")
}

// WalkArchive reads a .tar, .tar.gz or .tgz file from its beginning to its end and
// calls visit for each regular file in it; nothing is written to the disk and
// nothing is held. visit may leave r unread; its error ends the walk and is
// returned as it is. Folders are passed over. Names that would leave the archive's
// folder, links, devices, more than 2^21 members and data that unpacks to more than
// 64 MiB and a hundred times the file's size are errors of type *InputError.
func WalkArchive(file string, visit func(name string, size int64, r io.Reader) error) error {
	f, err := os.Open(file)
	if err != nil {
		return &InputError{Path: file, Offset: -1, Kind: Unreadable, Problem: reason(err), Err: err}
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return &InputError{Path: file, Offset: -1, Kind: Unreadable, Problem: reason(err), Err: err}
	}
	return walk(file, f, freeUnpacked+maxRatio*st.Size(), visit)
}

func walk(file string, f io.Reader, limit int64, visit func(name string, size int64, r io.Reader) error) error {
	bad := func(k Kind, text string, err error) error {
		return &InputError{Path: file, Offset: -1, Kind: k, Problem: text, Err: err}
	}
	raw := bufio.NewReaderSize(f, 1<<16)
	var in io.Reader = raw
	if magic, err := raw.Peek(2); err == nil && magic[0] == 0x1f && magic[1] == 0x8b {
		z, err := gzip.NewReader(raw)
		if err != nil {
			return bad(Broken, "broken gzip: "+err.Error(), err)
		}
		in = z
	}
	limited := &io.LimitedReader{R: in, N: limit}
	t := tar.NewReader(limited)
	for n := 0; ; n++ {
		h, err := t.Next()
		switch {
		case err == io.EOF && n == 0:
			return bad(Broken, "there is nothing in the archive", nil)
		case err == io.EOF:
			// Reads on to the end: the gzip checksum is there.
			if _, err := io.Copy(io.Discard, limited); err != nil {
				return bad(Broken, "the archive is damaged at its end: "+err.Error(), err)
			}
			if limited.N <= 0 {
				return bad(Unsafe, fmt.Sprintf("more than %d bytes unpacked", limit), nil)
			}
			return nil
		case err != nil && limited.N <= 0:
			return bad(Unsafe, fmt.Sprintf("more than %d bytes unpacked", limit), err)
		case err != nil:
			return bad(Broken, fmt.Sprintf("the archive is damaged after %d members: %v", n, err), err)
		case n >= maxMembers:
			return bad(Unsafe, fmt.Sprintf("more than %d members", maxMembers), nil)
		}
		name := h.Name
		clean := path.Clean(strings.ReplaceAll(name, `\`, "/"))
		switch {
		case path.IsAbs(clean) || clean == ".." || strings.HasPrefix(clean, "../") || strings.ContainsRune(name, 0):
			return bad(Unsafe, fmt.Sprintf("member %q leads out of the archive's folder", name), nil)
		case h.Typeflag == tar.TypeDir || h.Typeflag == tar.TypeXGlobalHeader:
			continue
		case h.Typeflag != tar.TypeReg:
			return bad(Unsafe, fmt.Sprintf("member %q is not a regular file (type %q)", name, h.Typeflag), nil)
		}
		if err := visit(clean, h.Size, t); err != nil {
			return err
		}
	}
}

// ReadAll reads a member or file of at most limit bytes; more is an error.
func ReadAll(name string, r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, ReadError(name, int64(len(b)), err)
	}
	if int64(len(b)) > limit {
		return nil, &InputError{Path: name, Offset: -1, Kind: BadSize, Problem: fmt.Sprintf("larger than %d bytes", limit)}
	}
	return b, nil
}

// ReadError is the InputError of a file that cannot be read on at offset.
func ReadError(name string, offset int64, err error) *InputError {
	var in *InputError
	if errors.As(err, &in) {
		return in
	}
	kind := Unreadable
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		kind = Broken
	}
	return &InputError{Path: name, Offset: offset, Kind: kind, Problem: "cannot be read: " + reason(err), Err: err}
}
