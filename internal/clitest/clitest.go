// Package clitest has the commands that scripts of the command-line tests share.
package clitest

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// Command is a command of a script.
type Command = func(ts *testscript.TestScript, neg bool, args []string)

// Commands returns the script commands for a program:
//
//	PROGRAM-exit CODE ARGS...  runs the program and checks its exit code
//	wait-lines FILE N          waits, a minute at most, until FILE has N lines
//	shorten FILE BYTES         cuts a file off
func Commands(program string) map[string]Command {
	return map[string]Command{
		program + "-exit": func(ts *testscript.TestScript, _ bool, args []string) {
			err := ts.Exec(program, args[1:]...)
			code := 0
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				code = exit.ExitCode()
			} else if err != nil {
				ts.Fatalf("%v", err)
			}
			if strconv.Itoa(code) != args[0] {
				ts.Fatalf("%s %v: exit %d, want %s", program, args[1:], code, args[0])
			}
		},
		"wait-lines": func(ts *testscript.TestScript, _ bool, args []string) {
			n, err := strconv.Atoi(args[1])
			ts.Check(err)
			for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
				if b, _ := os.ReadFile(ts.MkAbs(args[0])); bytes.Count(b, []byte("\n")) >= n {
					return
				}
			}
			ts.Fatalf("%s has not got %d lines in a minute", args[0], n)
		},
		"shorten": func(ts *testscript.TestScript, _ bool, args []string) {
			n, err := strconv.ParseInt(args[1], 10, 64)
			ts.Check(err)
			ts.Check(os.Truncate(ts.MkAbs(args[0]), n))
		},
	}
}
