package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"manvision/config"
	"manvision/device"
	"manvision/device/cpu"
	"manvision/internal/cli"
	"manvision/train"
)

// options are the inputs of the command.
type options struct {
	streams  *cli.Streams
	config   string
	sets     []string
	output   string
	limit    string // memory, "" for none
	resume   bool
	auto     bool   // with resume: start where there is no checkpoint
	policy   string // of resume
	board    bool
	plan     bool
	planSize string
	classes  int
	checkup  bool
	explain  string // key, "" for none
	json     string // file, "-" for stdout, "" for none
	profile  string // folder or .json file, "" for none
	pprof    string // folder, "" for none
	open     func(threads int) (device.Device, error)
}

func newCmd(s *cli.Streams, run func(context.Context, *options) error) *cobra.Command {
	o := &options{streams: s, open: openCPU}
	cmd := &cobra.Command{
		Use:   "train --config C.yaml",
		Short: "Train a model by a recipe",
		Long: `Trains the model of a recipe, a detector, a segmentation network or a classifier,
block by block (or end to end, where the recipe says so), evaluates it, and leaves in the recipe's
output folder: checkpoints/, the logs log.jsonl, log.csv and metrics.jsonl, the
curves loss.png, result.json and the resolved recipe config.yaml.

Ctrl-C ends the run after the step it is in, saves a checkpoint and prints the
command that goes on; a second Ctrl-C ends it at once. A resumed run gives the
same weights as one that was never stopped.

Exit status: 0 done; 1 failed, stopped, or a result that the recipe expects was
missed; 2 wrong usage, recipe or data.`,
		Example: `  train --config configs/detection/demo-shapes.yaml
  train --config configs/detection/coco128.yaml --set data.root=coco --output runs/a
  train --config configs/detection/coco128.yaml --set data.root=coco --output runs/a --resume
  train --config configs/detection/coco128.yaml --set optim.lr=0.0005 --output runs/a --resume --resume-policy lr
  train --config configs/detection/retinanet_r50_manpp_k4.yaml --plan --plan-size 2x608x800
  train --config configs/segmentation/cityscapes6.yaml --set data.root=cityscapes --check
  train --config configs/detection/coco128.yaml --explain optim.lr
  train --config configs/segmentation/deeplabv3_r50_manpp_k4.yaml --plan
  train --config configs/classification/cifar10_resnet32_manpp_k16.yaml --set data.root=cifar10`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && args[0] == "auto" && o.resume { // a flag that may stand alone takes no word behind it
				o.auto, args = true, nil
			}
			return cli.NoArgs(cmd, args)
		},
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd); err != nil {
				return err
			}
			return run(cmd.Context(), o)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.config, "config", "", "recipe `file`")
	f.StringArrayVar(&o.sets, "set", nil, "change a `key=value` of the recipe, the value in YAML; may be repeated")
	f.StringVar(&o.output, "output", "", "`folder` for everything the run leaves, instead of the recipe's")
	f.StringVar(&o.limit, "memory-limit", "", "`amount` of memory, such as 8GiB, that a training step's plan must fit into: the fewest balanced blocks that do are taken (manpp.memory_limit)")
	f.Var(&resumeFlag{o}, "resume", "go on from the last checkpoint in the output folder; --resume=auto starts where there is none")
	f.Lookup("resume").NoOptDefVal = "last"
	f.StringVar(&o.policy, "resume-policy", "strict", "what may differ from the checkpoint's settings: `strict` nothing that matters, lr the learning rate, its schedule and threads, weights all but the network (weights alone, from step 0)")
	f.BoolVar(&o.board, "tensorboard", false, "also write the log for TensorBoard, into tensorboard/ of the output folder (train.tensorboard)")
	f.BoolVar(&o.plan, "plan", false, "print the memory plan, end to end beside the recipe's blocks, and stop")
	f.StringVar(&o.planSize, "plan-size", "", "with --plan: images x height x width, such as 2x608x800, instead of the recipe's largest")
	f.IntVar(&o.classes, "classes", 80, "with --plan: number of classes where neither the recipe nor its data tells it")
	f.BoolVar(&o.checkup, "check", false, "look at recipe, data, labels, weights, memory, disk and machine, print every finding with its fix, and stop; exit status 1 if one is an error")
	f.StringVar(&o.explain, "explain", "", "print the value of a `key` or of a section's keys, where it comes from, its meaning and range, and stop")
	f.StringVar(&o.json, "json", "", "write the result, the plan, the findings or the explanation as JSON to `file` (- for stdout, the rest goes to stderr)")
	f.StringVar(&o.profile, "profile", "", "time every kernel of five steps after the first two; `PATH` is a folder for ops.txt, ops.json and trace.json, or a .json file for the trace with the table in it")
	f.StringVar(&o.pprof, "pprof", "", "write Go's own profiles of the run, cpu.pprof and heap.pprof, to this `folder`")
	return cmd
}

