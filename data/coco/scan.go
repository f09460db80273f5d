package coco

import (
	"bytes"
	"fmt"
	"io"
	"strconv"
)

const (
	scanBuffer = 1 << 18 // bytes read at a time
	maxNumber  = 512     // longest number in characters
	maxString  = 1 << 26 // longest string in bytes
	maxDepth   = 1 << 10 // deepest nesting of values that are stepped over
)

// scanner reads JSON token by token through one small buffer. The first syntax
// or read error sticks: from then on every method returns zero values and every
// loop over nextKey and nextElem ends. A value of the wrong type is no syntax
// error: it is stepped over and noted in bad, so that the caller can still learn
// which element it belongs to.
type scanner struct {
	src   io.Reader // nil when buf holds everything
	buf   []byte
	pos   int
	base  int64 // offset of buf[0] in the file
	lines int   // line feeds before buf[0]
	eof   bool
	err   *syntaxError
	key   []byte // key of the current member, for messages; valid until the value is read
	name  string // the same, kept for messages
	bad   string // first value of a wrong type since the caller cleared it
	text  []byte // scratch for strings with escapes
}

type syntaxError struct {
	problem string
	line    int
	offset  int64
}

func newScanner(src io.Reader) *scanner {
	return &scanner{src: src, buf: make([]byte, 0, scanBuffer)}
}

// scanBytes returns a scanner over data that is in memory.
func scanBytes(data []byte) *scanner { return &scanner{buf: data, eof: true} }

func (s *scanner) fail(format string, args ...any) {
	if s.err == nil {
		s.err = &syntaxError{
			problem: fmt.Sprintf(format, args...),
			line:    s.lines + bytes.Count(s.buf[:s.pos], []byte{'\n'}) + 1,
			offset:  s.base + int64(s.pos),
		}
	}
	s.buf, s.pos, s.eof = s.buf[:0], 0, true
}

// unexpected fails on the next byte c, 0 for the end of the file.
func (s *scanner) unexpected(c byte, want string) {
	switch {
	case s.err != nil:
	case c == 0:
		s.fail("the file ends where %s should follow: it is cut off", want)
	default:
		s.fail("found %s where %s should follow", quoteByte(c), want)
	}
}

func quoteByte(c byte) string {
	if c == 0 {
		return "byte 0"
	}
	return strconv.QuoteRune(rune(c))
}

// fill drops what was read and reads more. It says whether there is more.
func (s *scanner) fill() bool {
	if s.eof {
		return false
	}
	if s.pos > 0 {
		s.lines += bytes.Count(s.buf[:s.pos], []byte{'\n'})
		s.base += int64(s.pos)
		s.buf = s.buf[:copy(s.buf[:cap(s.buf)], s.buf[s.pos:])]
		s.pos = 0
	}
	if len(s.buf) == cap(s.buf) {
		s.buf = append(make([]byte, 0, 2*cap(s.buf)), s.buf...)
	}
	for range 100 {
		n, err := s.src.Read(s.buf[len(s.buf):cap(s.buf)])
		s.buf = s.buf[:len(s.buf)+n]
		if err == io.EOF {
			s.eof = true
		} else if err != nil {
			s.fail("read: %v", err)
			return false
		}
		if n > 0 || s.eof {
			return n > 0
		}
	}
	s.fail("read: %v", io.ErrNoProgress)
	return false
}

// ensure reads on until n bytes lie in the buffer or the file ends.
func (s *scanner) ensure(n int) {
	for len(s.buf)-s.pos < n && s.fill() {
	}
}

// peek steps over white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for {
		for s.pos < len(s.buf) {
			c := s.buf[s.pos]
			if c > ' ' {
				return c
			}
			if c != ' ' && c != '\n' && c != '\r' && c != '\t' {
				s.fail("unexpected %s", quoteByte(c))
				return 0
			}
			s.pos++
		}
		if !s.fill() {
			return 0
		}
	}
}

// end checks that nothing but white space is left.
func (s *scanner) end() {
	if c := s.peek(); c != 0 {
		s.fail("found %s behind the end of the data", quoteByte(c))
	}
}
