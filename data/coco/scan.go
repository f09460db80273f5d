package coco

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
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

func quoteByte(c byte) string {
	if c == 0 {
		return "byte 0"
	}
	return strconv.QuoteRune(rune(c))
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

// nextKey moves to the next member of an object: first is true before the first
// call, which reads the brace. It returns false behind the closing brace. The
// key is in s.key until anything else is read.
func (s *scanner) nextKey(first *bool) bool {
	c := s.peek()
	if *first {
		*first = false
		if c != '{' {
			s.unexpected(c, "an object")
			return false
		}
		s.pos++
		if c = s.peek(); c == '}' {
			s.pos++
			return false
		}
	} else {
		switch c {
		case '}':
			s.pos++
			return false
		case ',':
			s.pos++
			c = s.peek()
		default:
			s.unexpected(c, "',' or '}'")
			return false
		}
	}
	if c != '"' {
		s.unexpected(c, "a key in quotes")
		return false
	}
	s.key = s.rawString()
	// The key must outlive the colon, which may lie in the next buffer.
	if s.pos < len(s.buf) && s.buf[s.pos] == ':' {
		s.pos++
		return true
	}
	s.key = append([]byte(nil), s.key...)
	if c := s.peek(); c != ':' {
		s.unexpected(c, "':'")
		return false
	}
	s.pos++
	return s.err == nil
}

// nextElem moves to the next element of an array, as nextKey does in an object.
func (s *scanner) nextElem(first *bool) bool {
	c := s.peek()
	if *first {
		*first = false
		if c != '[' {
			s.unexpected(c, "a list")
			return false
		}
		s.pos++
		if c = s.peek(); c == ']' {
			s.pos++
			return false
		}
		return s.err == nil && c != 0
	}
	switch c {
	case ']':
		s.pos++
		return false
	case ',':
		s.pos++
		return true
	}
	s.unexpected(c, "',' or ']'")
	return false
}

// rawString reads a string; the next byte is its quote. The bytes are valid
// until anything else is read.
func (s *scanner) rawString() []byte {
	i := s.pos + 1
	escaped := false
	for {
		for i < len(s.buf) {
			c := s.buf[i]
			if c == '"' {
				raw := s.buf[s.pos+1 : i]
				s.pos = i + 1
				if escaped {
					return s.unescape(raw)
				}
				return raw
			}
			if c == '\\' {
				escaped = true
				i++
			} else if c < ' ' {
				s.pos = i
				s.fail("a string holds the control character %#02x", c)
				return nil
			}
			i++
		}
		if i-s.pos > maxString {
			s.fail("a string is longer than %d bytes", maxString)
			return nil
		}
		i -= s.pos
		if !s.fill() {
			s.fail("the file ends inside a string: it is cut off")
			return nil
		}
		i += s.pos
	}
}

func (s *scanner) unescape(raw []byte) []byte {
	out := s.text[:0]
	for i := 0; i < len(raw); i++ {
		c := raw[i]
		if c != '\\' {
			out = append(out, c)
			continue
		}
		i++
		switch c = raw[i]; c {
		case '"', '\\', '/':
			out = append(out, c)
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r, ok := hex4(raw[i+1:])
			if !ok {
				s.fail("a string holds a broken \\u escape")
				return nil
			}
			i += 4
			if utf16.IsSurrogate(r) {
				low, ok := rune(0), false
				if len(raw) > i+2 && raw[i+1] == '\\' && raw[i+2] == 'u' {
					low, ok = hex4(raw[i+3:])
				}
				if pair := utf16.DecodeRune(r, low); ok && pair != utf8.RuneError {
					r = pair
					i += 6
				} else {
					r = utf8.RuneError
				}
			}
			out = utf8.AppendRune(out, r)
		default:
			s.fail("a string holds the unknown escape \\%c", c)
			return nil
		}
	}
	s.text = out
	return out
}

func hex4(b []byte) (rune, bool) {
	if len(b) < 4 {
		return 0, false
	}
	v, err := strconv.ParseUint(string(b[:4]), 16, 16)
	return rune(v), err == nil
}

// wrong notes that the next value is not what it should be and steps over it.
func (s *scanner) wrong(want string) {
	c := s.peek()
	key := s.name
	if c == 0 || s.err != nil {
		s.unexpected(c, want)
		return
	}
	found := ""
	switch {
	case c == '"':
		found = "text " + strconv.Quote(clip(string(s.rawString())))
	case c == '{':
		found = "an object"
		s.skip()
	case c == '[':
		found = "a list"
		s.skip()
	default:
		found = clip(string(s.literal()))
	}
	if s.bad == "" && s.err == nil {
		s.bad = fmt.Sprintf("%q is %s where %s belongs", key, found, want)
	}
}

func clip(t string) string {
	if len(t) > 40 {
		return t[:40] + "..."
	}
	return t
}

// literal reads a bare word: a number, true, false, null, or what JSON does not
// know (NaN, Infinity).
func (s *scanner) literal() []byte {
	s.ensure(maxNumber)
	i := s.pos
	for i < len(s.buf) && i-s.pos < maxNumber && bareByte(s.buf[i]) {
		i++
	}
	if i == s.pos {
		c := byte(0)
		if i < len(s.buf) {
			c = s.buf[i]
		}
		s.unexpected(c, "a value")
		return nil
	}
	word := s.buf[s.pos:i]
	switch string(word) {
	case "true", "false", "null", "NaN", "Infinity", "-Infinity":
	default:
		if _, n, ok := parseNumber(word); !ok || n != len(word) {
			s.fail("found %s where a value should follow", strconv.Quote(clip(string(word))))
			return nil
		}
	}
	s.pos = i
	return word
}

func bareByte(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '-' || c == '+' || c == '.'
}

// ensure reads on until n bytes lie in the buffer or the file ends.
func (s *scanner) ensure(n int) {
	for len(s.buf)-s.pos < n && s.fill() {
	}
}

// named keeps the current key for messages about its value.
func (s *scanner) named(name string) *scanner { s.name = name; return s }

// float reads a finite number. want says in a message what belongs there.
func (s *scanner) float(want string) (float64, bool) {
	if c := s.peek(); c != '-' && (c < '0' || c > '9') {
		s.wrong(want)
		return 0, false
	}
	if len(s.buf)-s.pos < maxNumber {
		s.ensure(maxNumber)
	}
	f, n, ok := parseNumber(s.buf[s.pos:])
	if !ok {
		if n == -1 {
			s.wrong(want)
		} else {
			s.fail("a malformed number")
		}
		return 0, false
	}
	s.pos += n
	if s.pos < len(s.buf) && bareByte(s.buf[s.pos]) {
		s.pos -= n
		s.literal() // fails
		return 0, false
	}
	if math.IsInf(f, 0) {
		if s.bad == "" {
			s.bad = fmt.Sprintf("%q is a number too large", s.name)
		}
		return 0, false
	}
	return f, true
}

// int reads a whole number of at most 2^53; 12.0 counts as whole.
func (s *scanner) int(want string) (int64, bool) {
	c := s.peek()
	if c >= '1' && c <= '9' {
		var v int64
		for i := s.pos; i < len(s.buf) && i < s.pos+15; i++ {
			d := s.buf[i] - '0'
			if d > 9 {
				if !bareByte(s.buf[i]) {
					s.pos = i
					return v, true
				}
				break
			}
			v = v*10 + int64(d)
		}
	}
	if c == '-' || c >= '0' && c <= '9' {
		f, ok := s.float(want)
		if ok && (f != math.Trunc(f) || math.Abs(f) > 1<<53) {
			ok = false
			if s.bad == "" {
				s.bad = fmt.Sprintf("%q is %v where %s belongs", s.name, f, want)
			}
		}
		return int64(f), ok
	}
	s.wrong(want)
	return 0, false
}

// string reads a string; the bytes are valid until anything else is read.
func (s *scanner) string(want string) ([]byte, bool) {
	if s.peek() != '"' {
		s.wrong(want)
		return nil, false
	}
	b := s.rawString()
	return b, s.err == nil
}

// flag reads 0, 1, true or false.
func (s *scanner) flag() (bool, bool) {
	switch s.peek() {
	case 't', 'f':
		w := string(s.literal())
		return w == "true", s.err == nil
	case '0', '1':
		v, ok := s.int("0 or 1")
		if ok && v > 1 {
			s.bad = fmt.Sprintf("%q is %d where 0 or 1 belongs", s.name, v)
		}
		return v == 1, ok && v <= 1
	}
	s.wrong("0 or 1")
	return false, false
}

var structural = [256]bool{'"': true, '[': true, ']': true, '{': true, '}': true}

// skip steps over one value of any type. Inside lists and objects only brackets
// and strings are looked at.
func (s *scanner) skip() {
	switch s.peek() {
	case 0:
		s.unexpected(0, "a value")
		return
	case '"':
		s.skipString()
		return
	case '[', '{':
	default:
		s.literal()
		return
	}
	var open [maxDepth]byte
	depth := 0
	for s.err == nil {
		buf := s.buf
		i := s.pos
		for i < len(buf) && !structural[buf[i]] {
			i++
		}
		s.pos = i
		if i == len(buf) {
			if !s.fill() {
				s.fail("the file ends inside a list or an object: it is cut off")
			}
			continue
		}
		switch c := buf[i]; c {
		case '"':
			s.skipString()
		case '[', '{':
			if depth == maxDepth {
				s.fail("values are nested deeper than %d", maxDepth)
				return
			}
			open[depth] = c + 2 // the closing bracket in ASCII
			depth++
			s.pos++
		default:
			depth--
			if open[depth] != c {
				s.fail("found %s where %s should follow", quoteByte(c), quoteByte(open[depth]))
				return
			}
			s.pos++
			if depth == 0 {
				return
			}
		}
	}
}

func (s *scanner) skipString() {
	s.pos++
	for s.err == nil {
		for s.pos < len(s.buf) {
			switch s.buf[s.pos] {
			case '"':
				s.pos++
				return
			case '\\':
				s.ensure(2)
				s.pos = min(s.pos+2, len(s.buf))
			default:
				s.pos++
			}
		}
		if !s.fill() {
			s.fail("the file ends inside a string: it is cut off")
		}
	}
}

// end checks that nothing but white space is left.
func (s *scanner) end() {
	if c := s.peek(); c != 0 {
		s.fail("found %s behind the end of the data", quoteByte(c))
	}
}
