package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"manvision/data/coco"
)

// Exit codes of the command.
const (
	exitOK     = 0
	exitFailed = 1 // the work failed
	exitUsage  = 2 // wrong usage or bad input
)

// usageError is a mistake in how the command was called.
type usageError struct{ error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// noArgs rejects arguments that are no flags.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usage("unexpected argument %q; see '%s --help'", args[0], cmd.CommandPath())
	}
	return nil
}

// newRoot returns the command with all its subcommands.
func newRoot(s *streams) *cobra.Command {
	root := &cobra.Command{
		Use:           "eval <command>",
		Short:         "Evaluate models and result files",
		SilenceUsage:  true,
		SilenceErrors: true,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage("unknown command %q; see 'eval --help'", args[0])
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cmd.Usage(); err != nil {
				return err
			}
			return usage("name a command")
		},
	}
	root.SetOut(s.out)
	root.SetErr(s.err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usage("%w; see '%s --help'", err, cmd.CommandPath())
	})
	root.CompletionOptions.HiddenDefaultCmd = true
	root.AddCommand(newCoco(s, runCoco))
	return root
}

// execute runs the command line and returns the exit code.
func execute(s *streams, args []string) int {
	root := newRoot(s)
	root.SetArgs(args)
	err := root.Execute()
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(s.err, "error: %v\n", err)
	var bad *coco.InputError
	var wrong usageError
	if errors.As(err, &bad) || errors.As(err, &wrong) {
		return exitUsage
	}
	return exitFailed
}
