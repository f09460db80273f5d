package device

// The optimizer's per-step numbers live in a small float tensor, so that the
// kernels of a plan stay as they are while the learning rate changes. Its slots:
const (
	HyperLR    = iota // learning rate of the step, before a group's scale
	HyperClip         // factor on every gradient (1 when nothing is clipped)
	HyperFirst        // 1 at the optimizer's first step, else 0
	HyperBias1        // 1 − β1^t (AdamW)
	HyperBias2        // 1 − β2^t (AdamW)
	HyperSlots        // the number of slots
)

// Hyper describes the tensor of per-step numbers.
func Hyper() Desc { return dense(HyperSlots) }

// SGD updates a parameter as PyTorch's optim.SGD does: g = clip·g + wd·p;
// v = g at the first step, then v = momentum·v + g; p −= lr·LRScale·(g +
// momentum·v) with Nesterov, lr·LRScale·v without. With Momentum 0 v is not
// touched. Inputs g, hyper; outputs, read and written, p and v.
type SGD struct {
	Of                    Desc
	Momentum, WeightDecay float64
	LRScale               float64
	Nesterov              bool
}

func (s SGD) Kind() string      { return "sgd" }
func (s SGD) Inputs() []Desc    { return []Desc{s.Of, Hyper()} }
func (s SGD) Outputs() []Desc   { return []Desc{s.Of, s.Of} }
func (s SGD) InPlace() [][2]int { return nil }
func (s SGD) Check() error      { return positive(s, s.Of.Elems()) }

// AdamW updates a parameter as PyTorch's optim.AdamW does: g = clip·g;
// p *= 1 − lr·wd; m = β1·m + (1−β1)·g; v = β2·v + (1−β2)·g²;
// p −= lr/bias1 · m / (sqrt(v)/sqrt(bias2) + eps), lr being lr·LRScale. Inputs g,
// hyper; outputs, read and written, p, m, v.
type AdamW struct {
	Of                Desc
	Beta1, Beta2, Eps float64
	WeightDecay       float64
	LRScale           float64
}

func (a AdamW) Kind() string      { return "adamw" }
func (a AdamW) Inputs() []Desc    { return []Desc{a.Of, Hyper()} }
func (a AdamW) Outputs() []Desc   { return []Desc{a.Of, a.Of, a.Of} }
func (a AdamW) InPlace() [][2]int { return nil }
func (a AdamW) Check() error      { return positive(a, a.Of.Elems()) }

// EMA is e = Momentum·e + (1−Momentum)·p. Input p; output, read and written, e.
type EMA struct {
	Of       Desc
	Momentum float64
}

func (e EMA) Kind() string      { return "ema" }
func (e EMA) Inputs() []Desc    { return []Desc{e.Of} }
func (e EMA) Outputs() []Desc   { return []Desc{e.Of} }
func (e EMA) InPlace() [][2]int { return nil }
func (e EMA) Check() error      { return positive(e, e.Of.Elems()) }

// SquaredNorm adds Σ a² to a running sum. Input a; output, read and written, sum
// [1]. Used for the global gradient norm; the order of summation is fixed.
type SquaredNorm struct{ Of Desc }

func (s SquaredNorm) Kind() string      { return "norm2" }
func (s SquaredNorm) Inputs() []Desc    { return []Desc{s.Of} }
func (s SquaredNorm) Outputs() []Desc   { return []Desc{dense(1)} }
func (s SquaredNorm) InPlace() [][2]int { return nil }
func (s SquaredNorm) Check() error      { return positive(s, s.Of.Elems()) }

// SquaredDistance adds Σ (a−b)² to a running sum. Inputs a, b; output, read and
// written, sum [1].
type SquaredDistance struct{ Of Desc }

func (s SquaredDistance) Kind() string      { return "distance2" }
func (s SquaredDistance) Inputs() []Desc    { return []Desc{s.Of, s.Of} }
func (s SquaredDistance) Outputs() []Desc   { return []Desc{dense(1)} }
func (s SquaredDistance) InPlace() [][2]int { return nil }
func (s SquaredDistance) Check() error      { return positive(s, s.Of.Elems()) }
