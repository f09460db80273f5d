package device

import "fmt"

// Preparer is a device some of whose convolutions read filters faster in another form
// than Filter: transformed, or in an order of their own. Where filters change seldom
// (inference) a program prepares them when they change instead of in every run.
type Preparer interface {
	// FilterForm returns the number of the form that the forward convolution c reads
	// best, a positive one, or 0 where that is the plain Filter. Bias, ReLU, Sum and
	// Form of c make no difference. The number means something to this device only, in
	// this process; convolutions of one filter on several maps may share a form.
	FilterForm(c Conv) (int, error)
}

// PrepareFilter brings a filter into a form. Input w; output w, Prepared.
type PrepareFilter struct {
	Filter Desc
	Form   int // positive
}

func (p PrepareFilter) Kind() string      { return "conv.prepare" }
func (p PrepareFilter) Inputs() []Desc    { return []Desc{p.Filter} }
func (p PrepareFilter) Outputs() []Desc   { return []Desc{p.Filter.prepared(p.Form)} }
func (p PrepareFilter) InPlace() [][2]int { return nil }
func (p PrepareFilter) Check() error {
	if p.Filter.Layout != Filter || len(p.Filter.Shape) != 4 || p.Form < 1 {
		return fmt.Errorf("preparing %v in form %d: want a filter [O,I,KH,KW] and a form above 0", p.Filter, p.Form)
	}
	return positive(p, p.Filter.Elems())
}

// prepared describes a filter in a form; 0 leaves it as it is.
func (d Desc) prepared(form int) Desc {
	if form != 0 {
		d.Layout, d.Form = Prepared, form
	}
	return d
}
