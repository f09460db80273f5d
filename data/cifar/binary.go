package cifar

import (
	"bufio"
	"fmt"
	"io"
	"slices"

	"manvision/data/classes"
)

// readPart reads a binary file: for each image its label bytes and 1,024 bytes of
// R, G and B each, row by row. size is how long the file says it is. name goes
// into messages, base decides whether the file is an official one.
func readPart(v *variant, split, name, base string, size int64, r io.Reader) (part, error) {
	p := part{v: v, name: name, labels: make([][]uint8, len(v.labels))}
	bad := func(offset int64, k classes.Kind, fix, format string, args ...any) (part, error) {
		return part{}, &classes.InputError{Path: name, Offset: offset, Kind: k, Problem: fmt.Sprintf(format, args...), Fix: fix}
	}
	record := int64(v.record())
	n := size / record
	if full := int64(v.perFile[split]); v.official(split, base) && size != full*record {
		return bad(-1, classes.BadSize, "fetch it again; if it is meant to be a part, give it another name, as in data_batch_1.part.bin",
			"%d bytes, but %s of %s has %d: %d images of %d bytes", size, base, v.name, full*record, full, record)
	}
	if size == 0 {
		return bad(-1, classes.NoImages, "", "the file is empty")
	}
	if rest := size % record; rest != 0 {
		return bad(n*record, classes.BadSize, "", "%d bytes are no whole number of images of %d bytes: %d are left after %d images (%s)", size, record, rest, n, v.name)
	}
	if n > maxImages {
		return bad(-1, classes.BadSize, "", "%d images, more than %d", n, maxImages)
	}
	in := bufio.NewReaderSize(r, 1<<16)
	buf := make([]byte, record)
	const image = Side * Side * 3
	for i := int64(0); i < n; i++ {
		if got, err := io.ReadFull(in, buf); err != nil {
			return part{}, classes.ReadError(name, i*record+int64(got), err)
		}
		for k, l := range v.labels {
			if int(buf[k]) >= l.classes {
				return bad(i*record+int64(k), classes.BadLabel, "is it a file of another data set?", "%s %d of image %d, need 0 to %d", l.what, buf[k], i, l.classes-1)
			}
			p.labels[k] = append(p.labels[k], buf[k])
		}
		if len(p.pixels) == cap(p.pixels) {
			// A size may promise more than comes: memory grows with what was read.
			p.pixels = slices.Grow(p.pixels, int(min(max(int64(len(p.pixels)), 1<<20), (n-i)*image)))
		}
		at := len(p.pixels)
		p.pixels = append(p.pixels, buf[len(v.labels):]...)
		classes.FromPlanes(p.pixels[at:], buf[len(v.labels):], Side, Side, false)
	}
	return p, nil
}
