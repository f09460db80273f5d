package weights

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/big"
	"strings"
)

const (
	// maxPickle bounds the bytes of a pickle; a thousand tensors need 200 kB.
	maxPickle = 64 << 20
	// baseBudget is what the objects of a small file may take; an honest tensor
	// takes about 2 kB.
	baseBudget = 20 << 20
	// maxBudget bounds what those of a large one may take.
	maxBudget = 256 << 20
)

// pthMagic is the number that begins a legacy file.
var pthMagic, _ = new(big.Int).SetString("1950a86a20f9469cfc6c", 16)

// form is what a file looks like from its first bytes.
type form int

const (
	formSafetensors form = iota
	formZip
	formLegacy
	formOther
)

// sniff tells the form of a file from its first bytes, 512 where it has as many.
// A safetensors file starts with the length of its header, which as a number is
// far above the largest that is read where the bytes are those of another form.
func sniff(head []byte) (form, string) {
	has := func(at int, s string) bool { return len(head) >= at+len(s) && string(head[at:at+len(s)]) == s }
	trimmed := bytes.TrimLeft(head, " \r\n\t\ufeff")
	switch {
	case has(8, "{"):
		return formSafetensors, ""
	case has(0, "PK\x03\x04"):
		return formZip, ""
	case len(head) > 2 && head[0] == 0x80 && head[1] >= 2 && head[1] <= 5 && (head[2] == 0x8a || head[2] == 0x95),
		has(0, "L"+pthMagic.String()), has(0, "\x8a\x0a\x6c\xfc\x9c\x46"):
		return formLegacy, ""
	case has(257, "ustar"):
		return formOther, "the tar form of PyTorch before 0.1.10, which is not read; load it and save it again with PyTorch 1.6 or newer"
	case len(head) > 1 && head[0] == 0x80 && head[1] <= 5:
		return formOther, "a plain pickle, not written by torch.save"
	case has(0, "version https://git-lfs"):
		return formOther, "a Git LFS pointer, not the file itself; fetch it with git lfs pull"
	case len(trimmed) > 1 && trimmed[0] == '<' && (trimmed[1] == '!' || trimmed[1] == 'h' || trimmed[1] == 'H' || trimmed[1] == '?'):
		return formOther, "a web page, not weights; the download went wrong"
	case has(0, "\x89HDF\r\n\x1a\n"):
		return formOther, "an HDF5 file (Keras); convert it to safetensors"
	case has(0, "\x1f\x8b"):
		return formOther, "a gzip archive; unpack it first"
	}
	return formSafetensors, ""
}

// pthFile is the content of a PyTorch file before one of its state_dicts is chosen.
type pthFile struct {
	r       io.ReaderAt
	size    int64
	root    any
	entries map[string]*zipEntry // of the zip form
	folder  string               // of the zip form: "archive/"
	objects *pthObjects
}

// budgetOf is what the objects of a file of that size may take.
func budgetOf(size int64) int64 { return min(baseBudget+3*size, maxBudget) }

func (p *pthFile) machine(in *pickleReader, budget *int64) *pickleMachine {
	return &pickleMachine{in: in, call: p.objects.call, persis: p.objects.persistent, budget: budget}
}

// openZip reads the zip form, torch.save's since 1.6: <folder>/data.pkl with the
// objects, <folder>/data/<key> with a storage each.
func openZip(r io.ReaderAt, size int64) (*pthFile, error) {
	p := &pthFile{r: r, size: size, objects: &pthObjects{storages: map[string]*pthStorage{}}}
	var err error
	if p.entries, err = readZip(r, size); err != nil {
		return nil, err
	}
	var data *zipEntry
	for name, e := range p.entries {
		folder, ok := strings.CutSuffix(name, "data.pkl")
		if !ok || strings.Count(folder, "/") > 1 || folder != "" && !strings.HasSuffix(folder, "/") {
			continue
		}
		if data != nil {
			return nil, fmt.Errorf("both %s and %s claim to hold the objects", data.name, name)
		}
		data, p.folder = e, folder
	}
	if data == nil {
		return nil, errors.New("a zip archive without data.pkl: not written by torch.save")
	}
	if p.entries[p.folder+"constants.pkl"] != nil {
		return nil, errors.New("a TorchScript archive (torch.jit.save), which holds a program; save the state_dict with torch.save instead")
	}
	if e := p.entries[p.folder+"byteorder"]; e != nil {
		at, err := e.open(r)
		if err != nil {
			return nil, err
		}
		order := make([]byte, min(e.size, 16))
		if err := readAt(r, order, at); err != nil {
			return nil, err
		}
		if string(order) != "little" {
			return nil, fmt.Errorf("written on a machine of byte order %q; only little-endian files are read", order)
		}
	}
	at, err := data.open(r)
	if err != nil {
		return nil, err
	}
	if data.size > maxPickle {
		return nil, fmt.Errorf("%s of %d bytes; %d are the most", data.name, data.size, maxPickle)
	}
	sum := crc32.NewIEEE()
	if _, err := io.Copy(sum, io.NewSectionReader(r, at, data.size)); err != nil {
		return nil, err
	}
	if err := data.verify(sum.Sum32()); err != nil {
		return nil, err
	}
	budget := budgetOf(size)
	if p.root, err = p.machine(newPickleReader(r, at, data.size), &budget).load(); err != nil {
		return nil, fmt.Errorf("%s: %w", data.name, err)
	}
	return p, nil
}

