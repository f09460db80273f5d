package weights

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"
)

// Pieces of pickles, by the operations' names in Python's pickle module.
func pStr(s string) string {
	return "X" + string(binary.LittleEndian.AppendUint32(nil, uint32(len(s)))) + s
}
func pInt(n int) string {
	if n == int(int32(n)) {
		return "J" + string(binary.LittleEndian.AppendUint32(nil, uint32(n)))
	}
	return "\x8a\x08" + string(binary.LittleEndian.AppendUint64(nil, uint64(n)))
}
func pInts(n ...int) string {
	out := "("
	for _, x := range n {
		out += pInt(x)
	}
	return out + "t"
}
func pGlobal(module, name string) string { return "c" + module + "\n" + name + "\n" }
func pTuple(items ...string) string      { return "(" + strings.Join(items, "") + "t" }
func pDict(items ...string) string       { return "}(" + strings.Join(items, "") + "u" }

func pStorage(class, key string, n int) string {
	return pTuple(pStr("storage"), pGlobal("torch", class), pStr(key), pStr("cpu"), pInt(n)) + "Q"
}

func pTensor(storage string, offset int, shape, strides string) string {
	return pGlobal("torch._utils", "_rebuild_tensor_v2") + pTuple(storage, pInt(offset), shape, strides, "\x89", pGlobal("collections", "OrderedDict")+")R") + "R"
}

// goodTensor has 4 elements on the storage "0".
var goodTensor = pTensor(pStorage("FloatStorage", "0", 4), 0, pInts(2, 2), pInts(2, 1))

// zipPart is an entry of an archive, with what its directory says about it.
type zipPart struct {
	name, data string
	method     int
	edit       func(dir []byte) // of the directory's record: 16 crc, 20 packed, 24 size, 42 header
}

// makeZip writes an archive; end edits the record at its end: 10 entries, 12 bytes
// of the directory, 16 where it begins.
func makeZip(parts []zipPart, end func(b []byte)) []byte {
	le := binary.LittleEndian
	var out, dir []byte
	for _, p := range parts {
		at := len(out)
		head := make([]byte, 30)
		copy(head, "PK\x03\x04")
		le.PutUint16(head[8:], uint16(p.method))
		le.PutUint16(head[26:], uint16(len(p.name)))
		out = append(append(append(out, head...), p.name...), p.data...)
		rec := make([]byte, 46)
		copy(rec, "PK\x01\x02")
		le.PutUint16(rec[10:], uint16(p.method))
		le.PutUint32(rec[16:], crc32.ChecksumIEEE([]byte(p.data)))
		le.PutUint32(rec[20:], uint32(len(p.data)))
		le.PutUint32(rec[24:], uint32(len(p.data)))
		le.PutUint16(rec[28:], uint16(len(p.name)))
		le.PutUint32(rec[42:], uint32(at))
		if p.edit != nil {
			p.edit(rec)
		}
		dir = append(append(dir, rec...), p.name...)
	}
	rec := make([]byte, 22)
	copy(rec, "PK\x05\x06")
	le.PutUint16(rec[10:], uint16(len(parts)))
	le.PutUint32(rec[12:], uint32(len(dir)))
	le.PutUint32(rec[16:], uint32(len(out)))
	if end != nil {
		end(rec)
	}
	return append(append(out, dir...), rec...)
}

// zipFile is an archive of a pickle and, as storage "0", 16 bytes.
func zipFile(pickle string) []byte {
	return makeZip([]zipPart{{name: "a/data.pkl", data: "\x80\x02" + pickle + "."}, {name: "a/data/0", data: strings.Repeat("\x00", 16)}, {name: "a/version", data: "3\n"}}, nil)
}

const legacyHead = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03."

func legacyFile(pickle, keys, storages string) []byte {
	return []byte(legacyHead + "\x80\x02" + pDict(pStr("little_endian"), "\x88") + ".\x80\x02" + pickle + ".\x80\x02" + keys + "." + storages)
}

