package optim

import (
	"fmt"
	"math"
)

// Rule names an update rule.
type Rule int

// The rules.
const (
	SGD   Rule = iota // momentum, optionally Nesterov; coupled weight decay
	AdamW             // Adam with decoupled weight decay
)

var ruleNames = [...]string{"sgd", "adamw"}

// String returns the rule's name as ParseRule reads it.
func (r Rule) String() string {
	if r < 0 || int(r) >= len(ruleNames) {
		return fmt.Sprintf("Rule(%d)", int(r))
	}
	return ruleNames[r]
}

// ParseRule returns the rule called sgd or adamw.
func ParseRule(name string) (Rule, error) {
	for i, n := range ruleNames {
		if n == name {
			return Rule(i), nil
		}
	}
	return 0, fmt.Errorf("optim: no optimizer %q (known: sgd, adamw)", name)
}

// Hyper holds the numbers of an update rule that are the same for every
// parameter. Learning rate and weight decay differ by parameter: see Settings.
type Hyper struct {
	Rule Rule

	Momentum float64 // SGD: in [0, 1); 0 keeps no velocity
	Nesterov bool    // SGD: step along g + Momentum·v; needs Momentum > 0

	Beta1, Beta2 float64 // AdamW: decay of the first and second moment, in [0, 1)
	Eps          float64 // AdamW: added to the root of the second moment, > 0

	ClipNorm float64 // greatest norm of a gradient; 0: no clipping
	// ClipBlocks measures and clips the gradient of each gradient-isolated block by
	// itself instead of that of all parameters as one vector.
	ClipBlocks bool

	Accumulate int // batches whose gradients one update averages; 0 and 1: one
}

// Validate says what is wrong with the numbers, or returns nil.
func (h Hyper) Validate() error {
	unit := func(x float64) bool { return x >= 0 && x < 1 }
	switch {
	case h.Accumulate < 0:
		return fmt.Errorf("optim: gradients of %d batches cannot be averaged", h.Accumulate)
	case !(h.ClipNorm >= 0) || math.IsInf(h.ClipNorm, 0):
		return fmt.Errorf("optim: clipping norm %g is negative or not finite", h.ClipNorm)
	case h.Rule == SGD && !unit(h.Momentum):
		return fmt.Errorf("optim: momentum %g is outside [0, 1)", h.Momentum)
	case h.Rule == SGD && h.Nesterov && h.Momentum == 0:
		return fmt.Errorf("optim: Nesterov needs a momentum above 0")
	case h.Rule == AdamW && !(unit(h.Beta1) && unit(h.Beta2)):
		return fmt.Errorf("optim: betas %g, %g are outside [0, 1)", h.Beta1, h.Beta2)
	case h.Rule == AdamW && !(h.Eps > 0):
		return fmt.Errorf("optim: eps %g is not positive", h.Eps)
	case h.Rule != SGD && h.Rule != AdamW:
		return fmt.Errorf("optim: unknown rule %d", int(h.Rule))
	}
	return nil
}

// Parts is how many batches make one update, at least 1.
func (h Hyper) Parts() int { return max(h.Accumulate, 1) }

// State returns the names of the tensors, each of the parameter's shape, that
// the rule keeps beside a parameter. Names follow PyTorch's optimizer state.
func (h Hyper) State() []string {
	switch {
	case h.Rule == AdamW:
		return []string{"exp_avg", "exp_avg_sq"}
	case h.Momentum != 0:
		return []string{"momentum_buffer"}
	}
	return nil
}

// SGDStep updates p in place from its gradient g as torch.optim.SGD does:
// g' = g + wd·p; v = g' where first, else Momentum·v + g'; p −= lr·v, with
// Nesterov lr·(g' + Momentum·v). first is true at this parameter's first
// update. v may be nil where Momentum is 0; g is left as it is. All slices have
// the parameter's length.
func SGDStep(p, g, v []float64, first bool, lr, wd float64, h Hyper) {
	for i := range p {
		d := g[i] + wd*p[i]
		if h.Momentum != 0 {
			if first {
				v[i] = d
			} else {
				v[i] = h.Momentum*v[i] + d
			}
			if h.Nesterov {
				d += h.Momentum * v[i]
			} else {
				d = v[i]
			}
		}
		p[i] -= lr * d
	}
}

// AdamWStep updates p in place from its gradient g as torch.optim.AdamW does:
// p *= 1−lr·wd; m = β1·m + (1−β1)·g; v = β2·v + (1−β2)·g²;
// p −= lr/(1−β1^t) · m/(sqrt(v)/sqrt(1−β2^t) + eps). t is the number of this
// update of this parameter, counted from 1; m and v start at zero. All slices
// have the parameter's length.
func AdamWStep(p, g, m, v []float64, t int64, lr, wd float64, h Hyper) {
	c1 := 1 - math.Pow(h.Beta1, float64(t))
	c2 := math.Sqrt(1 - math.Pow(h.Beta2, float64(t)))
	for i := range p {
		p[i] *= 1 - lr*wd
		m[i] = h.Beta1*m[i] + (1-h.Beta1)*g[i]
		v[i] = h.Beta2*v[i] + (1-h.Beta2)*g[i]*g[i]
		p[i] -= lr / c1 * m[i] / (math.Sqrt(v[i])/c2 + h.Eps)
	}
}

// GlobalNorm returns the Euclidean norm of all gradients taken as one vector.
// It is NaN or +Inf where a gradient is.
func GlobalNorm(grads ...[]float64) float64 {
	var sum float64
	for _, g := range grads {
		var s float64
		for _, x := range g {
			s += x * x
		}
		sum += s
	}
	return math.Sqrt(sum)
}

// ClipScale returns the factor min(1, limit/(norm+1e-6)) by which gradients of
// that global norm are multiplied (torch.nn.utils.clip_grad_norm_). A limit of
// 0 or less means no clipping. A NaN norm gives NaN.
func ClipScale(norm, limit float64) float64 {
	if limit <= 0 {
		return 1
	}
	return math.Min(1, limit/(norm+1e-6))
}
