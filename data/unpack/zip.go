package unpack

import (
	"archive/zip"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"

	"manvision/data/classes"
)

// encrypted is the flag of members that need a password.
const encrypted = 1

// zip unpacks a .zip: it looks at the whole list first.
func (u *unpacker) zip() error {
	z, err := zip.OpenReader(u.file)
	if err != nil {
		return u.bad(classes.Broken, "it is damaged, or not all of it is there: "+err.Error(), err)
	}
	defer z.Close()
	if len(z.File) > maxMembers {
		return u.bad(classes.Unsafe, fmt.Sprintf("more than %d members", maxMembers), nil)
	}
	var todo []*zip.File
	need := int64(0)
	for _, f := range z.File {
		name, mode := f.Name, f.Mode()
		switch {
		case !filepath.IsLocal(strings.TrimSuffix(name, "/")) || strings.ContainsAny(name, "\\\x00"):
			return u.bad(classes.Unsafe, fmt.Sprintf("member %q leads out of the archive's folder", name), nil)
		case mode.IsDir() || strings.HasSuffix(name, "/"):
			continue
		case !mode.IsRegular():
			return u.bad(classes.Unsafe, fmt.Sprintf("member %q is not a regular file (%v)", name, mode.Type()), nil)
		}
		if ok, err := u.wanted(name, f.UncompressedSize64); err != nil {
			return err
		} else if !ok {
			continue
		}
		if f.Flags&encrypted != 0 {
			return u.bad(classes.Unreadable, fmt.Sprintf("member %q is encrypted", name), nil)
		}
		if _, err := u.root.Stat(name); errors.Is(err, fs.ErrNotExist) {
			need += int64(f.UncompressedSize64)
		}
		todo = append(todo, f)
	}
	if u.o.Room != nil {
		if err := u.o.Room(need); err != nil {
			return err
		}
	}
	for _, f := range todo {
		if err := u.zipped(f); err != nil {
			return err
		}
	}
	return nil
}

// zipped unpacks one member.
func (u *unpacker) zipped(f *zip.File) error {
	if err := u.ctx.Err(); err != nil {
		return err
	}
	size := int64(f.UncompressedSize64)
	there, same, err := u.look(f.Name, size, f.CRC32)
	switch {
	case err != nil:
		return err
	case same:
		return u.keep()
	case there && !u.o.Replace:
		return u.differs(f.Name, nil)
	}
	r, err := f.Open()
	if err != nil {
		return u.bad(classes.Broken, fmt.Sprintf("member %q cannot be read: %v", f.Name, err), err)
	}
	defer r.Close()
	if _, err := u.write(f.Name, size, r); err != nil {
		return err
	}
	return u.finish(f.Name, size)
}
