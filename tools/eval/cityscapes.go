package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"manvision/data/labelmap"
	"manvision/internal/cli"
	"manvision/segmentation/cityeval"
)

// cityscapesOptions are the inputs of 'eval cityscapes'.
type cityscapesOptions struct {
	streams  *cli.Streams
	gt, pred string
	json     string // file, "-" for stdout, "" for none
	workers  int
}

func newCityscapes(s *cli.Streams, run func(context.Context, *cityscapesOptions) error) *cobra.Command {
	o := &cityscapesOptions{streams: s}
	cmd := &cobra.Command{
		Use:   "cityscapes --gt DIR --pred DIR",
		Short: "CityScapes' pixel-level scores for any model's label-id PNGs",
		Long: `Scores a folder of predictions, PNGs whose values are label ids (0..33), against
CityScapes ground truth: intersection over union (IoU) and its instance-weighted
form (iIoU) by class and category, and the confusion matrix. The numbers equal
those of cityscapesScripts' evalPixelLevelSemanticLabeling.

--gt is the data set's folder, gtFine, a split's folder, or any folder with
*_labelIds.png files; of several splits, those are scored of which there are
predictions. iIoU needs the *_instanceIds.png files beside them. --pred is any
folder, subfolders included: a PNG whose name starts with a ground truth's
CITY_SEQUENCE_FRAME is its prediction.

A table is printed on a terminal, "key<tab>value" lines with all digits otherwise.
Classes that occur neither in the ground truth nor in the predictions are "absent"
(null in JSON) and left out of the averages.`,
		Example: `  eval cityscapes --gt cityscapes/gtFine/val --pred predictions
  eval cityscapes --gt cityscapes --pred predictions --json - | jq .mIoU`,
		Args: cli.NoArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			switch {
			case o.gt == "":
				return cli.Usage("--gt is missing: the ground truth's folder; see 'eval cityscapes --help'")
			case o.pred == "":
				return cli.Usage("--pred is missing: the predictions' folder; see 'eval cityscapes --help'")
			case o.workers < 0:
				return cli.Usage("--workers is negative: %d", o.workers)
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.gt, "gt", "", "ground truth `folder`")
	f.StringVar(&o.pred, "pred", "", "predictions' `folder`")
	f.StringVar(&o.json, "json", "", "write all numbers as JSON to `file` (- for stdout, instead of the table)")
	f.IntVar(&o.workers, "workers", 0, "images read at once (0: one a processor)")
	return cmd
}

func runCityscapes(ctx context.Context, o *cityscapesOptions) error {
	s, err := cityeval.EvaluateFolders(ctx, o.gt, o.pred, cityeval.Options{Workers: o.workers})
	if err != nil {
		var bad *labelmap.InputError
		if errors.As(err, &bad) {
			return cli.Input(err)
		}
		return err
	}
	for _, w := range s.Warnings {
		fmt.Fprintf(o.streams.Err, "warning: %s\n", w)
	}
	if !s.Instances {
		fmt.Fprintln(o.streams.Err, "note: there are no instanceIds files beside the ground truth: no iIoU")
	}
	if o.json != "" {
		if err := cli.WriteJSON(o.json, o.streams.Out, s); err != nil || o.json == "-" {
			return err
		}
	}
	if !o.streams.Terminal {
		return s.WritePlain(o.streams.Out)
	}
	_, err = io.WriteString(o.streams.Out, s.Table())
	return err
}
