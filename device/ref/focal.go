package ref

import (
	"fmt"
	"math"

	"manvision/device"
)

// sigmoid is 1/(1+exp(−z)) without overflow.
func sigmoid(z float64) float64 {
	if z >= 0 {
		return 1 / (1 + math.Exp(-z))
	}
	e := math.Exp(z)
	return e / (1 + e)
}

// softplus is log(1+exp(z)) without overflow.
func softplus(z float64) float64 {
	return math.Max(z, 0) + math.Log1p(math.Exp(-math.Abs(z)))
}

// focalTerm is the loss of one logit and its derivative. With z the logit seen
// from its target's side (p_t = σ(z)) and q = 1−p_t = σ(−z):
// loss = α_t·q^γ·softplus(−z), dloss/dz = −α_t·q^γ·(γ·p_t·softplus(−z) + q).
func focalTerm(o device.FocalLoss, logit float64, target bool) (loss, grad float64) {
	z, alpha, sign := -logit, 1-o.Alpha, -1.0
	if target {
		z, alpha, sign = logit, o.Alpha, 1
	}
	p, q, nll := sigmoid(z), sigmoid(-z), softplus(-z)
	scale := alpha * math.Pow(q, o.Gamma)
	return scale * nll, -sign * scale * (o.Gamma*p*nll + q)
}

func focal(o device.FocalLoss) program {
	return program{scratch: chunks(o.Rows), run: func(c *call) error {
		logits, labels, norm := c.in[0].f, c.in[1].i, c.in[2].f[0]
		if err := checkFocal(o, labels, norm); err != nil {
			return err
		}
		c.out[0].f[0] = c.sum(o.Rows, c.scratch, func(lo, hi int) float64 {
			s := 0.0
			for r := lo; r < hi; r++ {
				if labels[r] == device.Ignore {
					continue
				}
				for k, v := range logits[r*o.Classes:][:o.Classes] {
					loss, _ := focalTerm(o, v, int(labels[r]) == k)
					s += loss
				}
			}
			return s
		}) / norm
		return nil
	}}
}

func focalBackward(o device.FocalLoss) program {
	return program{run: func(c *call) error {
		logits, labels, norm, dloss, out := c.in[0].f, c.in[1].i, c.in[2].f[0], c.in[3].f[0], c.out[0].f
		if err := checkFocal(o, labels, norm); err != nil {
			return err
		}
		c.parallel(o.Rows, max(1, 256/o.Classes), func(lo, hi int) {
			for r := lo; r < hi; r++ {
				for k := range o.Classes {
					i := r*o.Classes + k
					if labels[r] == device.Ignore {
						out[i] = 0
						continue
					}
					_, grad := focalTerm(o, logits[i], int(labels[r]) == k)
					out[i] = grad * dloss / norm
				}
			}
		})
		return nil
	}}
}

func checkFocal(o device.FocalLoss, labels []int32, norm float64) error {
	for r, l := range labels {
		if l >= int32(o.Classes) || l < device.Ignore {
			return fmt.Errorf("label %d of row %d is neither one of %d classes nor background (%d) nor ignored (%d)", l, r, o.Classes, device.Background, device.Ignore)
		}
	}
	return checkNorm(norm)
}

func checkNorm(norm float64) error {
	if !(norm > 0) {
		return fmt.Errorf("the loss's divisor is %v, it must be greater than 0", norm)
	}
	return nil
}
