package coco

import (
	"bufio"
	"io"
)

// ResultWriter writes a results file one result after the other, for lists that nobody
// wants to hold: the bytes are those of [WriteResults].
type ResultWriter struct {
	w writer
	n int
}

// NewResultWriter begins a list in out.
func NewResultWriter(out io.Writer) *ResultWriter {
	r := &ResultWriter{w: writer{out: bufio.NewWriterSize(out, 1<<16)}}
	r.w.raw("[")
	return r
}

// Write appends results. It fails on numbers that are not finite, and then nothing more
// is of use; errors of the writer may come as late as with Close.
func (r *ResultWriter) Write(results ...Result) error {
	for i := range results {
		r.w.result(r.n, &results[i])
		r.n++
	}
	return r.w.err
}

// Close ends the list; the writer stays open.
func (r *ResultWriter) Close() error {
	r.w.raw("]\n")
	if r.w.err != nil {
		return r.w.err
	}
	return r.w.out.Flush()
}
