package main

import (
	"io"
	"time"

	"github.com/schollz/progressbar/v3"

	"manvision/report"
)

// newBar shows progress on a terminal; elsewhere it is silent. step may be called
// by several goroutines; done removes the bar.
func newBar(w io.Writer, n int, what string) (step, done func()) {
	if !report.IsTerminal(w) {
		return func() {}, func() {}
	}
	bar := progressbar.NewOptions(n,
		progressbar.OptionSetWriter(w),
		progressbar.OptionSetDescription(what),
		progressbar.OptionSetWidth(24),
		progressbar.OptionShowCount(),
		progressbar.OptionShowIts(),
		progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish(),
	)
	return func() { bar.Add(1) }, func() { bar.Finish() }
}
