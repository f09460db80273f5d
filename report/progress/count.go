package progress

import (
	"fmt"
	"io"
	"time"
)

// quiet is how often Count writes a line to a pipe.
const quiet = 30 * time.Second

// Count returns a function that is told how many things of a kind are done: on a
// terminal it keeps one line up to date and removes it at the end, in a pipe it
// writes a line every half minute, so that work of a moment leaves none. The time
// left is estimated from the mean so far. Errors of the writer are dropped.
func Count(out io.Writer, tty bool, what string) func(done, total int) {
	return count(out, tty, what, time.Now)
}

func count(out io.Writer, tty bool, what string, now func() time.Time) func(done, total int) {
	start := now()
	said := start
	return func(done, total int) {
		t := now()
		left := time.Duration(0)
		if done > 0 {
			left = time.Duration(t.Sub(start).Seconds() / float64(done) * float64(total-done) * float64(time.Second))
		}
		line := fmt.Sprintf("%d/%d %s  eta %s", done, total, what, Duration(left))
		switch {
		case tty && done >= total:
			fmt.Fprint(out, "\r\x1b[K")
		case tty:
			fmt.Fprintf(out, "\r\x1b[K%s", line)
		case t.Sub(said) >= quiet && done < total:
			said = t
			fmt.Fprintln(out, line)
		}
	}
}
