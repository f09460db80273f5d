// Package progress shows a training run on the console: a bar that stays on one
// line of a terminal, or now and then a plain line when the output is piped.
package progress

import (
	"fmt"
	"io"
	"math"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rivo/uniseg"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// Line is what there is to say after a step.
type Line struct {
	Step, Steps int64         // steps done and in total
	Loss        float64       // total
	BlockLosses []float64     // one per block, the last block last; may be empty
	LR          float64       // learning rate of this step
	ImgPerSec   float64       // images per second
	DataWait    float64       // share of the time spent waiting for data, 0 … 1
	MemBytes    int64         // memory of the process or plan; 0: not shown
	ETA         time.Duration // time left; 0: estimated from the steps seen
}

// Progress writes Lines to a console. Its methods may be called from several
// goroutines. Errors of the writer are dropped: a closed pipe must not end a
// training.
type Progress struct {
	// Every is how many steps lie between two lines of a pipe (default 20). The
	// first and the last step always get one. A terminal is not affected.
	Every int64

	mu    sync.Mutex
	out   io.Writer
	total int64
	bar   *progressbar.ProgressBar // nil: piped
	now   func() time.Time

	started time.Time // of the first Line
	first   int64     // its step
	printed int64     // step of the last line in a pipe, -1: none
	last    Line
}

const barWidth = 20

// New returns a Progress over total steps that writes to out; tty says whether
// out is a terminal.
func New(out io.Writer, tty bool, total int64) *Progress {
	p := &Progress{Every: 20, out: out, total: total, now: time.Now, printed: -1}
	if tty {
		p.bar = progressbar.NewOptions64(max(total, 1),
			progressbar.OptionSetWriter(out),
			progressbar.OptionSetWidth(barWidth),
			progressbar.OptionThrottle(100*time.Millisecond),
			progressbar.OptionShowDescriptionAtLineEnd(),
			progressbar.OptionSetPredictTime(false), // it counts the steps before a resume as done now
			progressbar.OptionSetElapsedTime(false),
			progressbar.OptionSetTheme(progressbar.Theme{Saucer: "=", SaucerHead: ">", SaucerPadding: " ", BarStart: "[", BarEnd: "]"}),
		)
	}
	return p
}

// Update shows a step. Call it after every step: it decides what to print.
func (p *Progress) Update(l Line) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if l.Steps == 0 {
		l.Steps = p.total
	}
	if p.started.IsZero() {
		p.started, p.first = p.now(), l.Step
	}
	if l.ETA == 0 {
		l.ETA = p.estimate(l)
	}
	p.last = l
	if p.bar != nil {
		p.bar.Describe(fit(describe(l), p.room()))
		p.bar.Set64(min(max(l.Step, 0), max(p.total, 1)))
		return
	}
	if p.printed < 0 || l.Step >= l.Steps || l.Step-p.printed >= max(p.Every, 1) {
		p.print(l)
	}
}

func (p *Progress) print(l Line) {
	p.printed = l.Step
	fmt.Fprintln(p.out, Plain(l))
}

// estimate is the time left at the mean speed since the first Line, 0 before
// there is one.
func (p *Progress) estimate(l Line) time.Duration {
	done, left := l.Step-p.first, l.Steps-l.Step
	if done <= 0 || left <= 0 {
		return 0
	}
	// In floating point: elapsed nanoseconds times steps can overflow an int64.
	t := p.now().Sub(p.started).Seconds() / float64(done) * float64(left)
	return time.Duration(min(t, 1e9) * float64(time.Second))
}

// Println writes a line of its own (an evaluation, a saved checkpoint) without
// tearing the bar.
func (p *Progress) Println(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.bar != nil {
		p.bar.Clear()
	}
	fmt.Fprintln(p.out, text)
	if p.bar != nil && !p.bar.IsFinished() {
		p.bar.RenderBlank()
	}
}

