package coco

import "sync"

// minShare is the least number of bytes that is worth a goroutine.
const minShare = 1 << 16

// parseShares reads the list in shares side by side. Where a share starts is a
// guess ("{" behind "}," somewhere in its part); it is right if the share before
// it ends exactly there, and the first share starts at the start. Any wrong
// guess or problem in the file makes it give up.
func parseShares(data []byte, path string, o ResultOptions, workers int) ([]Result, bool) {
	starts := []int{0}
	for k := 1; k < workers; k++ {
		if at := guessStart(data, len(data)/workers*k); at > starts[len(starts)-1] {
			starts = append(starts, at)
		}
	}
	if len(starts) < 2 {
		return nil, false
	}
	parts := make([][]Result, len(starts))
	good := make([]bool, len(starts))
	var wg sync.WaitGroup
	for k, start := range starts {
		wg.Go(func() {
			stop := len(data)
			if k+1 < len(starts) {
				stop = starts[k+1]
			}
			parts[k], good[k] = parseShare(data, path, o, start, stop, k+1 == len(starts))
		})
	}
	wg.Wait()
	total := 0
	for k := range parts {
		if !good[k] {
			return nil, false
		}
		total += len(parts[k])
	}
	results := make([]Result, total)
	rest := results
	for _, p := range parts {
		to := rest[:len(p)]
		rest = rest[len(p):]
		wg.Go(func() { copy(to, p) })
	}
	wg.Wait()
	return results, true
}

// guessStart returns the position of a "{" at or behind at that follows "},".
func guessStart(data []byte, at int) int {
	state := byte(0)
	for i := at; i < len(data); i++ {
		switch c := data[i]; c {
		case ' ', '\n', '\r', '\t':
		case '{':
			if state == ',' {
				return i
			}
			state = 0
		case ',':
			if state == '}' {
				state = ','
			} else {
				state = 0
			}
		case '}':
			state = '}'
		default:
			state = 0
		}
	}
	return -1
}

// parseShare reads the results from start on and says whether one ends where
// the next share starts.
func parseShare(data []byte, path string, o ResultOptions, start, stop int, last bool) ([]Result, bool) {
	d := &decoder{s: scanBytes(data), path: path, o: Options{KeepSegmentation: o.KeepSegmentation}}
	s := d.s
	if start == 0 {
		if s.peek() != '[' {
			return nil, false
		}
		s.pos++
	} else {
		s.pos = start
	}
	results := make([]Result, 0, estimate(data[start:stop]))
	for {
		results = append(results, Result{})
		if d.result(&results[len(results)-1], len(results)-1) != nil {
			return nil, false
		}
		c := s.peek()
		if c == ']' {
			s.pos++
			s.end()
			return results, last && s.err == nil
		}
		if c != ',' {
			return nil, false
		}
		s.pos++
		if s.peek(); s.pos >= stop {
			return results, !last && s.pos == stop
		}
	}
}
