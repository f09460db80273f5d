package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"manvision/arch"
	"manvision/internal/fetch"
	"manvision/report"
)

type downloadOptions struct {
	dir            string
	limit          int64 // MB
	list           bool
	names          []string
	stdout, stderr io.Writer
}

func newDownloadCmd(runF func(context.Context, *downloadOptions) error) *cobra.Command {
	o := &downloadOptions{}
	weights := &cobra.Command{
		Use:   "weights NAME...",
		Short: "torchvision's pretrained weights",
		Long: `Fetch torchvision's weights by the network's name, from where torchvision keeps
them. A transfer that breaks off is continued by the next one. A file gets its name
when it is whole and its SHA-256 begins as the name says; one that is there already is
checked and kept. The files' paths are printed. The weights' licence is torchvision's
and that of the data they were trained on.

Exit status: 0 done; 1 the transfer failed; 2 wrong usage.`,
		Example: `  data download weights resnet50
  data download weights --list
  data download weights retinanet_resnet50_fpn --dir models`,
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			o.names, o.stdout, o.stderr = args, cmd.OutOrStdout(), cmd.ErrOrStderr()
			return runF(cmd.Context(), o)
		},
	}
	f := weights.Flags()
	f.StringVar(&o.dir, "dir", ".", "folder to write to")
	f.Int64Var(&o.limit, "limit", 2000, "greatest size of a file in MB")
	f.BoolVar(&o.list, "list", false, "only list names and addresses")
	download := &cobra.Command{
		Use:   "download",
		Short: "Fetch data sets and pretrained weights",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usagef("name what to download: weights, coco, cityscapes, cifar10 or cifar100; see %s --help", cmd.CommandPath())
		},
	}
	download.AddCommand(weights)
	for i := range datasets {
		if set := &datasets[i]; set.archives[0].url == "" {
			download.AddCommand(newDownloadCityCmd(set))
		} else {
			download.AddCommand(newDownloadSetCmd(set, runDownloadSet))
		}
	}
	return download
}

func runDownload(ctx context.Context, o *downloadOptions) error {
	if o.list {
		w := tabwriter.NewWriter(o.stdout, 0, 0, 2, ' ', 0)
		for _, p := range arch.Files() {
			fmt.Fprintf(w, "%s\t%s\n", p.Name, p.URL)
		}
		return w.Flush()
	}
	switch {
	case len(o.names) == 0:
		return usagef("name the weights to fetch; 'data download weights --list' shows all")
	case o.limit < 1:
		return usagef("--limit %d must be at least 1", o.limit)
	}
	var found []arch.Published
	for _, name := range o.names {
		p, err := arch.FindFile(name)
		if err != nil {
			return usagef("%w", err)
		}
		found = append(found, p)
	}
	for _, p := range found {
		if err := o.fetch(ctx, p.URL); err != nil {
			return err
		}
	}
	return nil
}

// fetch fetches one file and prints its path.
func (o *downloadOptions) fetch(ctx context.Context, url string) error {
	progress, done := transferBar(o.stderr, url[strings.LastIndexByte(url, '/')+1:])
	file, fetched, err := fetch.File(ctx, url, o.dir, fetch.Options{Limit: o.limit * 1e6, Progress: progress})
	done()
	if err != nil {
		return err
	}
	if !fetched {
		fmt.Fprintf(o.stderr, "%s is there already and is what its name says\n", file)
	}
	_, err = fmt.Fprintln(o.stdout, file)
	return err
}

// transferBar shows a transfer on a terminal; elsewhere it is silent.
func transferBar(w io.Writer, what string) (progress func(have, total int64), done func()) {
	if !report.IsTerminal(w) {
		return nil, func() {}
	}
	var bar *progressbar.ProgressBar
	return func(have, total int64) {
			if bar == nil {
				bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(w), progressbar.OptionSetDescription(what),
					progressbar.OptionShowBytes(true), progressbar.OptionSetWidth(24), progressbar.OptionClearOnFinish())
			}
			bar.Set64(have)
		}, func() {
			if bar != nil {
				bar.Finish()
			}
		}
}