func number64(n int64) string { return string(binary.LittleEndian.AppendUint64(nil, uint64(n))) }

type hostile struct {
	name string
	b    []byte
	want string
}

func hostileFiles() []hostile {
	le := binary.LittleEndian
	pick := func(name, pickle, want string) hostile { return hostile{name, zipFile(pickle), want} }
	entry := func(name string, parts []zipPart, want string) hostile {
		return hostile{name, makeZip(parts, nil), want}
	}
	good := "\x80\x02" + pDict(pStr("w"), goodTensor) + "."
	archive := func(edit func(p []zipPart)) []zipPart {
		p := []zipPart{{name: "a/data.pkl", data: good}, {name: "a/data/0", data: strings.Repeat("\x00", 16)}, {name: "a/version", data: "3\n"}}
		edit(p)
		return p
	}
	put := func(at int, v uint32) func([]byte) { return func(b []byte) { le.PutUint32(b[at:], v) } }
	run := pGlobal("os", "system") + pTuple(pStr("echo harm")) + "R"
	odd := pGlobal("models.net", "Weird") + ")R"
	tar := make([]byte, 1024)
	copy(tar, "storages")
	copy(tar[257:], "ustar\x0000")
	var bomb bytes.Buffer
	w, _ := flate.NewWriter(&bomb, 9)
	zeros := make([]byte, 1<<20)
	for range 200 {
		w.Write(zeros)
	}
	w.Close()
	weights := func(tensor string) string { return pDict(pStr("w"), tensor) }
	view := func(offset int, shape, strides string) string {
		return weights(pTensor(pStorage("FloatStorage", "0", 4), offset, shape, strides))
	}
	var many strings.Builder // tensors that share bytes
	for i := range 20000 {
		many.WriteString(pStr(fmt.Sprint(i)) + "h\x01")
	}

	return []hostile{
		// Programs.
		pick("os.system", weights(run), "the file wants to run os.system"),
		pick("os.system beside the weights", pDict(pStr("x"), run, pStr("w"), goodTensor), "the file wants to run os.system"),
		pick("builtins.eval", weights(pGlobal("builtins", "eval")+pTuple(pStr("1"))+"R"), "wants to run builtins.eval"),
		pick("STACK_GLOBAL", weights(pStr("posix")+pStr("system")+"\x93"+pTuple(pStr("x"))+"R"), "wants to run posix.system"),
		pick("INST", weights("("+pStr("x")+"isubprocess\nPopen\n"), "wants to run subprocess.Popen"),
		pick("OBJ", weights("("+pGlobal("nt", "system")+pStr("x")+"o"), "wants to run nt.system"),
		pick("unknown function as the weights", pGlobal("models.net", "load")+pTuple(pStr("x"))+"R", "a value of models.net.load (not known here; nothing of it was run)"),
		pick("unknown function in a tensor", weights(pTensor(odd, 0, pInts(2), pInts(1))), "a tensor on a value of models.net.Weird"),
		pick("unknown function as a shape", weights(pTensor(pStorage("FloatStorage", "0", 4), 0, odd, pInts(1))), "a value of models.net.Weird"),
		pick("function of a function", weights(pGlobal("builtins", "getattr")+pTuple(pGlobal("torch", "x"), pStr("y"))+"R"+")R"), "no tensors under names"),
		pick("BUILD on a name", pGlobal("torch._utils", "_rebuild_tensor_v2")+pDict(pStr("__dict__"), "N")+"b", "attributes for the name torch._utils._rebuild_tensor_v2"),
		pick("BUILD on a storage", weights(pStorage("FloatStorage", "0", 4)+"}b"), "attributes for a storage"),
		pick("BUILD on an object", weights(odd+pDict(pStr("__class__"), "N")+"b"), "no tensors under names"),
		pick("call of text", weights(pStr("os.system")+")R"), "a call of text"),
		pick("arguments that are no tuple", weights(pGlobal("torch._utils", "_rebuild_tensor_v2")+"]R"), "arguments are a list"),
		pick("EXT1", "\x82\x01", "not an operation that weights need"),
		pick("PERSID", "Pabc\n", "not an operation that weights need"),
		pick("NEXT_BUFFER", "\x97", "not an operation that weights need"),
		pick("unknown operation", "\xff", "not an operation that weights need"),

		// The stack and the memo.
		pick("memo out of range", weights("h\x07"), "nothing was remembered as number 7"),
		pick("memo of text", "gnothing\n", "invalid syntax"),
		pick("negative memo", "p-1\n", "invalid syntax"),
		pick("empty stack", "0", "nothing on the stack"),
		pick("pop below the mark", "N(0R", "nothing on the stack"),
		pick("no mark", "t", "no mark"),
		pick("no result", "", "nothing on the stack"),
		pick("two results", "NN", "left over"),
		pick("list of itself", "]q\x00h\x00a", "no tensors under names"),
		pick("dict of itself", "}q\x00("+pStr("a")+"h\x00"+pStr("b")+"h\x00u", "no tensors under names"),
		pick("recursive memo", "}q\x00("+strings.Repeat(pStr("a")+"h\x00", 5000)+"u", "no tensors under names"),
		pick("deep lists", strings.Repeat("]", 1<<16)+strings.Repeat("a", 1<<16-1), "no tensors under names"),
		pick("deep tuples", "N"+strings.Repeat("\x85", 1<<16), "no tensors under names"),
		pick("deep dicts", strings.Repeat("}"+pStr("d"), 1<<16)+"N"+strings.Repeat("s", 1<<16), "no tensors under names"),
		pick("deep marks", strings.Repeat("(", 1<<20), "more objects than"),
		pick("empty dicts", strings.Repeat("}", 4<<20), "more objects than"),
		pick("doubling", "]("+strings.Repeat("N", 1000)+"e"+strings.Repeat("2", 1<<21), "more objects than"),
		pick("memo bomb", "N"+strings.Repeat("\x94", 2<<20), "more objects than"),
		pick("odd dict", "}(Nu", "a key without a value"),
		pick("item of a number", "K\x01Na", "a number where a list must stand"),

		// Lengths.
		pick("text of 4 GB", "X\xff\xff\xff\xff", "4294967295 bytes announced"),
		pick("text of 2^63", "\x8d\xff\xff\xff\xff\xff\xff\xff\xff", "18446744073709551615 bytes announced"),
		pick("bytes of 2^63", "\x8e\xff\xff\xff\xff\xff\xff\xff\x7f", "bytes announced"),
		pick("number of 2 GB", "\x8b\xff\xff\xff\x7f", "bytes announced"),
		pick("endless digits", "L"+strings.Repeat("9", 1<<20), "a line longer than"),
		pick("frame beyond the end", "\x95\xff\xff\xff\xff\xff\xff\xff\xff", "bytes announced"),
		pick("protocol 9", "\x80\x09", "pickle protocol 9"),

		// Tensors.
		pick("negative size", view(0, pInts(-2, 2), pInts(2, 1)), `tensor "w": shape [-2 2] has a negative size`),
		pick("negative stride", view(3, pInts(4), pInts(-1)), `tensor "w": negative stride -1`),
		pick("negative offset", view(-1, pInts(1), pInts(1)), "starts at element -1"),
		pick("offset beyond", view(5, pInts(1), pInts(1)), "starts at element 5 of a storage of 4"),
		pick("view beyond", view(1, pInts(2, 2), pInts(2, 1)), "needs 5 elements, its storage has 4"),
		pick("huge shape", view(0, pInts(1<<31, 1<<31, 1<<31), pInts(0, 0, 0)), "too large"),
		pick("repeated elements", view(0, pInts(1<<30), pInts(0)), "repeats elements"),
		pick("huge stride", view(0, pInts(2, 3), pInts(1<<62, 1<<62)), "are too large"),
		pick("too few strides", view(0, pInts(2, 2), pInts(1)), "1 strides for 2 dimensions"),
		pick("rank 100", view(0, pTuple(strings.Repeat(pInt(1), 100)), pInts()), "100 dimensions"),
		pick("size of text", view(0, pTuple(pStr("2")), pInts(1)), "text where a whole number must stand"),
		pick("size of 2^80", view(0, pTuple("\x8a\x0b"+strings.Repeat("\x00", 10)+"\x01"), pInts(1)), "a number where a whole number must stand"),
		pick("few arguments", weights(pGlobal("torch._utils", "_rebuild_tensor_v2")+")R"), "with 0 arguments"),
		entry("shared to a bomb", []zipPart{
			{name: "a/data.pkl", data: "\x80\x02" + pDict(pStr("w"), pTensor(pStorage("FloatStorage", "0", 1024), 0, pInts(1024), pInts(1))+"q\x01") + "(" + many.String() + "u."},
			{name: "a/data/0", data: strings.Repeat("\x00", 4096)},
		}, "more than 16 times the bytes"),
		pick("name twice", pDict(pStr("w"), goodTensor, pStr("w"), goodTensor), `name "w" stands twice`),
		pick("name of no UTF-8", pDict(pStr("\xff"), goodTensor), "no UTF-8"),
		pick("names that are numbers", pDict(pInt(1), goodTensor), "no tensors under names"),

		// Storages.
		pick("storage of negative size", weights(pTensor(pStorage("FloatStorage", "0", -4), 0, pInts(1), pInts(1))), `storage "0" with -4 elements`),
		pick("storage of 2^62", weights(pTensor(pStorage("FloatStorage", "0", 1<<62), 0, pInts(1), pInts(1))), "with 4611686018427387904 elements"),
		pick("storage larger than its entry", weights(pTensor(pStorage("FloatStorage", "0", 5), 0, pInts(1), pInts(1))), "has 16 bytes and needs 20"),
		pick("storage missing", weights(pTensor(pStorage("FloatStorage", "9", 4), 0, pInts(1), pInts(1))), `storage "9" is not in the file`),
		pick("storage up the folders", weights(pTensor(pStorage("FloatStorage", "../../etc/passwd", 4), 0, pInts(1), pInts(1))), "is not in the file"),
		pick("storage of two types", pDict(pStr("a"), goodTensor, pStr("b"), pTensor(pStorage("HalfStorage", "0", 8), 0, pInts(1), pInts(1))), "is described twice, differently"),
		pick("storage of an unknown class", weights(pTensor(pStorage("Weird", "0", 4), 0, pInts(1), pInts(1))), "unknown class torch.Weird"),
		pick("persistent id of text", pStr("0")+"Q", "a persistent id that is text"),

		// Archives.
		entry("zip bomb", archive(func(p []zipPart) {
			p[0].data, p[0].method = bomb.String(), 8
			p[0].edit = put(24, 200<<20)
		}), "is compressed"),
		entry("compressed storage", archive(func(p []zipPart) { p[1].method = 8 }), "is compressed"),
		entry("encrypted", archive(func(p []zipPart) { p[0].edit = func(b []byte) { b[8] = 1 } }), "is encrypted"),
		entry("overlapping entries", archive(func(p []zipPart) { p[2].edit = put(42, 0) }), "overlaps the next one"),
		entry("entry within another", archive(func(p []zipPart) { p[1].edit = put(42, 50) }), "overlaps the next one"),
		entry("entry beyond the file", archive(func(p []zipPart) { p[1].edit = put(42, 1<<30) }), "outside the file"),
		entry("entry larger than the file", archive(func(p []zipPart) {
			p[1].edit = func(b []byte) { put(20, 1<<30)(b); put(24, 1<<30)(b) }
		}), "outside the file"),
		entry("entry of two sizes", archive(func(p []zipPart) { p[1].edit = put(24, 8) }), "two sizes"),
		entry("entry elsewhere", archive(func(p []zipPart) {
			p[0].edit = func(b []byte) {
				put(20, uint32(len(good)-1))(b)
				put(24, uint32(len(good)-1))(b)
				put(42, 1)(b)
			}
		}), "not where the archive's directory says"),
		entry("wrong checksum of the objects", archive(func(p []zipPart) { p[0].edit = put(16, 1) }), "is damaged: its checksum"),
		entry("wrong checksum of a storage", archive(func(p []zipPart) { p[1].edit = put(16, 1) }), "is damaged: its checksum"),
		entry("name up the folders", archive(func(p []zipPart) { p[2].name = "a/../../x" }), "leads out of the archive"),
		entry("absolute name", archive(func(p []zipPart) { p[2].name = "/etc/passwd" }), "leads out of the archive"),
		entry("name with backslashes", archive(func(p []zipPart) { p[2].name = `..\x` }), "leads out of the archive"),
		entry("names twice", archive(func(p []zipPart) { p[2].name = "a/data/0" }), "stands twice"),
		entry("two data.pkl", archive(func(p []zipPart) { p[2].name = "b/data.pkl" }), "claim to hold the objects"),
		entry("no data.pkl", archive(func(p []zipPart) { p[0].name = "a/x.pkl" }), "without data.pkl"),
		entry("TorchScript", archive(func(p []zipPart) { p[2].name = "a/constants.pkl" }), "a TorchScript archive"),
		entry("big-endian", archive(func(p []zipPart) { p[2].name, p[2].data = "a/byteorder", "big" }), `byte order "big"`),
		{"zip: entries beyond the directory", makeZip(archive(func([]zipPart) {}), func(b []byte) { le.PutUint16(b[10:], 60000) }), "directory is missing or damaged"},
		{"zip: fewer entries than the directory", makeZip(archive(func([]zipPart) {}), func(b []byte) { le.PutUint16(b[10:], 1) }), "directory is missing or damaged"},
		{"zip: directory of 4 GB", makeZip(archive(func([]zipPart) {}), put(12, 1<<32-1)), "are the most"},
		{"zip: directory elsewhere", makeZip(archive(func([]zipPart) {}), put(16, 3)), "directory is missing or damaged"},
		{"zip: nothing", []byte("PK\x03\x04"), "directory is missing or damaged"},

		// The legacy form.
		{"legacy: machine of big-endian numbers", []byte(legacyHead + "\x80\x02" + pDict(pStr("little_endian"), "\x89") + "." + "N."), "big-endian machine"},
		{"legacy: other magic", []byte("\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x18."), "wrong magic number"},
		{"legacy: other protocol", []byte(legacyHead[:len(legacyHead)-3] + "\x01\x00."), "protocol version 1;"},
		{"legacy: os.system as machine", []byte(legacyHead + run + "."), "wants to run os.system"},
		{"legacy: keys of a number", legacyFile(pDict(pStr("w"), goodTensor), "K\x01", ""), "storage keys are a number"},
		{"legacy: key of nothing", legacyFile(pDict(pStr("w"), goodTensor), "]("+pStr("7")+"e", number64(4)), "storage 7 is used by no tensor"},
		{"legacy: key twice", legacyFile(pDict(pStr("w"), goodTensor), "]("+pStr("0")+pStr("0")+"e", number64(4)+strings.Repeat("\x00", 16)+number64(4)), "stands twice"},
		{"legacy: storage missing", legacyFile(pDict(pStr("w"), goodTensor), "]", ""), `storage "0" is not in the file`},
		{"legacy: two counts", legacyFile(pDict(pStr("w"), goodTensor), "]("+pStr("0")+"e", number64(1<<40)), "4 elements in one place and 1099511627776 in another"},
		{"legacy: negative count", legacyFile(pDict(pStr("w"), goodTensor), "]("+pStr("0")+"e", number64(-1)), "-1 in another"},
		{"legacy: short storage", legacyFile(pDict(pStr("w"), goodTensor), "]("+pStr("0")+"e", number64(4)+"123"), "needs 16 bytes where 3 are left"},
		{"legacy: part outside", legacyFile(pDict(pStr("w"), pTensor(pTuple(pStr("storage"), pGlobal("torch", "FloatStorage"), pStr("0"), pStr("cpu"), pInt(4), pTuple(pStr("1"), pInt(3), pInt(2)))+"Q", 0, pInts(1), pInts(1))), "]", ""), "its part lies outside"},

		// Other files.
		{"tar", tar, "the tar form of PyTorch before 0.1.10"},
		{"plain pickle", []byte("\x80\x04}."), "a plain pickle"},
		{"LFS pointer", []byte("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"), "a Git LFS pointer"},
		{"web page", []byte("\n<!DOCTYPE html><html>not found</html>"), "a web page"},
		{"Keras", []byte("\x89HDF\r\n\x1a\n and more"), "an HDF5 file"},
		{"gzip", []byte("\x1f\x8b\x08\x00"), "a gzip archive"},
	}
}

