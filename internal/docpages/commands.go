// Package docpages makes the documentation's pages of commands out of what the commands
// say with --help.
package docpages

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// notice stands under the heading of every page.
const notice = "<!-- Made by `make docs` from --help; change the command instead. -->"

// help is what a command says about itself and those below it.
type help struct {
	path  []string // "data", "check"
	short string   // one line
	text  string
	subs  []help
}

// Build compiles the programs of a checkout's tools into a folder and returns their
// names.
func Build(root, bin string) ([]string, error) {
	// Neither what a program notes of its commit nor its symbols show in its help.
	cmd := exec.Command("go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", bin+string(filepath.Separator), "./tools/...")
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build ./tools/...: %w\n%s", err, out)
	}
	entries, err := os.ReadDir(bin)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		names = append(names, strings.TrimSuffix(e.Name(), ".exe"))
	}
	return names, nil
}

// Commands returns the pages of the programs in a folder by file name: one a program and
// README.md, which lists them.
func Commands(bin string, names []string) (map[string][]byte, error) {
	pages := map[string][]byte{}
	var index bytes.Buffer
	fmt.Fprintf(&index, "# Commands\n\n%s\n\n| command | what it does |\n|---|---|\n", notice)
	for _, name := range slices.Sorted(slices.Values(names)) {
		h, err := ask(bin, []string{name})
		if err != nil {
			return nil, err
		}
		var page bytes.Buffer
		fmt.Fprintf(&page, "# bin/%s\n\n%s\n", name, notice)
		h.write(&page)
		pages[name+".md"] = page.Bytes()
		fmt.Fprintf(&index, "| [bin/%s](%s.md) | %s |\n", name, name, h.summary())
		for _, s := range h.subs {
			fmt.Fprintf(&index, "| [bin/%s](%s.md#%s) | %s |\n", strings.Join(s.path, " "), name, "bin"+strings.Join(s.path, "-"), s.summary())
		}
	}
	fmt.Fprint(&index, "\nExit status of all: 0 done; 1 the work failed, was stopped, or missed what was expected;\n2 wrong usage or bad input. They print tables on a terminal and tab-separated lines when piped.\n")
	pages["README.md"] = index.Bytes()
	return pages, nil
}

// processors is a default that the machine sets.
var processors = regexp.MustCompile(`(--threads int .*)\(default \d+\)`)

// listed finds the commands in the list that cobra prints.
var listed = regexp.MustCompile(`(?s)\nAvailable Commands:\n(.*?)\n\n`)

func ask(bin string, path []string) (help, error) {
	h := help{path: path}
	cmd := exec.Command(filepath.Join(bin, path[0]), append(slices.Clone(path[1:]), "--help")...)
	out, err := cmd.Output()
	if err != nil {
		return h, fmt.Errorf("%s --help: %w", strings.Join(path, " "), err)
	}
	h.text = processors.ReplaceAllString(strings.TrimSpace(string(out)), "$1(default: all processors)")
	m := listed.FindStringSubmatch(h.text)
	if m == nil {
		return h, nil
	}
	for _, line := range strings.Split(m[1], "\n") {
		name, short, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name == "" || name == "help" || name == "completion" {
			continue
		}
		sub, err := ask(bin, append(slices.Clone(path), name))
		if err != nil {
			return h, err
		}
		sub.short = strings.TrimSpace(short)
		h.subs = append(h.subs, sub)
	}
	return h, nil
}

// summary is what the list above the command says, or for a program the first sentence.
func (h help) summary() string {
	text := h.short
	if text == "" {
		paragraph, _, _ := strings.Cut(h.text, "\n\n")
		text, _, _ = strings.Cut(strings.Join(strings.Fields(paragraph), " ")+" ", ". ")
		text, _, _ = strings.Cut(text, ": ")
		text = strings.TrimRight(text, ".: ")
	}
	return strings.ReplaceAll(text, "|", `\|`)
}

func (h help) write(b *bytes.Buffer) {
	fmt.Fprintf(b, "\n```text\n%s\n```\n", h.text)
	for _, s := range h.subs {
		fmt.Fprintf(b, "\n## bin/%s\n", strings.Join(s.path, " "))
		s.write(b)
	}
}
