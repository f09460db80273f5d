package config

import (
	"fmt"
	"math"
	"strings"
)

// Expect is a result that a finished run must reach: Value within Tolerance, or
// at least Min.
type Expect struct {
	Metric    string   `yaml:"metric" enum:"AP,AP50,AP75,APs,APm,APl,AR1,AR10,AR100,ARs,ARm,ARl,mIoU,pixel_accuracy,mean_accuracy,top1,top5"`
	Value     *float64 `yaml:"value,omitempty" min:"-1" max:"1"`
	Tolerance float64  `yaml:"tolerance,omitempty" min:"0" max:"1"`
	Min       *float64 `yaml:"min,omitempty" min:"-1" max:"1"`
}

// String reads "AP50 0.7 ± 0.02" or "AP50 ≥ 0.7".
func (e Expect) String() string {
	switch {
	case e.Value != nil:
		return fmt.Sprintf("%s %g ± %g", e.Metric, *e.Value, e.Tolerance)
	case e.Min != nil:
		return fmt.Sprintf("%s ≥ %g", e.Metric, *e.Min)
	}
	return e.Metric
}

// Check returns an error that names every expected result the metrics miss. A
// metric that was not measured is missed.
func (c *Config) Check(metrics map[string]float64) error {
	var missed []string
	for _, e := range c.Expect {
		got, ok := metrics[e.Metric]
		switch {
		case !ok || math.IsNaN(got):
			missed = append(missed, fmt.Sprintf("%s, not measured", e))
		case e.Value != nil && !(math.Abs(got-*e.Value) <= e.Tolerance), e.Min != nil && !(got >= *e.Min):
			missed = append(missed, fmt.Sprintf("%s, got %.4f", e, got))
		}
	}
	if missed == nil {
		return nil
	}
	return fmt.Errorf("expected results missed: %s", strings.Join(missed, "; "))
}
