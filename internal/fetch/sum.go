package fetch

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"os"
	"strings"
)

// The kinds of sums.
const (
	MD5    = "MD5"
	SHA256 = "SHA-256"
)

// Sum is a checksum of a file's contents, or its beginning; the zero value is none. An
// MD5 finds damage, not intent.
type Sum struct {
	Kind string // MD5 or SHA256
	Hex  string // lower-case hexadecimal digits
}

// ParseSum reads a whole sum as it is printed: 32 hexadecimal digits of an MD5, 64 of a
// SHA-256, in either case.
func ParseSum(kind, text string) (Sum, error) {
	s := Sum{kind, strings.ToLower(strings.TrimSpace(text))}
	want := 2 * s.hash().Size()
	if _, err := hex.DecodeString(s.Hex); err != nil || len(s.Hex) != want {
		return Sum{}, fmt.Errorf("%q is no %s, which has %d hexadecimal digits", text, kind, want)
	}
	return s, nil
}

func (s Sum) hash() hash.Hash {
	if s.Kind == MD5 {
		return md5.New()
	}
	return sha256.New()
}

// Of returns the whole sum of the file of the same kind as s.
func (s Sum) Of(file string) (Sum, error) {
	f, err := os.Open(file)
	if err != nil {
		return Sum{}, err
	}
	defer f.Close()
	h := s.hash()
	if _, err := io.Copy(h, f); err != nil {
		return Sum{}, err
	}
	return Sum{s.Kind, hex.EncodeToString(h.Sum(nil))}, nil
}

// Check compares a file with s; a file is always what no sum says.
func (s Sum) Check(file string) error {
	if s == (Sum{}) {
		return nil
	}
	got, err := s.Of(file)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(got.Hex, s.Hex) {
		return fmt.Errorf("%s: its %s begins with %s, expected %s", file, s.Kind, got.Hex[:len(s.Hex)], s.Hex)
	}
	return nil
}