// try opens a file and reads every tensor of it.
func try(b []byte) error {
	f, err := NewFile(bytes.NewReader(b), int64(len(b)), "x.pth")
	if err != nil {
		return err
	}
	for _, i := range f.Tensors() {
		if _, err := f.Read(i.Name); err != nil {
			return err
		}
	}
	return nil
}

// measured is try with the bytes it allocated and the time it took.
func measured(b []byte) (err error, bytes uint64, d time.Duration) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	start := time.Now()
	err = try(b)
	d = time.Since(start)
	runtime.ReadMemStats(&after)
	return err, after.TotalAlloc - before.TotalAlloc, d
}

const (
	hostileBytes = 100 << 20
	hostileTime  = time.Second
)

// Each gives the error that says what is wrong, in a second and 100 MB.
func TestHostilePyTorchFiles(t *testing.T) {
	if err := try(zipFile(pDict(pStr("w"), goodTensor))); err != nil {
		t.Fatal(err) // else everything below would prove nothing
	}
	if err := try(legacyFile(pDict(pStr("w"), goodTensor), "]("+pStr("0")+"e", number64(4)+strings.Repeat("\x00", 16))); err != nil {
		t.Fatal(err)
	}
	files := hostileFiles()
	var most uint64
	var longest time.Duration
	for _, c := range files {
		t.Run(c.name, func(t *testing.T) {
			err, n, d := measured(c.b)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.HasPrefix(err.Error(), "x.pth: ") || len(err.Error()) > 500 {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if n > hostileBytes || d > hostileTime {
				t.Errorf("%d bytes allocated in %v", n, d)
			}
			most, longest = max(most, n), max(longest, d)
		})
	}
	t.Logf("%d files: at most %.1f MB allocated, %v", len(files), float64(most)/1e6, longest)
}

func TestTruncatedPyTorchFiles(t *testing.T) {
	for _, path := range []string{"types_zip2.pth", "types_legacy2.pth", "types_legacy1.pth", "types_zip4.pth", "checkpoint_zip.pth", "checkpoint_legacy.pth", "module_zip.pth"} {
		whole, err := os.ReadFile("testdata/" + path)
		if err != nil {
			t.Fatal(err)
		}
		for i := range 100 {
			err, n, d := measured(whole[:len(whole)*i/100])
			if err == nil || n > hostileBytes || d > hostileTime {
				t.Errorf("%s, %d %%: %v, %d bytes in %v", path, i, err, n, d)
			}
		}
	}
}
