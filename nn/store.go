package nn

import (
	"fmt"
	"runtime/debug"

	"manvision/device"
	"manvision/exec"
)

// Var is a model's parameter or buffer (running statistics): its name, shape and
// storage.
type Var struct {
	Name string
	// Shape is the shape as saved; empty for a scalar, which is stored as [1].
	Shape []int
	// Buffer is true for running statistics, which no optimizer touches.
	Buffer bool
	// Trainable is false for buffers and for EMA copies.
	Trainable bool
	Value     *exec.Tensor

	init   Init
	stream string // name that seeds the initial values
	set    bool
}

// Init is how the variable gets its initial values.
func (v *Var) Init() Init { return v.init }

// Elems is the number of elements.
func (v *Var) Elems() int { return v.Value.Desc.Elems() }

// Store holds a model's variables by name, in the order of their creation. All
// programs of a model share it.
type Store struct {
	// Fold makes Eval graphs fold batch norms into the convolutions before them
	// (see Graph.Fold) unless they say otherwise. Inference then takes a second copy
	// of the convolutions' weights: a training run that evaluates between steps
	// leaves it off where memory counts.
	Fold bool
	// Prepare makes such graphs read filters in the form in which the device computes
	// fastest, made once for all runs; that takes up to four times the filters' memory,
	// and results differ by rounding from those without.
	Prepare bool
	// Activations is the type of activations and their gradients in the programs that
	// are compiled of graphs: device.Float or device.BF16 (see exec.Spec). Variables
	// are floats either way.
	Activations device.DType

	dev   device.Device
	seed  uint64
	vars  map[string]*Var
	order []*Var

	step   int32        // see SetStep
	stepAt *exec.Tensor // nil until a layer reads it
	folds  map[string]*folded
}

// NewStore returns an empty store on dev; seed decides the initial values.
func NewStore(dev device.Device, seed uint64) *Store {
	return &Store{dev: dev, seed: seed, vars: map[string]*Var{}}
}

// Device is where the variables live.
func (s *Store) Device() device.Device { return s.dev }

// Vars lists the variables in the order of their creation.
func (s *Store) Vars() []*Var { return s.order }

// Lookup finds a variable by name.
func (s *Store) Lookup(name string) (*Var, bool) {
	v, ok := s.vars[name]
	return v, ok
}

// Bytes is the storage of all variables, the step number and folded parameters on
// the device.
func (s *Store) Bytes() int64 {
	var n int64
	for _, v := range s.order {
		n += v.Value.Bytes()
	}
	if s.stepAt != nil {
		n += s.stepAt.Bytes()
	}
	return n + s.FoldedBytes()
}

// Declare finds or makes a trainable variable without using it in a graph.
func (s *Store) Declare(name string, desc device.Desc, shape []int, init Init) (*Var, error) {
	return s.variable(name, desc, shape, init)
}

// InitLike gives a variable the initial values of another of its shape and kind.
func (s *Store) InitLike(name, source string) {
	if v, ok := s.vars[name]; ok && !v.set {
		v.stream = source
	}
}

// variable finds or makes a variable. Asking again with another shape is an
// error.
func (s *Store) variable(name string, desc device.Desc, shape []int, init Init) (*Var, error) {
	if v, ok := s.vars[name]; ok {
		if !v.Value.Desc.Equal(desc) {
			return nil, fmt.Errorf("variable %q exists as %v, now asked for as %v", name, v.Value.Desc, desc)
		}
		return v, nil
	}
	t, err := exec.NewTensor(s.dev, desc)
	if err != nil {
		return nil, fmt.Errorf("variable %q: %w", name, err)
	}
	v := &Var{Name: name, Shape: shape, Value: t, init: init, stream: name, Trainable: true}
	s.vars[name] = v
	s.order = append(s.order, v)
	return v, nil
}

// Realize allocates all variables and gives those not yet set their initial
// values.
func (s *Store) Realize() error {
	largest := 0
	for _, v := range s.order {
		if !v.set {
			largest = max(largest, v.Elems())
		}
	}
	if s.stepAt != nil && !s.stepAt.Realized() {
		if err := s.stepAt.Upload([]int32{s.step}); err != nil {
			return err
		}
	}
	if largest == 0 {
		return nil
	}
	drawn, rounded := make([]float64, largest), make([]float32, largest)
	for _, v := range s.order {
		if v.set {
			continue
		}
		x, y := drawn[:v.Elems()], rounded[:v.Elems()]
		clear(x)
		v.init(x, v.Value.Desc.Shape, NewStream(s.seed, v.stream))
		// Initial values are float32 on every device.
		for i := range x {
			y[i] = float32(x[i])
		}
		if err := s.Set(v.Name, y); err != nil {
			return err
		}
	}
	// What was drawn into is as large as the largest parameter and of no use in
	// training, whose memory is planned to the byte.
	drawn, rounded = nil, nil
	debug.FreeOSMemory()
	return nil
}

// Set writes a variable: data is []float32 or []float64 in the order of Shape.
func (s *Store) Set(name string, data any) error {
	v, ok := s.vars[name]
	if !ok {
		return fmt.Errorf("no variable %q in the model", name)
	}
	if err := v.Value.Upload(data); err != nil {
		return fmt.Errorf("variable %q: %w", name, err)
	}
	v.set = true
	return nil
}

// Get reads a variable into dst, []float32 or []float64 of Elems elements.
func (s *Store) Get(name string, dst any) error {
	v, ok := s.vars[name]
	if !ok {
		return fmt.Errorf("no variable %q in the model", name)
	}
	if err := v.Value.Download(dst); err != nil {
		return fmt.Errorf("variable %q: %w", name, err)
	}
	return nil
}

// Free gives all storage back.
func (s *Store) Free() {
	for _, v := range s.order {
		v.Value.Free()
		v.set = false
	}
	if s.stepAt != nil {
		s.stepAt.Free()
	}
	s.FreeFolded()
}
