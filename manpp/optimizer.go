package manpp

import (
	"fmt"
	"math"

	"manvision/device"
	"manvision/exec"
	"manvision/nn"
	"manvision/optim"
)

// Optimizer updates parameters on the device. Without clipping an update runs
// inside its block's program, as soon as the gradient exists, and the gradient is
// gone; with clipping gradients stay until the norm over all blocks is known, with
// Hyper.ClipBlocks until their block has run and its norm is known, and
// those of parameters that several blocks train (MLAAN) until the last has run. With
// Hyper.Accumulate all gradients stay and add up over the parts of a step.
type Optimizer struct {
	Hyper    optim.Hyper
	Rules    optim.Rules
	Schedule optim.Schedule

	dev    device.Device
	side   device.Device // runs the programs, where blocks run side by side
	store  *nn.Store
	state  map[string][]*exec.Tensor
	grads  map[string]*exec.Tensor
	hyper  *exec.Tensor
	norm   *exec.Tensor
	order  []*nn.Var      // that have gradients
	kept   []kept         // by block; one for all unless blocks are clipped by themselves
	block  map[string]int // parameter to place in kept
	host   []float64
	off    map[string]int    // parts of this step that skipped a group
	groups map[string]string // parameter to skip group
}

// NewOptimizer checks the settings and returns an optimizer of the store's
// parameters.
func NewOptimizer(store *nn.Store, h optim.Hyper, r optim.Rules, s optim.Schedule) (*Optimizer, error) {
	for _, err := range []error{h.Validate(), r.Validate(), s.Validate()} {
		if err != nil {
			return nil, err
		}
	}
	o := &Optimizer{Hyper: h, Rules: r, Schedule: s, dev: store.Device(), store: store,
		state: map[string][]*exec.Tensor{}, grads: map[string]*exec.Tensor{}, groups: map[string]string{}, off: map[string]int{}, block: map[string]int{}, host: make([]float64, device.HyperSlots)}
	var err error
	if o.hyper, err = exec.NewTensor(o.dev, device.Hyper()); err != nil {
		return nil, err
	}
	o.norm, err = exec.NewTensor(o.dev, device.Desc{Shape: []int{1}})
	return o, err
}

// kept are the plans of gradients that stay until a norm is known: the norm and the
// update.
type kept struct{ sum, update *exec.Program }

// attachAll plans the updates of the parameters of block j. group names those whose update
// a step may skip because they got no gradient; shared, added and within: see attach. Small
// parameters are updated together at the end.
func (o *Optimizer) attachAll(g *nn.Graph, j int, grads []nn.Gradient, group func(param string) string, shared func(param string) bool, added map[string]bool, within *exec.Arena) error {
	var small []exec.Post
	for _, grad := range grads {
		name := grad.Var.Name
		p, err := o.attach(g, j, grad, group(name), shared(name), added, within)
		if err != nil {
			return err
		}
		switch {
		case p == nil:
		case grad.Var.Value.Desc.Elems() <= waits:
			small = append(small, *p)
		default:
			g.Post(*p)
		}
	}
	for _, p := range together(small) {
		g.Post(p)
	}
	return nil
}

// attach plans the update of a parameter from its gradient: returned, for graph g, or
// with clipping or several parts after all blocks. A shared parameter has gradients in
// several blocks' graphs: they add up, and the update comes after all blocks; added
// remembers the parameters that have one already. Gradients that are used
// before another block runs lie within their block's working memory, if that is given.
func (o *Optimizer) attach(g *nn.Graph, j int, grad nn.Gradient, group string, shared bool, added map[string]bool, within *exec.Arena) (*exec.Post, error) {
	v := grad.Var
	set := o.Rules.Resolve(v.Name, v.Shape)
	if set.Frozen {
		return nil, nil
	}
	if _, ok := o.state[v.Name]; !ok {
		var state []*exec.Tensor
		for range o.Hyper.State() {
			t, err := exec.NewTensor(o.dev, v.Value.Desc)
			if err != nil {
				return nil, err
			}
			state = append(state, t)
		}
		o.state[v.Name] = state
		o.order = append(o.order, v)
		o.discard() // plans of fewer parameters
		if group != "" {
			o.groups[v.Name] = group
		}
	}
	parts := o.Hyper.Parts()
	if o.Hyper.ClipNorm == 0 && parts == 1 && !shared {
		p := o.post(v, set, exec.Source{Node: grad.Node})
		return &p, nil
	}
	if !o.clipsBlocks() {
		j = 0
	} else if shared {
		return nil, fmt.Errorf("%s is trained by several blocks, whose gradients cannot be clipped one by one: set optim.clip to global", v.Name)
	}
	t := o.grads[v.Name]
	if t == nil {
		var err error
		if within != nil && parts == 1 && !shared {
			t, err = exec.NewTensorWithin(within, v.Value.Desc)
		} else {
			t, err = exec.NewTensor(o.dev, v.Value.Desc)
		}
		if err != nil {
			return nil, err
		}
		o.grads[v.Name], o.block[v.Name] = t, j
	}
	if added[v.Name] || parts > 1 { // begin clears what parts add to
		g.Post(exec.Post{Op: device.Add{Of: v.Value.Desc}, In: []exec.Source{{Node: grad.Node}, {Tensor: t}}, Out: []*exec.Tensor{t}})
		return nil, nil
	}
	added[v.Name] = true
	g.Write(grad.Node, t)
	return nil, nil
}

