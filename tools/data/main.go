// Command data makes, fetches, unpacks, checks and shows data sets, and fetches pretrained
// weights.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"manvision/internal/cli"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// errFound means that the work was done and found something wrong: it has been
// reported already and makes the exit status 1.
var errFound = errors.New("problems found")

// usageError is wrong usage or bad input: exit status 2.
type usageError struct{ error }

// Unwrap returns the cause.
func (e usageError) Unwrap() error { return e.error }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

// run executes the command line and returns the exit status: 0 ok, 1 the work
// failed, 2 wrong usage or bad input.
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	root := &cobra.Command{
		Use:           "data",
		Short:         "Make, fetch, unpack, check and show data sets, fetch pretrained weights",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cmd.SetOut(stderr)
			cmd.Help()
			return usagef("name a command")
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usagef("%w; see %s --help", err, cmd.CommandPath())
	})
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.AddCommand(newShapesCmd(runShapes), newCheckCmd(runCheck), newBrowseCmd(runBrowse), newDownloadCmd(runDownload), newPrepareCmd(runPrepare))
	wrongArgs(root)
	cli.WrapHelp(root)
	err := root.ExecuteContext(ctx)
	var usage usageError
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFound):
		return 1
	case errors.As(err, &usage):
		fmt.Fprintln(stderr, "error:", err)
		return 2
	case unknownCommand(root, args):
		fmt.Fprintf(stderr, "error: %v; commands: shapes, check, browse, download, prepare\n", err)
		return 2
	}
	fmt.Fprintln(stderr, "error:", err)
	return 1
}

// wrongArgs makes arguments that a command does not take wrong usage.
func wrongArgs(parent *cobra.Command) {
	for _, c := range parent.Commands() {
		inner := c.Args
		c.Args = func(cmd *cobra.Command, args []string) error {
			if err := inner(cmd, args); err != nil {
				return usagef("%w; see %s --help", err, cmd.CommandPath())
			}
			return nil
		}
		wrongArgs(c)
	}
}

// unknownCommand tells cobra's own complaint about the command's name from an
// error of the command.
func unknownCommand(root *cobra.Command, args []string) bool {
	cmd, _, err := root.Find(args)
	return err != nil || cmd == root
}
