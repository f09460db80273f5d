package train

import (
	"fmt"
	"strings"

	"manvision/config"
	"manvision/device"
	"manvision/internal/resident"
	"manvision/manpp"
)

// Outline is what a run is going to do.
type Outline struct {
	Device  string `json:"device"`
	Threads int    `json:"threads"`

	Backbone string   `json:"backbone"`
	Width    int      `json:"width"`
	Strategy string   `json:"strategy"`
	Blocks   int      `json:"blocks"`
	Cuts     []string `json:"cuts"` // last unit of every block but the final one
	Classes  int      `json:"classes"`
	Head     string   `json:"head"`

	InferenceParameters int `json:"inference_parameters"` // numbers, without running statistics
	TrainingParameters  int `json:"training_parameters"`  // with auxiliary networks and local heads

	Input  [3]int       `json:"input"` // images, height, width of the largest step
	Memory manpp.Memory `json:"memory"`

	TrainImages  int `json:"train_images"`
	TrainObjects int `json:"train_objects"` // 0 where every pixel or image is annotated
	ValImages    int `json:"val_images"`
	ValObjects   int `json:"val_objects"`

	FirstStep     int64   `json:"first_step"` // 0, or where a resumed run goes on
	Steps         int64   `json:"steps"`
	StepsPerEpoch int64   `json:"steps_per_epoch"` // rounded up
	Batch         int     `json:"batch"`           // images a step
	LR            float64 `json:"lr"`              // after warm-up
	Schedule      string  `json:"schedule"`
}

func (r *run) outline() *Outline {
	d, cfg := r.model.Net(), r.cfg
	parts := int64(cfg.Train.Accumulate)
	o := &Outline{
		Device: d.Store.Device().Name(), Threads: d.Store.Device().Threads(),
		TrainImages: r.source.Len(), TrainObjects: r.source.Objects(),
		ValImages: r.val.Len(), ValObjects: r.val.Objects(),
		FirstStep: r.step, Steps: r.total, StepsPerEpoch: (r.loader.StepsPerEpoch() + parts - 1) / parts,
		Batch: cfg.Train.Batch * cfg.Train.Accumulate, LR: cfg.Optim.LR, Schedule: cfg.Schedule.Name, Memory: r.planned(),
	}
	o.Input[0], o.Input[1], o.Input[2] = PlanSize(cfg)
	o.describe(d)
	return o
}

func (o *Outline) describe(d *Network) {
	o.Backbone, o.Width, o.Strategy = d.Model.Backbone.Name, Width(d.Config), d.Model.Strategy.Name
	o.Blocks, o.Cuts, o.Classes = d.Model.Blocks(), d.Cuts(), d.Classes.Len()
	o.Head = d.Head
	o.InferenceParameters, o.TrainingParameters = d.Parameters()
}

// planned is the plan of the largest input's step, evaluation included.
func (r *run) planned() manpp.Memory {
	n, h, w := PlanSize(r.cfg)
	s, err := r.tr.Steps(n, h, w)
	if err != nil { // it was compiled before
		return manpp.Memory{}
	}
	return r.tr.Memory(s)
}

func (r *run) memoryUse() MemoryUse {
	_, allocated := r.model.Net().Store.Device().Allocated()
	u := MemoryUse{Planned: r.planned().Total(), Allocated: allocated}
	if _, peak := resident.Bytes(); peak > 0 {
		u.Resident = max(peak-r.resident, 0)
	}
	return u
}

// MemoryPlan is the planned memory of a recipe's training step beside that of the
// same recipe trained end to end.
type MemoryPlan struct {
	Name     string `json:"name"`
	Device   string `json:"device"`
	Threads  int    `json:"threads"`
	Input    [3]int `json:"input"` // images, height, width
	Classes  int    `json:"classes"`
	EndToEnd PlanOf `json:"end_to_end"`
	Recipe   PlanOf `json:"recipe"`
	// AtOnce are the numbers of blocks at once, from 2, that a run of a recipe with
	// manpp.concurrency auto chooses from; Recipe has one.
	AtOnce []PlanOf `json:"blocks_at_once,omitempty"`
	Note   string   `json:"note,omitempty"` // what was chosen for the recipe
	// Ratio is the recipe's total over that of end-to-end training.
	Ratio float64 `json:"ratio"`
}

