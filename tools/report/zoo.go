package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"manvision/internal/cli"
	"manvision/report/zoo"
)

// zooOptions are the inputs of "report zoo".
type zooOptions struct {
	streams *cli.Streams
	runs    []string
	records string // folder
	out     string
	name    string
	note    string
}

func newZoo(s *cli.Streams) *cobra.Command {
	o := &zooOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "zoo [RUN…]",
		Short: "Record runs and write the table of all recorded ones",
		Long: `Writes the table of recorded runs: recipe, strategy, data, time, memory, metrics, and the
command, machine and SHA-256 sum of the weights of each. Without RUN the table is made
of the records alone; each RUN, the output folder of a training that has ended, is
recorded first, in a small JSON file that replaces an older one of the same name.

Exit status: 0 done; 1 failed; 2 wrong usage, a folder that is no ended run, or a file
that is no record.`,
		Example: `  report zoo
  report zoo runs/demo-shapes
  report zoo runs/demo-shapes --note 'with other programs on the same cores'
  report zoo runs/a runs/b --records myzoo --output ZOO.md`,
		RunE: func(_ *cobra.Command, args []string) error {
			o.runs = args
			if (o.name != "" || o.note != "") && len(args) != 1 {
				return cli.Usage("--name and --note go with one RUN")
			}
			if strings.Contains(o.note, "\n") {
				return cli.Usage("--note has several lines")
			}
			return o.run()
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.records, "records", "docs/zoo", "`folder` of the records")
	f.StringVar(&o.out, "output", "MODEL_ZOO.md", "Markdown `file` to write")
	f.StringVar(&o.name, "name", "", "`name` of the record; default the task and the run's name")
	f.StringVar(&o.note, "note", "", "`line` that stands beside the run's machine")
	return cmd
}

func (o *zooOptions) run() error {
	var list []*zoo.Record
	var wrong []error
	for _, dir := range o.runs {
		r, err := zoo.Of(filepath.Clean(dir))
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		if o.name != "" {
			if err := r.Rename(o.name); err != nil {
				return cli.Usage("--name: %v", err)
			}
		}
		r.Note = o.note
		list = append(list, r)
	}
	if len(wrong) > 0 {
		return cli.Input(errors.Join(wrong...))
	}
	if len(list) > 0 {
		if err := os.MkdirAll(o.records, 0o777); err != nil {
			return cli.Input(err)
		}
	}
	for _, r := range list {
		if err := cli.WriteJSON(r.Path(o.records), nil, r); err != nil {
			return err
		}
		fmt.Fprintf(o.streams.Out, "%s\trecorded\n", r.Path(o.records))
	}
	all, err := zoo.Load(o.records)
	if err != nil {
		return cli.Input(err)
	}
	if err := cli.ReplaceFile(o.out, zoo.Markdown(all, filepath.ToSlash(filepath.Clean(o.records)))); err != nil {
		return cli.Input(err)
	}
	fmt.Fprintf(o.streams.Out, "%s\t%d runs\n", o.out, len(all))
	return nil
}