// resumeFlag is --resume, which may stand alone.
type resumeFlag struct{ o *options }

// String is the default for --help.
func (f *resumeFlag) String() string { return "" }

// Type names the value in --help.
func (f *resumeFlag) Type() string { return "last|auto" }

// Set reads the value, "last" where the flag stands alone.
func (f *resumeFlag) Set(text string) error {
	if text != "last" && text != "auto" {
		return fmt.Errorf("is --resume or --resume=auto")
	}
	f.o.resume, f.o.auto = true, text == "auto"
	return nil
}

func openCPU(threads int) (device.Device, error) { return cpu.New(cpu.Options{Threads: threads}) }

func (o *options) check(cmd *cobra.Command) error {
	if o.config == "" {
		return cli.Usage("--config is missing: the recipe; see 'train --help'")
	}
	if !o.plan {
		for _, name := range []string{"plan-size", "classes"} {
			if cmd.Flags().Changed(name) {
				return cli.Usage("--%s goes with --plan", name)
			}
		}
	}
	if o.plan && (o.profile != "" || o.pprof != "") {
		return cli.Usage("--plan trains nothing: leave out --profile and --pprof")
	}
	if (o.checkup || o.explain != "") && (o.plan || o.profile != "" || o.pprof != "") || o.checkup && o.explain != "" {
		return cli.Usage("--check and --explain train nothing: leave out --plan, --profile and --pprof, and one of them")
	}
	if o.plan && o.resume {
		return cli.Usage("--plan trains nothing: leave out --resume")
	}
	policy, err := train.ParseResumePolicy(o.policy)
	if err != nil {
		return cli.Usage("--resume-policy: %v", err)
	}
	if !o.resume && cmd.Flags().Changed("resume-policy") {
		return cli.Usage("--resume-policy goes with --resume")
	}
	if o.auto && policy == train.ResumeWeights {
		return cli.Usage("--resume-policy weights begins anew each time: use --resume, without auto, once")
	}
	if o.classes < 1 {
		return cli.Usage("--classes %d: need at least 1", o.classes)
	}
	return nil
}

// recipe loads the recipe with everything the command line changes.
func (o *options) recipe() (*config.Config, error) {
	sets := slices.Clone(o.sets)
	if o.output != "" {
		path, _ := json.Marshal(o.output) // a JSON string is a YAML string
		sets = append(sets, "output="+string(path))
	}
	if o.limit != "" {
		limit, _ := json.Marshal(o.limit)
		sets = append(sets, "manpp.partition=balanced", "manpp.blocks=0", "manpp.cuts=[]", "manpp.stem=false", "manpp.published=main", "manpp.memory_limit="+string(limit))
	}
	if o.board {
		sets = append(sets, "train.tensorboard=true")
	}
	cfg, err := config.Load(o.config, sets)
	return cfg, cli.Input(err)
}

// resumeLine is the command line that goes on with the run.
func (o *options) resumeLine() string {
	args := []string{os.Args[0], "--config", o.config}
	for _, s := range o.sets {
		args = append(args, "--set", s)
	}
	if o.output != "" {
		args = append(args, "--output", o.output)
	}
	if o.limit != "" {
		args = append(args, "--memory-limit", o.limit)
	}
	if o.board {
		args = append(args, "--tensorboard")
	}
	return cli.Quote(append(args, "--resume"))
}

func run(ctx context.Context, o *options) error {
	if o.checkup {
		return runCheck(ctx, o)
	}
	cfg, err := o.recipe()
	if err != nil {
		return err
	}
	if o.explain != "" {
		return runExplain(o, cfg)
	}
	if o.plan {
		return runPlan(o, cfg)
	}
	return runTrain(ctx, o, cfg)
}

// parseSize reads "NxHxW".
func parseSize(s string) (n, h, w int, err error) {
	var rest string
	if k, _ := fmt.Sscanf(s, "%dx%dx%d%s", &n, &h, &w, &rest); k != 3 || n < 1 || h < 1 || w < 1 {
		return 0, 0, 0, cli.Usage("--plan-size %q is not images x height x width, such as 2x608x800", s)
	}
	return n, h, w, nil
}
