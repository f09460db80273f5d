package exec

import (
	"errors"
	"fmt"
	"slices"

	"gorgonia.org/gorgonia"

	"manvision/device"
)

// Describer is an operation that a device can run. An op of several outputs is a
// node that stands for its output 0; the others are reached by an Aliaser.
type Describer interface {
	Descriptor() device.Op
}

// Aliaser is an operation that computes nothing: its node is output Output() of
// the node that its only child stands for, seen with another shape (reshape:
// output 0).
type Aliaser interface {
	Alias() (output int)
}

// Post is work after the graph's own: an optimizer update, running statistics, an
// EMA. It runs as soon as its inputs exist and no later kernel of the graph reads
// what it writes. Posts that touch one tensor, at least one of them writing, run
// in the order given.
type Post struct {
	Op    device.Op
	In    []Source
	Out   []*Tensor // written, for most kinds also read
	Group string    // posts of a group can be switched off for a run by Skip
}

// Source is an argument of a Post: a node of the graph or storage outside it.
type Source struct {
	Node   *gorgonia.Node
	Tensor *Tensor
}

// Spec says what to compile.
type Spec struct {
	Name  string // for errors and profiles: "block 2"
	Graph *gorgonia.ExprGraph
	// Bind gives leaves (parameters, inputs) their storage. An interior node
	// that is bound is computed straight into the given storage.
	Bind map[*gorgonia.Node]*Tensor
	// Keep lists nodes whose values can be read by Download after a run.
	Keep  []*gorgonia.Node
	Posts []Post
	// Settled are nodes that all posts wait for, beside what they read themselves.
	Settled []*gorgonia.Node
	// Derived lists storage that the graph reads and that is computed from other
	// storage (see Derived).
	Derived []*Derived
	Arena   *Arena // shared working memory; nil makes an own one
	// Activations is the type of convolutions' inputs and outputs, of what is
	// computed of them and of their gradients: device.Float or device.BF16. Losses,
	// statistics, parameters and their gradients are floats either way, and casts are
	// part of the plan.
	Activations device.DType
}

// value is one output of one node, or a view of it.
type value struct {
	desc  device.Desc
	bytes int64
	ext   *Tensor // storage outside the arena
	span  *span   // storage in the arena; shared by in-place steps
	pin   bool    // must survive until the end
	last  int     // last step that reads or writes it
	name  string
}

// step is one kernel and its arguments.
type step struct {
	op      device.Op
	kernel  device.Kernel
	in, out []*value
	scratch *span
	skip    *bool
	derived *Derived // what the step computes, if that is all
	post    bool
	name    string
}

type compiler struct {
	dev    device.Device
	spec   Spec
	values map[int64][]*value // by node id: its outputs
	ext    map[*Tensor]*value
	steps  []*step
	skips  map[string]*bool
	writes map[port]*Tensor  // where bound interior nodes are computed
	wide   map[int64]bool    // nodes that stay floats (see findWide)
	casts  map[*value]*value // values in the other type
	within []result          // that lie in the arena and outlive the run
}

// port is one output of one node.
type port struct {
	node   int64
	output int
}

// Compile turns a graph into a program. Nodes that no bound interior node, kept
// node or post needs are left out.
func Compile(dev device.Device, spec Spec) (*Program, error) {
	c := &compiler{dev: dev, spec: spec, values: map[int64][]*value{}, ext: map[*Tensor]*value{}, skips: map[string]*bool{},
		writes: map[port]*Tensor{}, wide: map[int64]bool{}, casts: map[*value]*value{}}
	p, err := c.compile()
	if err != nil {
		for _, s := range c.steps {
			if s.kernel != nil {
				s.kernel.Close()
			}
		}
		return nil, fmt.Errorf("compile %s: %w", spec.Name, err)
	}
	return p, nil
}

