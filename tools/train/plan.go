package main

import (
	"fmt"
	"io"
	"strings"

	"manvision/config"
	"manvision/internal/cli"
	"manvision/report"
	"manvision/report/progress"
	"manvision/train"
)

func runPlan(o *options, cfg *config.Config) error {
	n, h, w := train.PlanSize(cfg)
	if o.planSize != "" {
		var err error
		if n, h, w, err = parseSize(o.planSize); err != nil {
			return err
		}
		h, w = (h+31)/32*32, (w+31)/32*32
	}
	classes, err := planClasses(o, cfg)
	if err != nil {
		return err
	}
	dev, err := o.open(train.Threads(cfg))
	if err != nil {
		return err
	}
	defer dev.Close()
	p, err := train.Plan(cfg, dev, classes, n, h, w)
	if err != nil {
		return cli.Input(err)
	}
	out := o.streams.Out
	if o.json != "" {
		if err := cli.WriteJSON(o.json, out, p); err != nil || o.json == "-" {
			return err
		}
	}
	return writePlan(out, o.streams.Terminal, p)
}

// planClasses takes the number of classes from the recipe or its data where these
// tell it.
func planClasses(o *options, cfg *config.Config) (int, error) {
	task, err := train.TaskOf(cfg)
	if err != nil {
		return 0, cli.Input(err)
	}
	n, err := task.CountClasses(cfg)
	if n == 0 {
		n = o.classes
	}
	return n, cli.Input(err)
}

// writePlan prints the plan in columns: end to end, the recipe.
func writePlan(out io.Writer, terminal bool, p *train.MemoryPlan) error {
	cell := func(n int64) string {
		if !terminal {
			return fmt.Sprint(n)
		}
		return progress.Bytes(n)
	}
	e, r := p.EndToEnd, p.Recipe
	if terminal {
		fmt.Fprintf(out, "%s: a training step of %d images of %dx%d, %d classes, on %s with %d threads\n\n",
			p.Name, p.Input[0], p.Input[1], p.Input[2], p.Classes, p.Device, p.Threads)
	}
	ways := append([]train.PlanOf{r}, p.AtOnce...)
	head := []string{"bytes", "end to end K=1", fmt.Sprintf("%s K=%d", r.Strategy, len(r.Memory.Blocks))}
	for _, a := range p.AtOnce {
		head = append(head, fmt.Sprintf("%d at once", a.Memory.Lanes))
	}
	t := report.NewTable(head...)
	row := func(name, whole string, of func(train.PlanOf) string) {
		cells := []any{name, whole}
		for _, w := range ways {
			cells = append(cells, of(w))
		}
		t.Row(cells...)
	}
	bytes := func(name string, of func(train.PlanOf) int64) {
		row(name, cell(of(e)), func(w train.PlanOf) string { return cell(of(w)) })
	}
	t.Row("whole network", cell(e.Memory.Arena))
	for i := range r.Memory.Blocks {
		name := fmt.Sprintf("block %d", i+1)
		if i < len(r.Cuts) {
			name += " to " + r.Cuts[i]
		}
		row(name, "", func(w train.PlanOf) string { return cell(w.Memory.Blocks[i]) })
	}
	working := "working memory (the largest)"
	if n := r.Memory.Lanes; n > 1 {
		working = fmt.Sprintf("working memory (%d at once, each as the largest)", n)
	} else if p.AtOnce != nil {
		working = "working memory (the largest, for each at once)"
	}
	bytes(working, func(w train.PlanOf) int64 { return w.Memory.Arena })
	bytes("images and cuts", func(w train.PlanOf) int64 { return w.Memory.Boundary })
	bytes("parameters and statistics", func(w train.PlanOf) int64 { return w.Memory.Parameters })
	bytes("optimizer state", func(w train.PlanOf) int64 { return w.Memory.State })
	bytes("gradients kept", func(w train.PlanOf) int64 { return w.Memory.Gradients })
	bytes("total", func(w train.PlanOf) int64 { return w.Total })
	bytes("with evaluation", func(w train.PlanOf) int64 { return w.Total + w.Evaluation })
	row("ratio", "1", func(w train.PlanOf) string { return fmt.Sprintf("%.3f", float64(w.Total)/float64(e.Total)) })
	if err := t.Write(out, terminal); err != nil {
		return err
	}
	if p.Note != "" {
		fmt.Fprintln(out, p.Note)
	}
	if terminal {
		cuts := "none"
		if len(r.Cuts) > 0 {
			cuts = "after " + strings.Join(r.Cuts, ", ")
		}
		fmt.Fprintf(out, "\ncuts: %s. Decoded images wait outside this plan: data.prefetch bounds them.\n", cuts)
	}
	return nil
}
