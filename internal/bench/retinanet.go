package bench

import (
	"time"

	"manvision/backbone"
	"manvision/detection"
	"manvision/device"
	"manvision/exec"
	"manvision/internal/resident"
	"manvision/manpp"
	"manvision/optim"
)

// RetinaNetStep is a training step of RetinaNet ResNet-50 with 80 classes as the
// official release trains it (SGD, norm clipped at 1, released quirks), cut by
// stages or, with E2E, whole, on random images [N,H,W,3] with seven boxes.
type RetinaNetStep struct {
	E2E     bool
	N, H, W int
	// ClipBlocks and Recompute are what optim.clip: block and manpp.recompute: convs say.
	ClipBlocks, Recompute bool
}

// Train times steps.
func (r RetinaNetStep) Train(dev device.Device, steps int, profile bool) (*Steps, error) {
	n, h, w := r.N, r.H, r.W
	base := resident.Baseline()
	start := time.Now()
	body, err := backbone.New("resnet50", 64)
	if err != nil {
		return nil, err
	}
	store := newStore(dev)
	defer store.Free()
	net := &detection.RetinaNet{Classes: 80, Channels: 256, Convs: 4, LocalConvs: 2, Anchors: detection.DefaultAnchors(), Assign: detection.DefaultAssign(),
		FocalAlpha: 0.25, FocalGamma: 2, SmoothL1Beta: 1, Prior: 0.01, Quirks: detection.ReleasedQuirks}
	model := &manpp.Model{Store: store, Backbone: body, Strategy: manpp.E2E, Quirks: manpp.Released, EMAMomentum: 0.995, Prefix: detection.BodyPrefix, RecomputeConvs: r.Recompute}
	if !r.E2E {
		model.Strategy, model.Partition = manpp.MANPP, manpp.Stages(body)
	}
	opt, err := manpp.NewOptimizer(store, optim.Hyper{Rule: optim.SGD, Momentum: 0.9, ClipNorm: 1, ClipBlocks: r.ClipBlocks}, optim.Rules{WeightDecay: 1e-4}, optim.Schedule{Base: 0.01})
	if err != nil {
		return nil, err
	}
	tr, err := manpp.NewTrainer(model, opt, func(n, h, w int) (manpp.Heads, error) { return net.NewHeads(dev, n, h, w) })
	if err != nil {
		return nil, err
	}
	defer tr.Close()
	s, err := tr.Steps(n, h, w)
	if err != nil {
		return nil, err
	}
	if err := store.Realize(); err != nil {
		return nil, err
	}
	out := &Steps{Compile: time.Since(start).Seconds(), Planned: tr.Memory(s).Total()}
	image := noise(n * h * w * 3)
	boxes, labels := make([][][4]float64, n), make([][]int32, n)
	for i := range n {
		for k, b := range [][4]float64{{.05, .1, .375, .65}, {.4, .16, .52, .54}, {.62, .5, .7, .6}, {.75, .13, .97, .92}, {.01, .03, .19, .36}, {.27, .35, .65, .97}, {.54, .05, .65, .16}} {
			boxes[i] = append(boxes[i], [4]float64{b[0] * float64(w), b[1] * float64(h), b[2] * float64(w), b[3] * float64(h)})
			labels[i] = append(labels[i], int32(11*k))
		}
	}
	skip, step := map[string]bool{}, int64(0)
	var report manpp.StepReport
	one := func() (float64, error) {
		if err := s.Input.Upload(image); err != nil {
			return 0, err
		}
		if err := detection.TargetsOf(s.Heads).Set(boxes, labels, skip); err != nil {
			return 0, err
		}
		err := tr.Run(s, step, skip, false, &report)
		step++
		return report.Loss(), err
	}
	err = out.train(s, steps, profile, one)
	out.memory(dev, base)
	return out, err
}

// train times training steps, one being one of them.
func (out *Steps) train(s *manpp.Steps, steps int, profile bool, one func() (float64, error)) error {
	if err := out.run(steps, one); err != nil || !profile {
		return err
	}
	var programs []*exec.Program
	for _, b := range s.Blocks {
		programs = append(programs, b.Program)
	}
	return out.profile(steps, one, programs...)
}