func (c *compiler) compile() (*Program, error) {
	nodes, err := c.needed()
	if err != nil {
		return nil, err
	}
	for n, t := range c.spec.Bind {
		if n.Op() == nil {
			continue
		}
		w := c.producer(n)
		if old, ok := c.writes[w]; ok && old != t {
			return nil, fmt.Errorf("%s: two tensors are bound to one value", describe(n))
		}
		c.writes[w] = t
	}
	if err := c.distinct(); err != nil {
		return nil, err
	}
	if err := c.derived(); err != nil {
		return nil, err
	}
	if c.spec.Activations == device.BF16 {
		if err := reducible(c.dev); err != nil {
			return nil, err
		}
		c.findWide(nodes)
	}
	for _, n := range nodes {
		if err := c.node(n); err != nil {
			return nil, fmt.Errorf("%s: %w", describe(n), err)
		}
	}
	kept := map[*gorgonia.Node]*value{}
	for _, n := range c.spec.Keep {
		v := c.values[n.ID()][0]
		v.pin = true
		kept[n] = v
	}
	if err := c.fuse(); err != nil {
		return nil, err
	}
	if err := c.posts(); err != nil {
		return nil, err
	}
	for _, s := range c.steps {
		if err := s.op.Check(); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		if s.kernel, err = c.dev.Prepare(s.op); err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
	}
	spans := c.storage()
	total := place(spans)
	arena := c.spec.Arena
	if arena == nil {
		arena = NewArena(c.dev)
	}
	arena.reserve(total)
	p := &Program{
		name: c.spec.Name, dev: c.dev, arena: arena, own: c.spec.Arena == nil,
		steps: c.steps, kept: kept, skips: c.skips,
		bytes: total, bound: lowerBound(spans, len(c.steps)), boundGen: -1, within: c.within,
	}
	for t := range c.ext {
		if t.arena == arena {
			return nil, fmt.Errorf("tensor %v lies in the arena that the program works in; give one of them an arena of its own", t.Desc)
		}
		p.tensors = append(p.tensors, t)
		if t.arena != nil && !slices.Contains(p.arenas, t.arena) {
			p.arenas = append(p.arenas, t.arena)
		}
	}
	for _, s := range c.steps {
		for _, v := range s.out {
			if v.ext != nil && !slices.Contains(p.writes, v.ext) {
				p.writes = append(p.writes, v.ext)
			}
		}
	}
	p.run = p.runSteps
	return p, nil
}

// distinct checks that what the graph computes into bound storage overwrites
// neither its own leaves nor other results.
func (c *compiler) distinct() error {
	taken := map[*Tensor]string{}
	for n, t := range c.spec.Bind {
		if n.Op() == nil {
			taken[t] = describe(n)
		}
	}
	for w, t := range c.writes {
		if other, ok := taken[t]; ok {
			return fmt.Errorf("%s: its storage %v is also that of %s", describe(c.spec.Graph.Node(w.node).(*gorgonia.Node)), t.Desc, other)
		}
		taken[t] = "another result"
	}
	return nil
}

func describe(n *gorgonia.Node) string {
	if n == nil {
		return "a nil node"
	}
	if n.Op() == nil {
		return fmt.Sprintf("leaf %q %v", n.Name(), n.Shape())
	}
	return fmt.Sprintf("%v %v", n.Op(), n.Shape())
}

// external returns the value of storage outside the arena.
func (c *compiler) external(t *Tensor, name string) *value {
	v, ok := c.ext[t]
	if !ok {
		v = &value{desc: t.Desc, bytes: t.Bytes(), ext: t, last: -1, name: name}
		c.ext[t] = v
	}
	return v
}

// producer follows views down to the output that they show.
func (c *compiler) producer(n *gorgonia.Node) port {
	w := port{node: n.ID()}
	for {
		a, ok := n.Op().(Aliaser)
		if !ok {
			w.node = n.ID()
			return w
		}
		if i := a.Alias(); i > 0 {
			w.output = i
		}
		n = c.children(n)[0]
	}
}

