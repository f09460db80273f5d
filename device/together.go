package device

import "fmt"

// Together is several updates in one launch, with the results of running them one
// after another in the order given: nets of many small parameters spend more time on
// starting a kernel than in it. Members are SGD, AdamW, EMA and SquaredNorm; none reads
// or writes what another writes, but the sums of SquaredNorm may be one tensor. Inputs
// and outputs are those of the members, in order.
type Together struct{ Ops []Op }

func (t Together) Kind() string      { return "together" }
func (t Together) Inputs() []Desc    { return t.all(Op.Inputs) }
func (t Together) Outputs() []Desc   { return t.all(Op.Outputs) }
func (t Together) InPlace() [][2]int { return nil }

// String is short: lists have hundreds of members.
func (t Together) String() string {
	if len(t.Ops) == 0 {
		return "{}"
	}
	return fmt.Sprintf("{%d members, first %s %+v}", len(t.Ops), t.Ops[0].Kind(), t.Ops[0])
}

func (t Together) all(of func(Op) []Desc) []Desc {
	var list []Desc
	for _, op := range t.Ops {
		list = append(list, of(op)...)
	}
	return list
}

func (t Together) Check() error {
	if len(t.Ops) == 0 {
		return fmt.Errorf("together: no operations")
	}
	for _, op := range t.Ops {
		switch op.(type) {
		case SGD, AdamW, EMA, SquaredNorm:
		default:
			return fmt.Errorf("together: %T is no update", op)
		}
		if err := op.Check(); err != nil {
			return fmt.Errorf("together: %w", err)
		}
	}
	return nil
}
