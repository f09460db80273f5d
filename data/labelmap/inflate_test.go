package labelmap

import (
	"bytes"
	"compress/flate"
	"testing"
)

func TestInflate(t *testing.T) {
	want := bytes.Repeat([]byte("label map "), 1000)
	var b bytes.Buffer
	w, err := flate.NewWriter(&b, 6)
	if err != nil {
		t.Fatal(err)
	}
	w.Write(want)
	w.Close()
	z := newInflater()
	got := make([]byte, len(want))
	if !z.inflate(got, b.Bytes()) || !bytes.Equal(got, want) {
		t.Fatal("inflated data differ")
	}
	// A file may have bytes behind the data: the checksum, for one.
	if !z.inflate(got, append(bytes.Clone(b.Bytes()), 1, 2, 3, 4)) {
		t.Error("bytes behind the data are refused")
	}
	for name, c := range map[string]struct{ dst, src []byte }{
		"no data":       {got, nil},
		"no room":       {nil, b.Bytes()},
		"cut off":       {got, b.Bytes()[:b.Len()/2]},
		"less room":     {got[:len(got)-1], b.Bytes()},
		"more room":     {make([]byte, len(want)+1), b.Bytes()},
		"not a deflate": {got, want},
	} {
		if z.inflate(c.dst, c.src) {
			t.Errorf("%s: accepted", name)
		}
	}
}