func (c *compiler) node(n *gorgonia.Node) error {
	if n.Op() == nil {
		bound := c.spec.Bind[n]
		if bound == nil {
			return errors.New("no storage is bound to it")
		}
		c.values[n.ID()] = []*value{c.external(bound, n.Name())}
		return nil
	}
	kids := c.children(n)
	if a, ok := n.Op().(Aliaser); ok {
		outs, i := c.values[kids[0].ID()], a.Alias()
		if i >= len(outs) {
			return fmt.Errorf("there is no output %d of %s", i, describe(kids[0]))
		}
		c.values[n.ID()] = []*value{outs[i]}
		return nil
	}
	op, err := c.descriptor(n, kids)
	if err != nil {
		return err
	}
	in := make([]*value, len(kids))
	for i, k := range kids {
		in[i] = c.values[k.ID()][0]
	}
	if op, in, err = c.reduce(n, op, in); err != nil {
		return err
	}
	outs := make([]*value, 0, 2)
	var copies [][2]*value // results and the storage of another type that they go to
	for i, d := range op.Outputs() {
		bound := c.writes[port{n.ID(), i}]
		if bound != nil && bound.within {
			v, err := c.inside(bound, d, n.Name())
			if err != nil {
				return err
			}
			outs = append(outs, v)
			continue
		}
		if bound != nil && !casts(d.DType, bound.Desc.DType) {
			outs = append(outs, c.external(bound, n.Name()))
			continue
		}
		size, err := c.dev.Size(d)
		if err != nil {
			return err
		}
		outs = append(outs, &value{desc: d, bytes: size, last: -1, name: n.Name()})
		if bound != nil {
			copies = append(copies, [2]*value{outs[i], c.external(bound, n.Name())})
		}
	}
	c.values[n.ID()] = outs
	if err := c.step(op, in, outs, nil); err != nil {
		return err
	}
	for _, p := range copies {
		if err := c.castStep(p[0], p[1]); err != nil {
			return err
		}
	}
	return nil
}

// descriptor finds what a node computes: an operation of ours, or one of the two
// kinds that gorgonia.Grad adds by itself, sums of gradients and the seed 1.
func (c *compiler) descriptor(n *gorgonia.Node, kids gorgonia.Nodes) (device.Op, error) {
	if d, ok := n.Op().(Describer); ok {
		return d.Descriptor(), nil
	}
	switch {
	case isSum(n, kids):
		a, b := c.values[kids[0].ID()][0].desc, c.values[kids[1].ID()][0].desc
		if a.Elems() != b.Elems() || a.Layout != b.Layout {
			return nil, fmt.Errorf("sum of %v and %v", a, b)
		}
		if a.DType == device.BF16 {
			a.DType = device.Float // see reduce
		}
		return device.Add{Of: a}, nil
	case len(kids) == 0 && n.Value() != nil:
		var f float64
		switch x := n.Value().Data().(type) {
		case float64:
			f = x
		case float32:
			f = float64(x)
		default:
			return nil, fmt.Errorf("constant of type %T", x)
		}
		return device.Fill{Of: device.Desc{Shape: []int{}}, Value: f}, nil
	}
	return nil, fmt.Errorf("operation %T is not one that exec can run", n.Op())
}

func (c *compiler) step(op device.Op, in, out []*value, skip *bool) error {
	want := op.Inputs()
	if len(want) != len(in) {
		return fmt.Errorf("%s takes %d inputs, got %d", op.Kind(), len(want), len(in))
	}
	for i, v := range in {
		if err := same(want[i], v.desc); err != nil {
			return fmt.Errorf("input %d of %s: %w", i, op.Kind(), err)
		}
	}
	outputs := op.Outputs()
	if len(outputs) != len(out) {
		return fmt.Errorf("%s has %d outputs, got %d", op.Kind(), len(outputs), len(out))
	}
	for i, d := range outputs {
		if err := same(d, out[i].desc); err != nil {
			return fmt.Errorf("output %d of %s: %w", i, op.Kind(), err)
		}
	}
	name := op.Kind()
	for _, v := range append(append([]*value{}, out...), in...) {
		if v.name != "" {
			name += " " + v.name
			break
		}
	}
	c.steps = append(c.steps, &step{op: op, in: in, out: out, skip: skip, name: name})
	c.use(len(c.steps)-1, in, out)
	return nil
}

func (c *compiler) use(i int, lists ...[]*value) {
	for _, l := range lists {
		for _, v := range l {
			v.last = max(v.last, i)
		}
	}
}

// same checks that an argument of description have may stand where want is
// expected: dense tensors may differ in shape, not in size.
func same(want, have device.Desc) error {
	if want.DType == have.DType && want.Layout == have.Layout && want.Elems() == have.Elems() {
		if want.Layout == device.Dense || want.Equal(have) {
			return nil
		}
	}
	return fmt.Errorf("want %v, have %v", want, have)
}
