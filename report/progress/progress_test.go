package progress

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// clock moves on by one step time a call.
func clock(step time.Duration) func() time.Time {
	t := time.Unix(1000, 0)
	return func() time.Time { t = t.Add(step); return t }
}

func TestPipeGetsOneLineEvery(t *testing.T) {
	var out bytes.Buffer
	p := New(&out, false, 100)
	p.Every = 40
	for s := int64(1); s <= 95; s++ {
		p.Update(Line{Step: s, Loss: 1, ETA: time.Minute})
	}
	p.Println("saved step 95")
	p.Finish()
	var heads []string
	for _, l := range strings.Split(strings.TrimSpace(out.String()), "\n") {
		heads = append(heads, strings.SplitN(l, " loss", 2)[0])
	}
	want := []string{"step=1/100", "step=41/100", "step=81/100", "saved step 95", "step=95/100"}
	if d := cmp.Diff(want, heads); d != "" {
		t.Error(d)
	}
	if strings.ContainsAny(out.String(), "\r\x1b") {
		t.Error("terminal control characters in a pipe")
	}
}

func TestPlain(t *testing.T) {
	l := Line{Step: 120, Steps: 9000, Loss: 1.23456, BlockLosses: []float64{0.41, 0.42, 0.4}, LR: 0.01,
		ImgPerSec: 42.123, DataWait: 0.0123, MemBytes: 1310000000, ETA: 62 * time.Minute}
	want := "step=120/9000 loss=1.235 blocks=0.4100,0.4200,0.4000 lr=0.01 img/s=42.12 wait=1.2% mem=1.31GB eta=1h02m"
	if got := Plain(l); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	l = Line{Step: 1, Steps: 2, Loss: math.NaN(), BlockLosses: make([]float64, 55)}
	l.BlockLosses[3] = 7
	if got := Plain(l); !strings.Contains(got, "loss=NaN blocks=55:0..7.000 ") || !strings.HasSuffix(got, "eta=-") {
		t.Error(got)
	}
}

// A resumed run counts only the steps that it made itself: 10 steps in 20 s, 80
// to go, so 160 s.
func TestEstimateAfterResume(t *testing.T) {
	var out bytes.Buffer
	p := New(&out, false, 1000)
	p.now = func() time.Time { return time.Unix(0, 0) }
	p.Update(Line{Step: 910})
	p.now = func() time.Time { return time.Unix(20, 0) }
	p.Update(Line{Step: 920})
	if got := p.last.ETA; got != 160*time.Second {
		t.Errorf("%v, want 160s", got)
	}
}

func TestTerminal(t *testing.T) {
	var out bytes.Buffer
	p := New(&out, true, 50)
	p.now = clock(time.Second)
	for s := int64(1); s <= 30; s++ {
		p.Update(Line{Step: s, Loss: 0.5, ImgPerSec: 12, MemBytes: 5 << 20})
		time.Sleep(5 * time.Millisecond)
	}
	p.Println("AP50 0.71")
	p.Update(Line{Step: 31, Loss: 0.25})
	p.Finish()
	text := out.String()
	for _, line := range strings.FieldsFunc(text, func(r rune) bool { return r == '\r' || r == '\n' }) {
		if len(strings.TrimRight(line, " ")) > 100 {
			t.Errorf("wider than 100 columns: %q", line)
		}
	}
	if n := strings.Count(text, "\n"); n != 2 {
		t.Errorf("%d line breaks, want 2: after Println and after Finish: %q", n, text)
	}
	if !strings.Contains(text, "AP50 0.71\n") || !strings.Contains(text, "loss 0.5") || !strings.Contains(text, "5.24 MB") {
		t.Errorf("%q", text)
	}
}

// Odd values and a failing writer must not end a training.
func TestHostile(t *testing.T) {
	r, w := io.Pipe()
	r.Close()
	for _, tty := range []bool{false, true} {
		for _, total := range []int64{0, -3, 5} {
			p := New(w, tty, total)
			p.Finish()
			for _, s := range []int64{-1, 0, 3, 9, 2} {
				p.Update(Line{Step: s, Loss: math.Inf(1), DataWait: math.NaN(), BlockLosses: []float64{math.NaN()}})
			}
			p.Println("x")
			p.Finish()
		}
	}
	var group sync.WaitGroup
	p := New(io.Discard, true, 100)
	for i := range 8 {
		group.Go(func() { p.Update(Line{Step: int64(i)}); p.Println(fmt.Sprint(i)) })
	}
	group.Wait()
}

func TestForms(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "-", 42 * time.Second: "42s", 200 * time.Second: "3m20s",
		62 * time.Minute: "1h02m", 53 * time.Hour: "2d05h", 400 * time.Millisecond: "0s"} {
		if got := Duration(d); got != want {
			t.Errorf("%v: %s, want %s", d, got, want)
		}
	}
	for n, want := range map[int64]string{0: "0 B", 999: "999 B", 1000: "1.00 kB", 634e6: "634 MB", 4330e6: "4.33 GB"} {
		if got := Bytes(n); got != want {
			t.Errorf("%d: %s, want %s", n, got, want)
		}
	}
	for v, want := range map[float64]string{0: "0", 1.23456: "1.235", 0.012345: "0.0123", 123.456: "123.5", 99999: "99999.0", 1e-5: "1e-05", 1e7: "1e+07"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}