// PlanOf is one way of training in a MemoryPlan.
type PlanOf struct {
	Strategy            string       `json:"strategy"`
	Cuts                []string     `json:"cuts"`
	InferenceParameters int          `json:"inference_parameters"`
	TrainingParameters  int          `json:"training_parameters"`
	Memory              manpp.Memory `json:"memory"`
	Total               int64        `json:"total"` // of a training step
	// Evaluation is what evaluations between steps add to it: filters with their norms
	// folded in, and working memory where a batch of eval.batch needs more. Segmentation's
	// pictures count as those of training.
	Evaluation int64 `json:"evaluation"`
}

// Plan plans a training step of the recipe for a number of classes and images of
// n x h x w, and the same trained end to end. Nothing is allocated and no data is
// read, but with tune algorithms are timed.
func Plan(cfg *config.Config, dev device.Device, classes, n, h, w int) (*MemoryPlan, error) {
	if classes < 1 || n < 1 || h < 32 || w < 32 || h%32 != 0 || w%32 != 0 {
		return nil, fmt.Errorf("plan of %d classes, %d images of %dx%d: need at least one of each and sides in multiples of 32", classes, n, h, w)
	}
	p := &MemoryPlan{Name: cfg.Name, Device: dev.Name(), Threads: dev.Threads(), Input: [3]int{n, h, w}, Classes: classes}
	var err error
	if p.Recipe, p.Note, err = planOf(cfg, dev, classes, n, h, w); err != nil {
		return nil, err
	}
	whole := *cfg
	whole.MANPP.Strategy, whole.MANPP.Blocks, whole.MANPP.Concurrency = "e2e", 0, 1
	if p.EndToEnd, _, err = planOf(&whole, dev, classes, n, h, w); err != nil {
		return nil, err
	}
	p.Ratio = float64(p.Recipe.Total) / float64(p.EndToEnd.Total)
	if cfg.MANPP.Concurrency == config.Auto {
		if err := p.atOnce(cfg, dev); err != nil {
			return nil, err
		}
	}
	if cfg.Tune { // what has been timed is there for the run
		all, err := dev.(device.Tuner).Tuned() // see tune
		if err != nil {
			return nil, err
		}
		p.note(all.Text)
	}
	return p, nil
}

func (p *MemoryPlan) note(text string) { p.Note = strings.TrimPrefix(p.Note+"\n"+text, "\n") }

// atOnce adds the plans of the numbers of blocks at once that a run chooses from.
func (p *MemoryPlan) atOnce(cfg *config.Config, dev device.Device) error {
	numbers, why := atOnce(cfg, dev, len(p.Recipe.Memory.Blocks))
	for _, k := range numbers[1:] {
		o, _, err := planOf(cfg.WithConcurrency(k, ""), dev, p.Classes, p.Input[0], p.Input[1], p.Input[2])
		if err != nil {
			return err
		}
		p.AtOnce = append(p.AtOnce, o)
	}
	if why == "" {
		why = "the run measures when it starts and takes what is faster by more than 5 %"
	} else {
		why = "one block at a time: " + why
	}
	p.note("manpp.concurrency auto: " + why)
	return nil
}

func planOf(cfg *config.Config, dev device.Device, classes, n, h, w int) (PlanOf, string, error) {
	task, err := TaskOf(cfg)
	if err != nil {
		return PlanOf{}, "", err
	}
	m, err := task.Build(cfg, dev, task.Numbered(classes))
	if err != nil {
		return PlanOf{}, "", err
	}
	d := m.Net()
	o := PlanOf{Strategy: d.Model.Strategy.Name, Cuts: d.Cuts()}
	if o.Memory, o.Evaluation, err = foresee(m, n, h, w); err != nil {
		return PlanOf{}, "", err
	}
	o.InferenceParameters, o.TrainingParameters = d.Parameters()
	o.Total = o.Memory.Total()
	return o, d.Note, nil
}

// foresee plans a training step on n images of h x w, and what evaluations between steps
// add to it.
func foresee(m Model, n, h, w int) (step manpp.Memory, evaluation int64, err error) {
	cfg := m.Net().Config
	// The length of a run in epochs depends on the data; no plan depends on it.
	tr, err := NewTrainer(m, max(1, cfg.Train.Steps, cfg.Schedule.WarmupSteps+1))
	if err != nil {
		return step, 0, err
	}
	defer tr.Close()
	s, err := tr.Steps(n, h, w)
	if err != nil {
		return step, 0, err
	}
	step = tr.Memory(s)
	p, err := m.NewPredictor(tr.Boundary(), tr.Arena())
	if err != nil {
		return step, 0, err
	}
	defer p.Close()
	err = p.Foresee(cfg.Eval.Batch, h, w)
	return step, tr.Memory(s).Total() - step.Total(), err
}