// Finish ends the bar where it stands, or writes the last step's line if a pipe
// has not had it.
func (p *Progress) Finish() {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.started.IsZero():
	case p.bar != nil:
		p.bar.Exit()
		fmt.Fprintln(p.out)
	case p.printed != p.last.Step:
		p.print(p.last)
	}
}

// room is how many columns are left of the bar's line for its description.
func (p *Progress) room() int {
	columns := 100
	if f, ok := p.out.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 0 {
			columns = w
		}
	}
	// " 100% [" + bar + "]  " and a free column, so that nothing wraps.
	return max(columns-barWidth-12, 0)
}

// fit cuts whole parts off the end of a description.
func fit(parts []string, columns int) string {
	for n := len(parts); n > 0; n-- {
		if s := strings.Join(parts[:n], "  "); uniseg.StringWidth(s) <= columns {
			return s
		}
	}
	return ""
}

// describe lists what a terminal shows, the most wanted first.
func describe(l Line) []string {
	parts := []string{
		fmt.Sprintf("%d/%d", l.Step, l.Steps),
		"loss " + number(l.Loss),
		"eta " + Duration(l.ETA),
		fmt.Sprintf("%s img/s", number(l.ImgPerSec)),
		fmt.Sprintf("wait %.1f%%", 100*l.DataWait),
	}
	if l.MemBytes > 0 {
		parts = append(parts, Bytes(l.MemBytes))
	}
	parts = append(parts, fmt.Sprintf("lr %.3g", l.LR))
	if len(l.BlockLosses) > 0 {
		parts = append(parts, "blocks "+blocks(l.BlockLosses, " "))
	}
	return parts
}

// Plain is a Line as one line of key=value pairs, the form that a pipe gets.
func Plain(l Line) string {
	var b strings.Builder
	fmt.Fprintf(&b, "step=%d/%d loss=%s", l.Step, l.Steps, number(l.Loss))
	if len(l.BlockLosses) > 0 {
		b.WriteString(" blocks=" + blocks(l.BlockLosses, ","))
	}
	fmt.Fprintf(&b, " lr=%.4g img/s=%s wait=%.1f%%", l.LR, number(l.ImgPerSec), 100*l.DataWait)
	if l.MemBytes > 0 {
		fmt.Fprintf(&b, " mem=%s", strings.ReplaceAll(Bytes(l.MemBytes), " ", ""))
	}
	fmt.Fprintf(&b, " eta=%s", Duration(l.ETA))
	return b.String()
}

// blocks lists up to eight losses, of more the least and the greatest.
func blocks(losses []float64, sep string) string {
	if len(losses) > 8 {
		return fmt.Sprintf("%d:%s..%s", len(losses), number(slices.Min(losses)), number(slices.Max(losses)))
	}
	parts := make([]string, len(losses))
	for i, v := range losses {
		parts[i] = number(v)
	}
	return strings.Join(parts, sep)
}

// number gives four significant digits without trailing noise.
func number(v float64) string {
	if a := math.Abs(v); a >= 1e-3 && a < 1e5 {
		digits := 3 - int(math.Floor(math.Log10(a)))
		return fmt.Sprintf("%.*f", min(max(digits, 1), 4), v)
	}
	return fmt.Sprintf("%.3g", v)
}

// Bytes writes a size in decimal units, "1.31 GB".
func Bytes(n int64) string {
	v, unit := float64(n), 0
	for math.Abs(v) >= 1000 && unit < 4 {
		v /= 1000
		unit++
	}
	if unit == 0 {
		return fmt.Sprintf("%d B", n)
	}
	digits := 2
	if math.Abs(v) >= 100 {
		digits = 0
	}
	return fmt.Sprintf("%.*f %s", digits, v, []string{"B", "kB", "MB", "GB", "TB"}[unit])
}

// Duration writes a time left with two units: "42s", "3m20s", "1h02m", "2d05h";
// "-" where it is not known.
func Duration(d time.Duration) string {
	s := int64(d.Round(time.Second) / time.Second)
	switch {
	case d <= 0:
		return "-"
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s/60%60)
	}
	return fmt.Sprintf("%dd%02dh", s/86400, s/3600%24)
}
