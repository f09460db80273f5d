package weights

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
)

// zipEntry is a file within a zip archive.
type zipEntry struct {
	name   string
	header int64 // where its local header stands
	size   int64
	limit  int64 // where the next entry, or the directory, begins
	crc    uint32
	method uint16
	flags  uint16
}

const (
	// maxDirectory bounds the bytes of an archive's directory.
	maxDirectory = 16 << 20
	// maxEntries bounds its entries.
	maxEntries = 1 << 17

	zipStored = 0
)

var errNoZip = errors.New("the archive's directory is missing or damaged (a truncated file?)")

// readZip reads the directory of an archive that starts at byte 0 and ends with
// the file. Names with a way out of a folder, names that stand twice and entries
// that overlap are refused. The standard library's reader trusts the directory
// with its memory, so it is not used.
func readZip(r io.ReaderAt, size int64) (map[string]*zipEntry, error) {
	le := binary.LittleEndian
	tail := make([]byte, min(size, 22+math.MaxUint16))
	base := size - int64(len(tail))
	if err := readAt(r, tail, base); err != nil {
		return nil, err
	}
	at := -1
	for i := len(tail) - 22; i >= 0; i-- { // the end record, perhaps with a comment behind it
		if string(tail[i:i+4]) == "PK\x05\x06" && i+22+int(le.Uint16(tail[i+20:])) == len(tail) {
			at = i
			break
		}
	}
	if at < 0 {
		return nil, errNoZip
	}
	end := tail[at:]
	count, length, begin := uint64(le.Uint16(end[10:])), uint64(le.Uint32(end[12:])), uint64(le.Uint32(end[16:]))
	stop := base + int64(at) // where the directory must end
	if le.Uint16(end[4:]) != 0 && le.Uint16(end[4:]) != math.MaxUint16 {
		return nil, errors.New("an archive in several parts")
	}
	if at >= 20 && string(tail[at-20:at-16]) == "PK\x06\x07" { // zip64
		p := le.Uint64(tail[at-20+8:])
		if p > uint64(size-56) || int64(p) > stop-20-56 {
			return nil, errNoZip
		}
		rec := make([]byte, 56)
		if err := readAt(r, rec, int64(p)); err != nil {
			return nil, err
		}
		if string(rec[:4]) != "PK\x06\x06" {
			return nil, errNoZip
		}
		count, length, begin = le.Uint64(rec[32:]), le.Uint64(rec[40:]), le.Uint64(rec[48:])
		stop = int64(p)
	}
	switch {
	case length > maxDirectory || count > maxEntries:
		return nil, fmt.Errorf("a directory of %d entries and %d bytes; %d and %d are the most", count, length, maxEntries, maxDirectory)
	case begin > uint64(stop) || uint64(stop)-begin != length:
		return nil, errNoZip
	}
	dir := make([]byte, length)
	if err := readAt(r, dir, int64(begin)); err != nil {
		return nil, err
	}
	return parseDirectory(dir, int(count), int64(begin))
}

func parseDirectory(dir []byte, count int, begin int64) (map[string]*zipEntry, error) {
	le := binary.LittleEndian
	if count > len(dir)/46 {
		return nil, errNoZip
	}
	all := make([]zipEntry, 0, count)
	for len(dir) > 0 {
		if len(dir) < 46 || string(dir[:4]) != "PK\x01\x02" || len(all) == count {
			return nil, errNoZip
		}
		n, x, c := int(le.Uint16(dir[28:])), int(le.Uint16(dir[30:])), int(le.Uint16(dir[32:]))
		if len(dir) < 46+n+x+c {
			return nil, errNoZip
		}
		e := zipEntry{name: string(dir[46 : 46+n]), flags: le.Uint16(dir[8:]), method: le.Uint16(dir[10:]), crc: le.Uint32(dir[16:])}
		packed, size, header := uint64(le.Uint32(dir[20:])), uint64(le.Uint32(dir[24:])), uint64(le.Uint32(dir[42:]))
		wide(dir[46+n:46+n+x], &size, &packed, &header)
		switch {
		case !safeName(e.name):
			return nil, fmt.Errorf("an entry is called %.80q, which leads out of the archive", e.name)
		case header >= uint64(begin) || size > uint64(begin)-header || packed > uint64(begin)-header:
			if e.method == zipStored || header >= uint64(begin) {
				return nil, fmt.Errorf("entry %q lies outside the file", e.name)
			}
		case e.method == zipStored && size != packed:
			return nil, fmt.Errorf("entry %q has two sizes", e.name)
		}
		if e.method != zipStored {
			size = packed
		}
		e.header, e.size = int64(header), int64(size)
		all = append(all, e)
		dir = dir[46+n+x+c:]
	}
	if len(all) != count {
		return nil, errNoZip
	}
	slices.SortFunc(all, func(a, b zipEntry) int { return int(min(max(a.header-b.header, -1), 1)) })
	out := make(map[string]*zipEntry, len(all))
	for i := range all {
		e := &all[i]
		e.limit = begin
		if i+1 < len(all) {
			e.limit = all[i+1].header
		}
		if e.limit-e.header < 30+int64(len(e.name))+e.size {
			return nil, fmt.Errorf("entry %q overlaps the next one", e.name)
		}
		if out[e.name] != nil {
			return nil, fmt.Errorf("entry %q stands twice", e.name)
		}
		out[e.name] = e
	}
	return out, nil
}

// wide reads the 64-bit values that stand in an extra field where the directory
// has no room.
func wide(extra []byte, values ...*uint64) {
	le := binary.LittleEndian
	for len(extra) >= 4 {
		id, n := le.Uint16(extra), int(le.Uint16(extra[2:]))
		if len(extra) < 4+n {
			return
		}
		body := extra[4 : 4+n]
		extra = extra[4+n:]
		if id != 1 {
			continue
		}
		for _, v := range values {
			if *v == math.MaxUint32 && len(body) >= 8 {
				*v = le.Uint64(body)
				body = body[8:]
			}
		}
		return
	}
}

// safeName refuses names that would lead elsewhere if they were unpacked.
func safeName(name string) bool {
	if name == "" || name[0] == '/' || strings.ContainsAny(name, "\\\x00:") {
		return false
	}
	return !slices.Contains(strings.Split(name, "/"), "..")
}

// open returns where the entry's bytes begin. Only entries as they are, neither
// compressed nor encrypted, can be read piece by piece; torch writes no others.
func (e *zipEntry) open(r io.ReaderAt) (int64, error) {
	if e.flags&1 != 0 {
		return 0, fmt.Errorf("entry %q is encrypted", e.name)
	}
	if e.method != zipStored {
		return 0, fmt.Errorf("entry %q is compressed, which torch.save never does; load and save the file in PyTorch, or unpack it and pack it with zip -0", e.name)
	}
	var h [30]byte
	if err := readAt(r, h[:], e.header); err != nil {
		return 0, err
	}
	le := binary.LittleEndian
	if string(h[:4]) != "PK\x03\x04" || le.Uint16(h[8:]) != e.method || int(le.Uint16(h[26:])) != len(e.name) {
		return 0, fmt.Errorf("entry %q is not where the archive's directory says", e.name)
	}
	name := make([]byte, len(e.name))
	if err := readAt(r, name, e.header+30); err != nil {
		return 0, err
	}
	at := e.header + 30 + int64(len(name)) + int64(le.Uint16(h[28:]))
	if string(name) != e.name || e.size > e.limit-at {
		return 0, fmt.Errorf("entry %q is not where the archive's directory says", e.name)
	}
	return at, nil
}
