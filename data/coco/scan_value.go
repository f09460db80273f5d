package coco

import (
	"fmt"
	"math"
	"strconv"
)

// named keeps the current key for messages about its value.
func (s *scanner) named(name string) *scanner { s.name = name; return s }

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

// box reads a list of numbers, returns how many there were and keeps the first
// four. NaN and infinities are kept as NaN for the check of all boxes.
func (s *scanner) box(b *[4]float64) int {
	if s.peek() != '[' {
		s.wrong("a list of 4 numbers")
		return 4
	}
	n := 0
	for first := true; s.nextElem(&first); {
		v := math.NaN()
		c := s.peek()
		if c == '-' {
			s.ensure(2)
			if s.pos+1 < len(s.buf) {
				c = s.buf[s.pos+1]
			}
		}
		if c == 'N' || c == 'I' {
			s.literal()
		} else {
			v, _ = s.float("a number")
		}
		if n < 4 {
			b[n] = v
		}
		n++
	}
	return n
}