// verify compares the checksum; 0 stands for one that was not computed.
func (e *zipEntry) verify(sum uint32) error {
	if e.crc != 0 && e.crc != sum {
		return fmt.Errorf("entry %q is damaged: its checksum is %08x, not %08x", e.name, sum, e.crc)
	}
	return nil
}

// openLegacy reads the form of torch.save before 1.6: five pickles (magic number,
// protocol, machine, the objects, the keys of the storages), then for each storage
// the number of its elements and the elements.
func openLegacy(r io.ReaderAt, size int64) (*pthFile, error) {
	p := &pthFile{r: r, size: size, objects: &pthObjects{storages: map[string]*pthStorage{}}}
	in := newPickleReader(r, 0, size)
	budget := budgetOf(size)
	m := p.machine(in, &budget)
	parts := []any{nil, nil, nil, nil, nil}
	for i, what := range []string{"magic number", "protocol version", "machine description", "objects", "storage keys"} {
		from := in.pos
		v, err := m.load()
		if err == nil && in.pos-from > maxPickle {
			err = fmt.Errorf("%d bytes; %d are the most", in.pos-from, maxPickle)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", what, err)
		}
		parts[i] = v
		switch i {
		case 0:
			if n, ok := v.(*big.Int); !ok || n.Cmp(pthMagic) != 0 {
				return nil, errors.New("a plain pickle, not written by torch.save (wrong magic number)")
			}
		case 1:
			if n, ok := v.(int64); !ok || n != 1001 {
				return nil, fmt.Errorf("protocol version %v; 1001 is known", v)
			}
		case 2:
			if d, ok := v.(*pyDict); ok {
				for i, k := range d.keys {
					if k == any("little_endian") && d.values[i] != any(true) {
						return nil, errors.New("written on a big-endian machine; only little-endian files are read")
					}
				}
			}
		}
	}
	p.root = parts[3]
	keys, ok := parts[4].(*pyList)
	if !ok {
		return nil, fmt.Errorf("storage keys are %s, not a list", describe(parts[4]))
	}
	return p, p.layOut(keys.items, in.pos)
}

// layOut finds the elements of each storage of a legacy file, from at on.
func (p *pthFile) layOut(keys []any, at int64) error {
	for _, k := range keys {
		key, ok := text(k)
		s := p.objects.storages[key]
		if !ok || s == nil || s.of != nil {
			return fmt.Errorf("storage %v is used by no tensor, so its size is not known", k)
		}
		if s.at != 0 {
			return fmt.Errorf("storage %q stands twice", key)
		}
		var n [8]byte
		if p.size-at < 8 {
			return fmt.Errorf("storage %q: %w", key, io.ErrUnexpectedEOF)
		}
		if err := readAt(p.r, n[:], at); err != nil {
			return err
		}
		if got := int64(binary.LittleEndian.Uint64(n[:])); got != s.count {
			return fmt.Errorf("storage %q has %d elements in one place and %d in another", key, s.count, got)
		}
		s.at, s.bytes = at+8, s.count*s.kind.size
		if s.bytes > p.size-s.at {
			return fmt.Errorf("storage %q needs %d bytes where %d are left (a truncated file?)", key, s.bytes, p.size-s.at)
		}
		at = s.at + s.bytes
	}
	return nil
}

// locate finds the elements of a storage and checks that all are there.
func (p *pthFile) locate(s *pthStorage) error {
	if s.at != 0 {
		return nil
	}
	if s.of != nil {
		if err := p.locate(s.of); err != nil {
			return err
		}
		s.at, s.bytes = s.of.at+s.start*s.kind.size, s.count*s.kind.size
		return nil
	}
	if p.entries == nil {
		return fmt.Errorf("storage %q is not in the file", s.key)
	}
	e := p.entries[p.folder+"data/"+s.key]
	if e == nil {
		return fmt.Errorf("storage %q is not in the file", s.key)
	}
	if e.size != s.count*s.kind.size && e.method == zipStored {
		return fmt.Errorf("storage %q has %d bytes and needs %d", s.key, e.size, s.count*s.kind.size)
	}
	at, err := e.open(p.r)
	if err != nil {
		return err
	}
	s.at, s.bytes, s.entry = at, e.size, e
	return nil
}