func (o *Optimizer) post(v *nn.Var, set optim.Settings, grad exec.Source) exec.Post {
	p := exec.Post{
		In:    []exec.Source{grad, {Tensor: o.hyper}},
		Out:   append([]*exec.Tensor{v.Value}, o.state[v.Name]...),
		Group: o.groups[v.Name],
	}
	of, h := v.Value.Desc, o.Hyper
	switch h.Rule {
	case optim.SGD:
		p.Op = device.SGD{Of: of, Momentum: h.Momentum, Nesterov: h.Nesterov, WeightDecay: set.WeightDecay, LRScale: set.LRScale}
		if h.Momentum == 0 {
			p.Out = append(p.Out, v.Value) // the slot of the velocity, not touched
		}
	case optim.AdamW:
		p.Op = device.AdamW{Of: of, Beta1: h.Beta1, Beta2: h.Beta2, Eps: h.Eps, WeightDecay: set.WeightDecay, LRScale: set.LRScale}
	}
	return p
}

// begin sets the numbers of step (from 0) before its first part.
func (o *Optimizer) begin(step int64) error {
	h := o.host
	h[device.HyperLR] = o.Schedule.LR(step)
	h[device.HyperClip] = 1 / float64(o.Hyper.Parts())
	h[device.HyperFirst] = 0
	if step == 0 {
		h[device.HyperFirst] = 1
	}
	t := float64(step + 1)
	h[device.HyperBias1] = 1 - math.Pow(o.Hyper.Beta1, t)
	h[device.HyperBias2] = 1 - math.Pow(o.Hyper.Beta2, t)
	clear(o.off)
	if o.Hyper.Parts() > 1 {
		for _, v := range o.order {
			if err := o.grads[v.Name].Zero(); err != nil {
				return err
			}
		}
	}
	return o.hyper.Upload(h)
}

// clipsBlocks tells whether each block's gradient is clipped by itself.
func (o *Optimizer) clipsBlocks() bool { return o.Hyper.ClipBlocks && o.Hyper.ClipNorm > 0 }

// skips notes which groups a part of a step skips. One that all parts skip is not
// updated.
func (o *Optimizer) skips(skip map[string]bool) {
	for group, off := range skip {
		n := 0
		if off {
			n = 1
		}
		o.off[group] += n
	}
}

// finish clips and updates after block j of the step's last part, where its gradients
// were kept for that; of all blocks after the last one unless blocks are clipped by
// themselves. It returns the norm before clipping, 0 if there is nothing to clip; where
// that is NaN or infinite nothing is updated.
func (o *Optimizer) finish(j int, last bool) (norm float64, err error) {
	switch {
	case len(o.grads) == 0:
		return 0, nil
	case o.clipsBlocks():
	case last:
		j = 0
	default:
		return 0, nil
	}
	if o.kept == nil {
		if err := o.compile(); err != nil {
			return 0, err
		}
	}
	if j >= len(o.kept) || o.kept[j].update == nil {
		return 0, nil // all of the block is frozen
	}
	k := o.kept[j]
	if o.Hyper.ClipNorm == 0 {
		return 0, o.updateKept(k)
	}
	if err := o.norm.Zero(); err != nil {
		return 0, err
	}
	if err := k.sum.Run(); err != nil {
		return 0, err
	}
	var sum [1]float64
	if err := o.norm.Download(sum[:]); err != nil {
		return 0, err
	}
	parts := float64(o.Hyper.Parts())
	norm = math.Sqrt(sum[0]) / parts
	if math.IsNaN(norm) || math.IsInf(norm, 0) {
		return norm, nil
	}
	o.host[device.HyperClip] = optim.ClipScale(norm, o.Hyper.ClipNorm) / parts
	if err := o.hyper.Upload(o.host); err != nil {
		return norm, err
	}
	return norm, o.updateKept(k)
}

