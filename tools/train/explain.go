package main

import (
	"fmt"
	"io"
	"strings"

	"manvision/config"
	"manvision/internal/cli"
	"manvision/report"
)

// runExplain prints what there is to know about a key of the recipe.
func runExplain(o *options, cfg *config.Config) error {
	e, err := cfg.Explain(o.explain)
	if err != nil {
		return cli.Input(err)
	}
	out := o.streams.Out
	if o.json != "" {
		if err := cli.WriteJSON(o.json, out, e); err != nil || o.json == "-" {
			return err
		}
	}
	return writeExplanation(out, o.streams.Terminal, e)
}

func writeExplanation(out io.Writer, terminal bool, e *config.Explanation) error {
	if len(e.Keys) > 0 {
		if terminal && e.Doc != "" {
			fmt.Fprintln(out, wrap(e.Doc, 80))
		}
		t := report.NewTable("key", "value", "from")
		for _, k := range e.Keys {
			t.Row(k.Key, k.Value, k.From)
		}
		return t.Write(out, terminal)
	}
	row := func(name, text string) {
		if text == "" {
			return
		}
		if terminal {
			text = strings.ReplaceAll(wrap(text, 70), "\n", "\n"+strings.Repeat(" ", 10))
			fmt.Fprintf(out, "%-9s %s\n", name, text)
			return
		}
		fmt.Fprintf(out, "%s\t%s\n", name, text)
	}
	row("key", e.Key)
	row("value", e.Value)
	row("from", e.From)
	row("default", e.Default)
	row("type", e.Type)
	row("range", e.Range)
	row("meaning", e.Doc)
	for _, g := range e.Given[:len(e.Given)-1] { // the last one is the value
		row("before", g.Value+" ("+g.From+")")
	}
	return nil
}

// wrap breaks text into lines of at most width characters, where words allow it.
func wrap(text string, width int) string {
	var b strings.Builder
	line := 0
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case line+1+n > width:
			b.WriteByte('\n')
			line = 0
		default:
			b.WriteByte(' ')
			line++
		}
		b.WriteString(word)
		line += n
	}
	return b.String()
}
