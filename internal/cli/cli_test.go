package cli

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
)

func TestExitCodes(t *testing.T) {
	for _, c := range []struct {
		err  error
		code int
	}{
		{nil, OK},
		{errors.New("work"), Failed},
		{Usage("flag"), Wrong},
		{fmt.Errorf("while: %w", Input(errors.New("file"))), Wrong},
		{Input(fmt.Errorf("save: %w", syscall.ENOSPC)), Failed},
		{Input(nil), OK},
	} {
		var out, errs bytes.Buffer
		cmd := &cobra.Command{Use: "x", Args: NoArgs, RunE: func(*cobra.Command, []string) error { return c.err }}
		if code := Execute(cmd, &Streams{Out: &out, Err: &errs}, nil); code != c.code {
			t.Errorf("%v: exit %d, want %d", c.err, code, c.code)
		}
		if c.err != nil && !strings.HasPrefix(errs.String(), "error: ") {
			t.Errorf("%v: printed %q", c.err, errs.String())
		}
	}
	var errs bytes.Buffer
	cmd := &cobra.Command{Use: "x", Args: NoArgs, RunE: func(*cobra.Command, []string) error { return nil }}
	if code := Execute(cmd, &Streams{Out: &errs, Err: &errs}, []string{"--no"}); code != Wrong || !strings.Contains(errs.String(), "x --help") {
		t.Errorf("unknown flag: exit %d: %s", code, errs.String())
	}
}

func TestReplaceFileKeepsTheOld(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "a.json")
	if err := WriteJSON(path, nil, 1); err != nil {
		t.Fatal(err)
	}
	if err := WriteJSON(path, nil, func() {}); err == nil {
		t.Fatal("a function became JSON")
	}
	if b, _ := os.ReadFile(path); string(b) != "1\n" {
		t.Errorf("file holds %q", b)
	}
	if err := ReplaceFile(filepath.Join(dir, "no", "a"), nil); err == nil {
		t.Error("wrote into a missing folder")
	}
	if names, _ := filepath.Glob(filepath.Join(dir, ".*")); len(names) > 0 {
		t.Errorf("left %v", names)
	}
}

// What a shell makes of it was checked by hand with printf '%s\n'.
func TestQuote(t *testing.T) {
	got := Quote([]string{"bin/train", "--set", "data.root=my data", "it's", ""})
	if want := `bin/train --set 'data.root=my data' 'it'\''s' ''`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}
