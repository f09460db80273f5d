package optim

import (
	"math"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestResolve(t *testing.T) {
	half, none := 0.5, 0.0
	r := Rules{
		WeightDecay:  1e-4,
		NoScaleDecay: true, NoNormDecay: true, NoBiasDecay: true,
		Groups: []Group{
			{Match: "backbone.*", LRScale: &half},
			{Match: "backbone.layer1.*", Frozen: true},
			{Match: "*.out.bias", WeightDecay: &half},
			{Match: "backbone.layer4.0.conv1.weight", WeightDecay: &none},
		},
	}
	if err := r.Validate(); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		name  string
		shape []int
		want  Settings
	}{
		{"fpn.p6.weight", []int{8, 8, 3, 3}, Settings{1, 1e-4, false}},
		{"fpn.p6.bias", []int{8}, Settings{1, 0, false}},
		{"cls_subnet.out.bias", []int{8}, Settings{1, 0.5, false}},
		{"backbone.bn1.weight", []int{64}, Settings{0.5, 0, false}},
		{"backbone.conv1.weight", []int{64, 3, 7, 7}, Settings{0.5, 1e-4, false}},
		{"backbone.layer1.0.conv1.weight", []int{64, 64, 3, 3}, Settings{0.5, 1e-4, true}},
		{"backbone.layer4.0.conv1.weight", []int{64, 64, 3, 3}, Settings{0.5, 0, false}},
		{"backbone.ema_s.0", nil, Settings{0.5, 0, false}},
		{"ema_s_first", []int{1}, Settings{1, 0, false}},
		{"tiny.weight", []int{1, 1, 1, 1}, Settings{1, 1e-4, false}},
	}
	for _, c := range cases {
		if d := cmp.Diff(c.want, r.Resolve(c.name, c.shape)); d != "" {
			t.Errorf("%s: %s", c.name, d)
		}
	}
	// The release decays everything, s included (METHOD §1.3).
	if got := (Rules{WeightDecay: 1e-4}).Resolve("ema_s.0", nil).WeightDecay; got != 1e-4 {
		t.Error(got)
	}
	if d := cmp.Diff([]string{"backbone.layer1.*"}, r.Unmatched([]string{"backbone.layer4.0.conv1.weight", "a.out.bias"})); d != "" {
		t.Error(d)
	}
}

func TestRulesValidate(t *testing.T) {
	neg, nan := -1.0, math.NaN()
	for i, r := range []Rules{
		{WeightDecay: -1},
		{Groups: []Group{{Match: "a["}}},
		{Groups: []Group{{}}},
		{Groups: []Group{{Match: "*", LRScale: &neg}}},
		{Groups: []Group{{Match: "*", WeightDecay: &nan}}},
	} {
		if r.Validate() == nil {
			t.Errorf("case %d passes", i)
		}
	}
}