// updateKept updates the parameters whose gradients were kept.
func (o *Optimizer) updateKept(k kept) error {
	for group, n := range o.off {
		k.update.Skip(group, n == o.Hyper.Parts())
	}
	return k.update.Run()
}

// runs is the device that the norm and the update run on: that of the blocks, so that
// nothing else wants the cores.
func (o *Optimizer) runs() device.Device {
	if o.side != nil {
		return o.side
	}
	return o.dev
}

// compile plans the norm and the update over all kept gradients.
func (o *Optimizer) compile() error {
	var sums, updates [][]exec.Post
	for _, v := range o.order {
		t := o.grads[v.Name]
		if t == nil {
			continue // updated inside its block
		}
		j, g := o.block[v.Name], exec.Source{Tensor: t}
		for len(sums) <= j {
			sums, updates = append(sums, nil), append(updates, nil)
		}
		sums[j] = append(sums[j], exec.Post{Op: device.SquaredNorm{Of: v.Value.Desc}, In: []exec.Source{g}, Out: []*exec.Tensor{o.norm}})
		updates[j] = append(updates[j], o.post(v, o.Rules.Resolve(v.Name, v.Shape), g))
	}
	o.kept = make([]kept, len(sums))
	for j, k := range o.kept {
		if len(sums[j]) == 0 {
			continue
		}
		var err error
		if k.sum, err = exec.Compile(o.runs(), exec.Spec{Name: "gradient norm", Posts: together(sums[j])}); err != nil {
			o.discard()
			return err
		}
		o.kept[j] = k
		if o.kept[j].update, err = exec.Compile(o.runs(), exec.Spec{Name: "update", Posts: together(updates[j])}); err != nil {
			o.discard()
			return err
		}
	}
	return nil
}

// discard closes the plans of the norm and the update; the next step makes new
// ones.
func (o *Optimizer) discard() {
	for _, k := range o.kept {
		for _, p := range []*exec.Program{k.sum, k.update} {
			if p != nil {
				p.Close()
			}
		}
	}
	o.kept = nil
}

// Free gives back state, gradients and plans. The programs of trainers that use
// the optimizer must not run afterwards.
func (o *Optimizer) Free() {
	o.discard()
	for _, s := range o.state {
		for _, t := range s {
			t.Free()
		}
	}
	for _, t := range o.grads {
		t.Free()
	}
	o.hyper.Free()
	o.norm.Free()
}

// GradBytes is the storage of gradients kept for clipping or several parts beside the
// blocks' working memory.
func (o *Optimizer) GradBytes() int64 {
	var n int64
	for _, t := range o.grads {
		if !t.Within() {
			n += t.Bytes()
		}
	}
	return n
}

// StateBytes is the storage of the optimizer's state.
func (o *Optimizer) StateBytes() int64 {
	var n int64
	for _, s := range o.state {
		for _, t := range s {
			n += t.Bytes()
		}
	}
	return n
}

// State is one tensor of the optimizer's state, named as optim.Hyper.State says.
type State struct {
	Param, Name string
	Shape       []int
	Tensor      *exec.Tensor
}

// States lists the optimizer's state in the order in which parameters were made.
func (o *Optimizer) States() []State {
	var out []State
	names := o.Hyper.State()
	for _, v := range o.store.Vars() {
		for i, t := range o.state[v.Name] {
			out = append(out, State{v.Name, names[i], v.Shape, t})
		}
	}
	return out
}

// Grad returns the gradient of a parameter of the last step, which is kept only
// with clipping, and with several parts as their sum; nil if there is none. That
// of the last block, and where blocks are clipped by themselves of each, lasts until
// another program has used the blocks' working memory.
func (o *Optimizer) Grad(name string) *exec.Tensor { return o.grads[name] }
