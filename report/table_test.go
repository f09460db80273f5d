package report

import (
	"bytes"
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTable(t *testing.T) {
	table := NewTable("class", "AP", "AP50", "boxes")
	table.Row("person", 0.51234, "71.0%", 10777)
	table.Row("猫\tcat\x1b[2J", float32(0.1), "-", 3)
	table.Row("none", "", "8.5%")

	var aligned, piped bytes.Buffer
	if err := table.Write(&aligned, true); err != nil {
		t.Fatal(err)
	}
	if err := table.Write(&piped, false); err != nil {
		t.Fatal(err)
	}
	// The wide character counts as two columns of a terminal.
	want := "class          AP   AP50  boxes\n" +
		"----------  -----  -----  -----\n" +
		"person      0.512  71.0%  10777\n" +
		"猫 cat [2J  0.100      -      3\n" +
		"none                8.5%\n"
	if d := cmp.Diff(want, aligned.String()); d != "" {
		t.Error(d)
	}
	want = "class\tAP\tAP50\tboxes\nperson\t0.512\t71.0%\t10777\n猫 cat [2J\t0.100\t-\t3\nnone\t\t8.5%\t\n"
	if d := cmp.Diff(want, piped.String()); d != "" {
		t.Error(d)
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left on device") }

func TestTableWriteError(t *testing.T) {
	if err := NewTable("a").Write(fullDisk{}, true); err == nil {
		t.Error("no error from a writer that fails")
	}
}

func TestIsTerminal(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	if IsTerminal(w) || IsTerminal(new(bytes.Buffer)) {
		t.Error("a pipe and a buffer are no terminals")
	}
}
