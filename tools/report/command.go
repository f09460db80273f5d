package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"github.com/spf13/cobra"

	"manvision/device"
	"manvision/device/cpu"
	"manvision/internal/cli"
	"manvision/report/page"
)

// options are the inputs of the command.
type options struct {
	streams *cli.Streams
	runs    []string
	out     string
	title   string
	images  int    // pictures at each end
	samples int    // validation images looked at, 0: all
	data    string // data.root, "" for the recipe's
	threads int    // 0: the recipe's
	open    func(threads int) (device.Device, error)
}

// mostImages bounds the pictures at each end.
const mostImages = 100

func newCmd(s *cli.Streams, run func(context.Context, *options) error) *cobra.Command {
	o := &options{streams: s, open: func(threads int) (device.Device, error) { return cpu.New(cpu.Options{Threads: threads}) }}
	cmd := &cobra.Command{
		Use:   "report RUN… --out report.html",
		Short: "Write training runs as one HTML page",
		Long: `Writes what trainings left in their output folders as one HTML page: curves of losses,
learning rate and metrics, results of every class, confusion matrix, precision by recall,
planned memory beside the measured peak, speed, machine and recipe. Several runs are
compared: in the same charts and tables, with the settings that differ. The page needs
no network and no other file, and is for light and dark screens and for phones.

--images N also runs each run's best checkpoint over its validation data and shows the
N worst and the N best images with the ground truth beside the prediction. It takes as
long as an evaluation; --samples looks at fewer images. Where checkpoint or data are
not there, the page says so in their place.

A run that goes on, or was killed, is shown as far as it got.

Exit status: 0 done; 1 failed or stopped; 2 wrong usage, or a folder that is no run.`,
		Example: `  report runs/demo-shapes --out report.html
  report runs/e2e runs/manpp_k4 --out compared.html --title 'End to end against MAN++'
  report runs/demo-shapes --images 6 --out report.html
  report runs/coco --images 8 --samples 500 --data datasets/coco --out report.html`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return cli.Usage("name one or more runs' folders; see 'report --help'")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			o.runs = args
			if err := o.check(); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.out, "out", "", "HTML `file` to write (required)")
	f.StringVar(&o.title, "title", "", "heading of the page; default the runs' names")
	f.IntVar(&o.images, "images", 0, "best and worst images to show of each run, `N` of each; 0: none")
	f.IntVar(&o.samples, "samples", 0, "with --images: validation images to look at, spread over all of them; 0: all")
	f.StringVar(&o.data, "data", "", "with --images: the data set's `folder`; default the recipe's data.root")
	f.IntVar(&o.threads, "threads", 0, "with --images: processors to use; 0: as the recipe says")
	cmd.AddCommand(newZoo(s))
	return cmd
}

func (o *options) check() error {
	switch {
	case o.out == "":
		return cli.Usage("--out is missing: the HTML file to write; see 'report --help'")
	case o.images < 0 || o.images > mostImages:
		return cli.Usage("--images %d must be 0 to %d", o.images, mostImages)
	case o.samples < 0:
		return cli.Usage("--samples is negative: %d", o.samples)
	case o.threads < 0 || o.threads > 1024:
		return cli.Usage("--threads %d must be 0 to 1024", o.threads)
	case o.images == 0 && (o.samples > 0 || o.data != "" || o.threads > 0):
		return cli.Usage("--samples, --data and --threads are for pictures: give --images too")
	}
	return nil
}

func run(ctx context.Context, o *options) error {
	var runs []*page.Run
	var wrong []error
	for _, dir := range o.runs {
		r, err := page.Open(filepath.Clean(dir))
		if err != nil {
			wrong = append(wrong, err)
			continue
		}
		for _, note := range r.Notes {
			fmt.Fprintf(o.streams.Err, "note: %s: %s\n", dir, note)
		}
		runs = append(runs, r)
	}
	if len(wrong) > 0 {
		return cli.Input(errors.Join(wrong...))
	}
	page.Relabel(runs)
	if o.images > 0 {
		for _, r := range runs {
			err := o.look(ctx, r)
			if ctx.Err() != nil {
				return errors.New("stopped before the end: nothing was written")
			}
			if err != nil {
				note := fmt.Sprintf("no pictures: %v", err)
				r.Notes = append(r.Notes, note)
				fmt.Fprintf(o.streams.Err, "note: %s: %s\n", r.Dir, note)
			}
		}
	}
	title := o.title
	if title == "" {
		title = titleOf(runs)
	}
	b, err := page.Render(title, runs)
	if err != nil {
		return err
	}
	if err := cli.ReplaceFile(o.out, b); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return cli.Input(fmt.Errorf("%w; make the folder first", err))
		}
		return err
	}
	fmt.Fprintf(o.streams.Out, "%s\t%d runs\t%d bytes\n", o.out, len(runs), len(b))
	return nil
}

// titleOf names up to three runs.
func titleOf(runs []*page.Run) string {
	title := runs[0].Label
	for i, r := range runs[1:] {
		if i == 2 {
			return fmt.Sprintf("%s and %d more", title, len(runs)-3)
		}
		title += ", " + r.Label
	}
	return title
}
