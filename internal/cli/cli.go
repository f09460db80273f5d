// Package cli is what the commands have in common: streams, exit codes, how
// errors are shown and how results are written.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"manvision/internal/atomicfile"
)

// Exit codes of every command.
const (
	OK     = 0
	Failed = 1 // the work failed
	Wrong  = 2 // wrong usage or bad input
)

// Streams is where a command writes, so that tests can read it.
type Streams struct {
	Out, Err    io.Writer
	Terminal    bool // Out is a terminal: people read it
	ErrTerminal bool
}

// System returns the process's own streams.
func System() *Streams {
	return &Streams{Out: os.Stdout, Err: os.Stderr,
		Terminal: term.IsTerminal(int(os.Stdout.Fd())), ErrTerminal: term.IsTerminal(int(os.Stderr.Fd()))}
}

// InputError marks wrong usage or bad input: exit code 2.
type InputError struct{ Err error }

// Error implements error.
func (e *InputError) Error() string { return e.Err.Error() }

// Unwrap returns the cause.
func (e *InputError) Unwrap() error { return e.Err }

// Usage makes an InputError as fmt.Errorf does.
func Usage(format string, args ...any) error { return &InputError{fmt.Errorf(format, args...)} }

// Input marks an error, if there is one, as the input's fault. A full disk or a
// stop by the user never is.
func Input(err error) error {
	if err == nil || errors.Is(err, syscall.ENOSPC) || errors.Is(err, context.Canceled) {
		return err
	}
	return &InputError{err}
}

// NoArgs rejects arguments that are no flags.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return Usage("unexpected argument %q; see '%s --help'", args[0], cmd.CommandPath())
	}
	return nil
}

// Execute runs a command line and returns the exit code. Errors go to s.Err, one
// line a fault.
func Execute(root *cobra.Command, s *Streams, args []string) int {
	root.SilenceUsage, root.SilenceErrors = true, true
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return Usage("%w; see '%s --help'", err, cmd.CommandPath())
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	WrapHelp(root)
	root.SetArgs(args)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	// The first signal asks the work to stop; a second one kills.
	context.AfterFunc(ctx, stop)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return OK
	}
	for _, line := range strings.Split(err.Error(), "\n") {
		fmt.Fprintf(s.Err, "error: %s\n", line)
	}
	var input *InputError
	if errors.As(err, &input) {
		return Wrong
	}
	return Failed
}

// WrapHelp breaks the lines of flags in the help of a command, and of those below it, so
// that they fit a screen of 100 columns.
func WrapHelp(root *cobra.Command) {
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), ".FlagUsages |", ".FlagUsagesWrapped 100 |"))
}

// WriteJSON writes v, indented, to a file in one step, or to out for "-".
func WriteJSON(path string, out io.Writer, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return err
	}
	b = append(b, '\n')
	if path == "-" {
		_, err = out.Write(b)
		return err
	}
	return ReplaceFile(path, b)
}

// ReplaceFile writes a file in one step: a failure leaves the old one.
func ReplaceFile(path string, b []byte) error {
	return atomicfile.Save(path, func(w io.Writer) error {
		_, err := w.Write(b)
		return err
	})
}

// Quote joins arguments into a line that a shell splits into the same arguments.
func Quote(args []string) string {
	out := make([]string, len(args))
	for i, a := range args {
		if a == "" || strings.ContainsFunc(a, func(r rune) bool {
			return !strings.ContainsRune("-_./=:,+@%", r) && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
		}) {
			a = "'" + strings.ReplaceAll(a, "'", `'\''`) + "'"
		}
		out[i] = a
	}
	return strings.Join(out, " ")
}
