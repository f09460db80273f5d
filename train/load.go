package train

import (
	"fmt"
	"strings"

	"manvision/manpp"
	"manvision/nn"
	"manvision/weights"
)

// LoadPretrained starts the network from a checkpoint of ours, or a .safetensors or
// .pth file of another program (weights.Fit), and LB and EMA from the units they stand
// for. Less of the backbone than the recipe's model.pretrained_share, or a tensor of
// another shape in it, is an error. Necks and heads are loaded as far as they are there
// and of equal shape; the rest, such as a classifier of other classes, stays as drawn.
// It returns what was loaded and in what the recipe contradicts the weights.
func (n *Network) LoadPretrained(path string) (*weights.Report, []string, error) {
	file, err := weights.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	r, err := n.fit(path, file)
	if err != nil {
		return nil, nil, err
	}
	if err := file.Fill(r, func(t weights.Tensor) error { return setVar(n.Store, t.Name, t) }); err != nil {
		return r, nil, err
	}
	if !n.Model.Quirks.IndependentClones {
		if err := n.Model.CopyClones(); err != nil {
			return r, nil, err
		}
	}
	notes, err := otherNormalisation(n.Config, path, file, r.Source)
	return r, notes, err
}

// FitPretrained returns what LoadPretrained would, and loads nothing.
func (n *Network) FitPretrained(path string) (*weights.Report, []string, error) {
	file, err := weights.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	r, err := n.fit(path, file)
	if err != nil {
		return nil, nil, err
	}
	notes, err := otherNormalisation(n.Config, path, file, r.Source)
	return r, notes, err
}

// fit compares a file with the variables that a prediction needs; too little of the
// backbone is an error.
func (n *Network) fit(path string, file *weights.File) (*weights.Report, error) {
	var body, want []weights.Tensor
	for _, t := range n.inference() {
		want = append(want, t)
		if strings.HasPrefix(t.Name, n.Model.Prefix) && !(n.Model.Prefix == "" && isHead(t.Name)) {
			body = append(body, t)
		}
	}
	if err := file.Fit(body).Require(n.Config.Model.PretrainedShare); err != nil {
		return nil, fmt.Errorf("%s: the backbone's %w", path, err)
	}
	return file.Fit(want), nil
}

// inference lists the variables that a prediction needs.
func (n *Network) inference() []weights.Tensor {
	var out []weights.Tensor
	for _, v := range n.Store.Vars() {
		if !strings.HasPrefix(v.Name, manpp.AuxPrefix) {
			out = append(out, weights.Tensor{Name: v.Name, Shape: v.Shape})
		}
	}
	return out
}

// isHead reports whether a parameter is of a classifier's last layer.
func isHead(name string) bool {
	for _, p := range []string{"fc.", "head.", "heads.head."} {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	return false
}

// LoadCheckpoint fills the parameters and running statistics that inference needs
// from a checkpoint of the same model, or from plain weights of it that another program
// wrote (weights.Fit), of which none may be missing or left over; auxiliary parts are
// passed over. It returns what was loaded and what in the recipe differs from the one
// of the checkpoint in how images are prepared.
func (n *Network) LoadCheckpoint(path string) (*weights.Report, []string, error) {
	file, err := weights.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	if !file.IsCheckpoint() {
		r, err := n.loadPlain(path, file)
		if err != nil {
			return r, nil, err
		}
		notes, err := otherNormalisation(n.Config, path, file, r.Source)
		return r, notes, err
	}
	c, err := weights.LoadParams(path)
	if err != nil {
		return nil, nil, err
	}
	if err := c.Meta.Identity.CheckInference(path, n.Identity()); err != nil {
		return nil, nil, err
	}
	if err := n.checkClasses(path, c.Meta.IDMap); err != nil {
		return nil, nil, err
	}
	r, err := n.setAll(path, append(append([]weights.Tensor{}, c.Params...), c.Buffers...), manpp.AuxPrefix)
	if err != nil {
		return r, nil, err
	}
	notes, err := otherPreparation(n.Config, path, c.Meta.Config)
	return r, notes, err
}

// loadPlain is LoadCheckpoint of a file that knows neither classes nor recipe.
func (n *Network) loadPlain(path string, file *weights.File) (*weights.Report, error) {
	r := file.Fit(n.inference())
	if err := r.Require(1); err != nil {
		return r, fmt.Errorf("%s: not the weights of this model: %w", path, err)
	}
	if len(r.Unused) > 0 {
		return r, fmt.Errorf("%s: not the weights of this model: it also holds %s\n%s", path, r.Unused[0], r)
	}
	return r, file.Fill(r, func(t weights.Tensor) error { return setVar(n.Store, t.Name, t) })
}

// setAll writes every variable of the model but those whose name starts with skip from
// tensors, of which those are passed over, too.
func (n *Network) setAll(path string, tensors []weights.Tensor, skip string) (*weights.Report, error) {
	aux := func(name string) bool { return skip != "" && strings.HasPrefix(name, skip) }
	var want, have []weights.Tensor
	for _, v := range n.Store.Vars() {
		if !aux(v.Name) {
			want = append(want, weights.Tensor{Name: v.Name, Shape: v.Shape})
		}
	}
	for _, t := range tensors {
		if !aux(t.Name) {
			have = append(have, t)
		}
	}
	r := weights.Match(want, have)
	if err := r.Require(1); err != nil {
		return r, fmt.Errorf("%s: %w", path, err)
	}
	for _, t := range have {
		if _, ok := n.Store.Lookup(t.Name); !ok {
			continue
		}
		if err := setVar(n.Store, t.Name, t); err != nil {
			return r, fmt.Errorf("%s: %w", path, err)
		}
	}
	return r, nil
}

func setVar(s *nn.Store, name string, t weights.Tensor) error {
	if t.F64 != nil {
		return s.Set(name, t.F64)
	}
	return s.Set(name, t.Data)
}
