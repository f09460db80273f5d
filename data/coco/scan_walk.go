package coco

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
