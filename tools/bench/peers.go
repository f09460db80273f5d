package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"manvision/detection/cocoeval"
	"manvision/internal/bench"
)

func newLoad(out io.Writer) *cobra.Command {
	var workers, passes, repeat int
	c := &cobra.Command{Use: "load FOLDER", Short: "Images a second of the loader (peer: benchmarks/load_peer.py)", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			rates, err := bench.Load(args[0], workers, passes, repeat)
			if err != nil {
				return err
			}
			return json.NewEncoder(out).Encode(map[string]any{"workers": workers, "images_per_second": rates})
		}}
	c.Flags().IntVar(&workers, "workers", 4, "decoding threads")
	c.Flags().IntVar(&passes, "runs", 3, "timings")
	c.Flags().IntVar(&repeat, "repeat", 3, "passes over the folder in one timing")
	return c
}

func newCocoEval(out io.Writer) *cobra.Command {
	var images, detections, runs int
	c := &cobra.Command{Use: "coco-eval FOLDER", Short: "COCO evaluation from files to numbers (peer: benchmarks/coco_eval_peer.py)",
		Long: "Writes instances.json and results.json to FOLDER unless they are there, and times their evaluation.", Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			gt, dt := filepath.Join(args[0], "instances.json"), filepath.Join(args[0], "results.json")
			if _, err := os.Stat(dt); err != nil {
				if gt, dt, err = cocoeval.WriteBenchmarkFiles(args[0], images, detections, 1); err != nil {
					return err
				}
			}
			var seconds []float64
			var s *cocoeval.Summary
			for range runs {
				start := time.Now()
				var err error
				if s, err = cocoeval.EvaluateFiles(gt, dt, cocoeval.Options{}); err != nil {
					return err
				}
				seconds = append(seconds, time.Since(start).Seconds())
			}
			return json.NewEncoder(out).Encode(map[string]any{"seconds": seconds, "AP": s.AP})
		}}
	c.Flags().IntVar(&images, "images", 5000, "images of the written files")
	c.Flags().IntVar(&detections, "detections", 500000, "detections of the written files")
	c.Flags().IntVar(&runs, "runs", 1, "timings")
	return c
}

func newPair(out io.Writer, o *options) *cobra.Command {
	var p bench.Pair
	var rec recording
	var asJSON bool
	var pythons []string
	c := &cobra.Command{Use: "pair", Short: "Run commands in turn and print medians and their ratio as a row of BENCHMARKS.md", Args: cobra.NoArgs,
		Long: "Runs our command and its peers in turn. Of several peers the best of each round counts.",
		Example: `  bin/bench pair --name 'ResNet-50 step, s' --target 0.80 \
    --ours 'bin/bench resnet50' --ours-key seconds \
    --python /usr/bin/python3,venv/bin/python --peer 'PYTHON benchmarks/resnet50_step.py' --peer-key 'nchw|nhwc'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			p.Peers = expand(p.Peers, pythons)
			r, err := p.Run(cmd.Context())
			if err != nil {
				return err
			}
			if err := rec.add(o.threads, bench.Figure{Name: r.Name, More: p.More, Runs: r.Ours, Peer: r.Peer, Ratios: r.Ratios}); err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(out).Encode(r)
			}
			_, err = fmt.Fprintln(out, r.Row())
			return err
		}}
	f := c.Flags()
	f.StringVar(&p.Name, "name", "", "name of the figure")
	f.StringVar(&p.Ours, "ours", "", "our command; it prints JSON")
	f.StringArrayVar(&p.Peers, "peer", nil, "a peer's command; it prints JSON; none, or empty: ours alone")
	f.StringSliceVar(&pythons, "python", nil, "interpreters, each of which the word PYTHON in a peer's command stands for in turn")
	f.StringVar(&p.OursKey, "ours-key", "seconds", "key of our figure")
	f.StringVar(&p.PeerKey, "peer-key", "seconds", "key of the peer's; a|b is the smaller of two")
	f.IntVar(&p.Rounds, "rounds", 5, "runs of each command")
	f.Float64Var(&p.Target, "target", 0, "greatest ratio wanted; with --more the least")
	f.BoolVar(&p.More, "more", false, "larger figures are better")
	rec.flags(c)
	f.BoolVar(&asJSON, "json", false, "print every round as JSON")
	return c
}

// expand puts each of the interpreters in the place of PYTHON; a command that names it is
// left out where there is none.
func expand(peers, pythons []string) []string {
	var out []string
	for _, p := range peers {
		switch {
		case p == "":
		case !strings.Contains(p, "PYTHON"):
			out = append(out, p)
		default:
			for _, python := range pythons {
				out = append(out, strings.ReplaceAll(p, "PYTHON", python))
			}
		}
	}
	return out
}
