package progress

import (
	"bytes"
	"testing"
	"time"
)

func TestCount(t *testing.T) {
	at := time.Unix(0, 0)
	now := func() time.Time { return at }
	var pipe, tty bytes.Buffer
	p, q := count(&pipe, false, "images", now), count(&tty, true, "images", now)
	for done := 1; done <= 10; done++ {
		at = at.Add(20 * time.Second)
		p(done, 10)
		q(done, 10)
	}
	// A line at 40, 80, 120, 160 s: 20 s an image.
	want := "2/10 images  eta 2m40s\n4/10 images  eta 2m00s\n6/10 images  eta 1m20s\n8/10 images  eta 40s\n"
	if got := pipe.String(); got != want {
		t.Errorf("pipe: %q, want %q", got, want)
	}
	if got := tty.String(); !bytes.HasPrefix(tty.Bytes(), []byte("\r\x1b[K1/10 images  eta 3m00s\r")) || got[len(got)-4:] != "\r\x1b[K" {
		t.Errorf("terminal: %q", got)
	}
}
