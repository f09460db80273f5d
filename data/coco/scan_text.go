package coco

import (
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

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
