package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"manvision/internal/fetch"
	"manvision/report"
)

type downloadSetOptions struct {
	set            *dataset
	dir            string
	parts          []string
	url, md5, sha  string
	limit          int64 // MB
	list           bool
	json           string
	stdout, stderr io.Writer
}

// fetched is an archive that is there.
type fetched struct {
	Part    string `json:"part,omitempty"`
	URL     string `json:"url"`
	File    string `json:"file"`
	Bytes   int64  `json:"bytes"`
	Fetched bool   `json:"fetched"` // false: it was there already
	Checked string `json:"checked"` // the sum's kind; "" where there is none
	Sum     string `json:"sum"`     // of that kind, or the SHA-256 of a file that nothing is known of
}

// newDownloadSetCmd is the command that fetches a data set.
func newDownloadSetCmd(set *dataset, runF func(context.Context, *downloadSetOptions) error) *cobra.Command {
	o := &downloadSetOptions{set: set}
	sums := "No sums of the files are published; give those that you trust with --md5 or --sha256.\nPart by part, each file's own check value is looked at when 'data prepare' unpacks it."
	if set.sumsFrom != "" {
		sums = "The file is checked by the MD5 that " + set.sumsFrom + " gives."
	}
	var parts []string
	for _, a := range set.archives {
		if a.part != "" {
			parts = append(parts, a.part)
		}
	}
	cmd := &cobra.Command{
		Use:   set.name + " DIR",
		Short: "The archives of " + set.title,
		Long: fmt.Sprintf(`Fetch the archives of %s into the folder DIR and print their paths. A transfer
that breaks off is continued by the next one; a file gets its name when it is whole.
One that is there already is checked and kept. 'data prepare %[2]s' unpacks them.

%[3]s
%[4]s

Exit status: 0 done; 1 the transfer failed; 2 wrong usage.`, set.title, set.name, set.terms, sums),
		Example: fmt.Sprintf("  data download %[1]s datasets/%[1]s\n  data download %[1]s --list", set.name),
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				o.dir = args[0]
			}
			o.stdout, o.stderr = cmd.OutOrStdout(), cmd.ErrOrStderr()
			return runF(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	if len(parts) > 0 {
		f.StringSliceVar(&o.parts, "part", nil, "archives to fetch: "+strings.Join(parts, ", ")+" (default all)")
		cmd.Example += fmt.Sprintf("\n  data download %s --part %s datasets/%[1]s", set.name, strings.Join(parts[1:], ","))
	}
	f.StringVar(&o.url, "url", "", "another address of the file, such as a mirror's")
	f.StringVar(&o.md5, "md5", "", "MD5 that the file must have")
	f.StringVar(&o.sha, "sha256", "", "SHA-256 that the file must have")
	f.Int64Var(&o.limit, "limit", 25000, "greatest size of a file in MB")
	f.BoolVar(&o.list, "list", false, "only list files, sizes, addresses and sums")
	f.StringVar(&o.json, "json", "", "also write what was fetched as JSON to this file, - for stdout instead of the paths")
	return cmd
}

// newDownloadCityCmd says what to do about a data set that cannot be fetched.
func newDownloadCityCmd(set *dataset) *cobra.Command {
	return &cobra.Command{
		Use:   set.name,
		Short: set.title + " (how to get it)",
		Long:  "Say where to get " + set.title + ", which needs a log-in.\n\n" + set.terms,
		Args:  cobra.ArbitraryArgs,
		RunE: func(*cobra.Command, []string) error {
			var files, flags []string
			for _, a := range set.archives {
				files = append(files, a.file+" ("+a.size+")")
				flags = append(flags, "--archive "+a.file)
			}
			return usagef("%s cannot be fetched without a log-in.\n%sLog in there, fetch %s, then:\n  data prepare %s %s DIR",
				set.title, set.terms, strings.Join(files, " and "), set.name, strings.Join(flags, " "))
		},
	}
}

func runDownloadSet(ctx context.Context, o *downloadSetOptions) error {
	chosen, err := o.chosen()
	if err != nil {
		return err
	}
	if o.list {
		t := report.NewTable("file", "size", "address", "sum")
		for _, a := range chosen {
			sum := "none published"
			if a.sum.Hex != "" {
				sum = a.sum.Kind + " " + a.sum.Hex
			}
			t.Row(a.file, a.size, a.url, sum)
		}
		return t.Write(o.stdout, report.IsTerminal(o.stdout))
	}
	if o.dir == "" {
		return usagef("name the folder to fetch to: data download %s DIR", o.set.name)
	}
	fmt.Fprint(o.stderr, o.set.terms)
	var all []fetched
	for _, a := range chosen {
		f, err := o.fetch(ctx, a)
		if err != nil {
			return err
		}
		all = append(all, f)
	}
	fmt.Fprintf(o.stderr, "next: data prepare %s", o.set.name)
	for _, f := range all {
		fmt.Fprintf(o.stderr, " --archive %s", f.File)
	}
	fmt.Fprintf(o.stderr, " %s\n", o.dir)
	if o.json != "" {
		return writeJSON(o.json, o.stdout, all)
	}
	return nil
}

// chosen lists the archives to fetch as the flags change them.
func (o *downloadSetOptions) chosen() ([]archive, error) {
	var chosen []archive
	for _, want := range o.parts {
		known := false
		for _, a := range o.set.archives {
			if a.part == want {
				chosen, known = append(chosen, a), true
			}
		}
		if !known {
			return nil, usagef("--part %q is no part of %s; see data download %s --list", want, o.set.title, o.set.name)
		}
	}
	if len(chosen) == 0 {
		chosen = append(chosen, o.set.archives...)
	}
	switch {
	case o.limit < 1:
		return nil, usagef("--limit %d must be at least 1", o.limit)
	case o.md5 != "" && o.sha != "":
		return nil, usagef("give --md5 or --sha256, not both")
	case o.url+o.md5+o.sha != "" && len(chosen) > 1:
		return nil, usagef("--url, --md5 and --sha256 are of one file; choose it with --part")
	}
	kind, text := fetch.MD5, o.md5
	if o.sha != "" {
		kind, text = fetch.SHA256, o.sha
	}
	if text != "" {
		sum, err := fetch.ParseSum(kind, text)
		if err != nil {
			return nil, usageError{err}
		}
		chosen[0].sum = sum
	}
	if o.url != "" {
		if !strings.HasPrefix(o.url, "https://") && !strings.HasPrefix(o.url, "http://") {
			return nil, usagef("--url %s is no http or https address", o.url)
		}
		chosen[0].url = o.url
	}
	return chosen, nil
}

// fetch fetches one archive and prints its path.
func (o *downloadSetOptions) fetch(ctx context.Context, a archive) (fetched, error) {
	fmt.Fprintf(o.stderr, "%s (%s) from %s\n", a.file, a.size, a.url)
	progress, done := transferBar(o.stderr, a.file)
	file, fresh, err := fetch.File(ctx, a.url, o.dir, fetch.Options{Limit: o.limit * 1e6, Progress: progress, Name: a.file,
		Sum: a.sum, Typed: o.md5+o.sha != "", Unchecked: true})
	done()
	if err != nil {
		return fetched{}, err
	}
	st, err := os.Stat(file)
	if err != nil {
		return fetched{}, err
	}
	f := fetched{Part: a.part, URL: a.url, File: file, Bytes: st.Size(), Fetched: fresh, Checked: a.sum.Kind, Sum: a.sum.Hex}
	what := "its " + a.sum.Kind + " is right"
	if a.sum.Hex == "" {
		sum, err := fetch.Sum{Kind: fetch.SHA256}.Of(file)
		if err != nil {
			return fetched{}, err
		}
		f.Sum = sum.Hex
		what = "not checked, no sum is published; its SHA-256 is " + sum.Hex
	}
	if !fresh {
		what = "is there already; " + what
	}
	fmt.Fprintf(o.stderr, "%s: %s\n", file, what)
	if o.json != "-" {
		_, err = fmt.Fprintln(o.stdout, file)
	}
	return f, err
}
