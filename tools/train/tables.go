package main

import (
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	"manvision/config"
	"manvision/report"
	"manvision/report/progress"
	"manvision/train"
)

// writeOutline prints what is going to run.
func writeOutline(out io.Writer, terminal bool, cfg *config.Config, l *train.Outline) {
	t := report.NewTable("run", cfg.Name)
	t.Row("machine", fmt.Sprintf("%s, %d threads on %d cores", l.Device, l.Threads, runtime.NumCPU()))
	t.Row("model", fmt.Sprintf("%s, width %d, %s, %d classes", l.Backbone, l.Width, l.Head, l.Classes))
	how := fmt.Sprintf("%s, K=%d", l.Strategy, l.Blocks)
	if len(l.Cuts) > 0 {
		how += ", cuts after " + strings.Join(l.Cuts, ", ")
	}
	t.Row("training", how)
	t.Row("parameters", fmt.Sprintf("%s at inference, %s in training", count(l.InferenceParameters), count(l.TrainingParameters)))
	if n := l.Memory.Lanes; n > 1 {
		t.Row("blocks at once", fmt.Sprintf("%d, each on %d of the threads", n, l.Threads/n))
	}
	t.Row("planned memory", fmt.Sprintf("%s for %d images of %dx%d (working memory %s)", progress.Bytes(l.Memory.Total()), l.Input[0], l.Input[1], l.Input[2], progress.Bytes(l.Memory.Arena)))
	t.Row("training data", amount(l.TrainImages, l.TrainObjects))
	t.Row("validation data", amount(l.ValImages, l.ValObjects))
	steps := fmt.Sprintf("%d of %d images, %.1f epochs", l.Steps, l.Batch, float64(l.Steps)/float64(l.StepsPerEpoch))
	if l.FirstStep > 0 {
		steps += fmt.Sprintf(", %d done", l.FirstStep)
	}
	t.Row("steps", steps)
	t.Row("learning rate", fmt.Sprintf("%g, %s", l.LR, l.Schedule))
	t.Row("output", cfg.Output)
	t.Write(out, terminal)
	fmt.Fprintln(out)
}

// amount tells how much data there is; objects is 0 where every pixel or image is
// annotated.
func amount(images, objects int) string {
	if objects == 0 {
		return fmt.Sprintf("%d images", images)
	}
	return fmt.Sprintf("%d images, %d objects", images, objects)
}

// writeResult prints how the run ended; perClass with the numbers of every class.
func writeResult(out io.Writer, terminal, perClass bool, r *result) {
	fmt.Fprintln(out)
	if r.Metrics != nil {
		if terminal {
			fmt.Fprintln(out, r.Metrics.Detail.Table())
			if perClass {
				fmt.Fprintln(out, r.Metrics.Detail.ClassTable())
			}
		} else {
			r.Metrics.Detail.WritePlain(out, perClass)
		}
	}
	t := report.NewTable("result", r.Name)
	t.Row("time", fmt.Sprintf("%s (evaluation %s, checkpoints %s)", seconds(r.Seconds), seconds(r.Eval), seconds(r.Save)))
	t.Row("speed", fmt.Sprintf("%.1f images a second", r.Images))
	t.Row("data wait", fmt.Sprintf("%.1f %% of training", 100*r.DataWait))
	memory := fmt.Sprintf("planned %s, allocated %s", progress.Bytes(r.Memory.Planned), progress.Bytes(r.Memory.Allocated))
	if r.Memory.Resident > 0 {
		memory += fmt.Sprintf(", resident %s with the loader", progress.Bytes(r.Memory.Resident))
	}
	t.Row("peak memory", memory)
	if r.Skipped > 0 {
		t.Row("skipped images", r.Skipped)
	}
	t.Write(out, terminal)
}

func seconds(s float64) string {
	if s < 60 {
		return fmt.Sprintf("%.1fs", s)
	}
	return progress.Duration(time.Duration(s * float64(time.Second)))
}

// count writes a number with separated thousands.
func count(n int) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
