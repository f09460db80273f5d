package docpages

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"manvision/config"
	"manvision/internal/testdata"
)

// source is every line of the project's programs and of the Makefile, quotes unescaped.
func source(t *testing.T) []string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(testdata.Root(), func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (strings.HasPrefix(d.Name(), ".") || d.Name() == "runs"):
			return fs.SkipDir
		case d.Name() != "Makefile" && (!strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go")):
			return nil
		}
		b, err := os.ReadFile(path)
		lines = append(lines, strings.Split(strings.ReplaceAll(string(b), `\"`, `"`), "\n")...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// system are messages of the operating system.
var system = []string{"no space left on device"}

// Each message of docs/messages.md is in the source, in one line, with a gap for each "…".
func TestMessages(t *testing.T) {
	b, err := os.ReadFile(filepath.Join(testdata.Root(), "docs", "messages.md"))
	if err != nil {
		t.Fatal(err)
	}
	lines := source(t)
	rows := regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(b), -1)
	if len(rows) < 25 {
		t.Fatalf("%d messages", len(rows))
	}
next:
	for _, row := range rows {
		for _, s := range system {
			if row[1] == s {
				continue next
			}
		}
		var parts []string
		for _, p := range strings.Split(row[1], "…") {
			if p = strings.TrimSpace(p); p != "" {
				parts = append(parts, regexp.QuoteMeta(p))
			}
		}
		want := regexp.MustCompile(strings.Join(parts, ".*"))
		for _, l := range lines {
			if want.MatchString(l) {
				continue next
			}
		}
		t.Errorf("no line of the source has the message %q", row[1])
	}
}

// pages are the documentation's pages that people write, by path from the root.
func pages(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	root := testdata.Root()
	add := func(path string) error {
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(root, path)
		out[filepath.ToSlash(rel)] = string(b)
		return err
	}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		return add(path)
	})
	if err == nil {
		err = add(filepath.Join(root, "MODEL_ZOO.md"))
	}
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Links within the repository lead somewhere, and recipes that pages name are there.
func TestLinks(t *testing.T) {
	root := testdata.Root()
	link := regexp.MustCompile(`\]\(([^)#:]+)(#[^)]*)?\)`)
	recipe := regexp.MustCompile(`\bconfigs/[a-z]+/[A-Za-z0-9_-]+\.yaml`)
	for name, text := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join(root, filepath.Dir(name), m[1])); err != nil {
				t.Errorf("%s: link to %s: %v", name, m[1], err)
			}
		}
		for _, path := range recipe.FindAllString(text, -1) {
			if _, err := os.Stat(filepath.Join(root, path)); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// Recipes that pages quote load.
func TestRecipes(t *testing.T) {
	root := testdata.Root()
	block := regexp.MustCompile("(?s)```yaml\n(.*?)```")
	n := 0
	for name, text := range pages(t) {
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			n++
			path := filepath.Join(t.TempDir(), "recipe.yaml")
			if err := os.WriteFile(path, []byte(strings.ReplaceAll(m[1], "base: configs/", "base: "+filepath.ToSlash(root)+"/configs/")), 0o666); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(path, nil); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
	if n < 3 {
		t.Errorf("%d recipes", n)
	}
}

// Command lines on the pages name programs and flags that the programs' help has.
func TestCommandLines(t *testing.T) {
	line := regexp.MustCompile(`(?m)^(?:    |> )(?:find .* \| )?bin/([a-z]+)((?:[^\n\\]|\\\n)*)`)
	flag := regexp.MustCompile(`(?:^|\s)(--[a-z][a-z-]*)`)
	n := 0
	for name, text := range pages(t) {
		if strings.HasPrefix(name, "docs/commands/") {
			continue
		}
		for _, m := range line.FindAllStringSubmatch(text, -1) {
			help, err := os.ReadFile(filepath.Join(testdata.Root(), "docs", "commands", m[1]+".md"))
			if err != nil {
				t.Errorf("%s: bin/%s: %v", name, m[1], err)
				continue
			}
			args, _, _ := strings.Cut(m[2], "#")
			for _, f := range flag.FindAllStringSubmatch(args, -1) {
				n++
				if !regexp.MustCompile(regexp.QuoteMeta(f[1]) + `[ =\[\n]`).Match(help) {
					t.Errorf("%s: bin/%s has no flag %s", name, m[1], f[1])
				}
			}
			if words := strings.Fields(args); len(words) > 0 && regexp.MustCompile(`^[a-z][a-z0-9-]*$`).MatchString(words[0]) && m[1] == "data" {
				if !strings.Contains(string(help), "## bin/data "+words[0]+"\n") {
					t.Errorf("%s: bin/data has no command %s", name, words[0])
				}
			}
		}
	}
	if n < 60 {
		t.Errorf("%d flags on all pages", n)
	}
}
