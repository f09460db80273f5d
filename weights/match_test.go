package weights

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestMatch(t *testing.T) {
	want := []Tensor{
		{Name: "backbone.conv1.weight", Shape: []int{64}}, {Name: "backbone.layer1.0.conv1.weight", Shape: []int{16}},
		{Name: "fpn.p6.weight", Shape: []int{10}}, {Name: "cls_subnet.out.bias", Shape: []int{10}},
	}
	have := []Tensor{
		{Name: "backbone.conv1.weight", Shape: []int{64}}, {Name: "backbone.layer1.0.conv1.weight", Shape: []int{16}},
		{Name: "cls_subnet.out.bias", Shape: []int{5}}, {Name: "fc.weight", Shape: []int{3}},
	}
	r := Match(want, have)
	if d := cmp.Diff([]string{"fpn.p6.weight"}, r.Missing); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"fc.weight"}, r.Unused); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Mismatch{{"cls_subnet.out.bias", []int{10}, []int{5}}}, r.Mismatched); d != "" {
		t.Error(d)
	}
	if r.Share() != 0.8 || len(r.Loaded) != 2 || r.Complete() { // 80 of 100 elements
		t.Error(r.Share(), r.Loaded)
	}
	err := r.Require(0.5)
	for _, s := range []string{"80.0 % of the model's elements loaded", "cls_subnet.out.bias wants [10], file has [5]", "missing: fpn.p6.weight", "unused: fc.weight", "backbone.layer1"} {
		if err == nil || !strings.Contains(err.Error(), s) {
			t.Errorf("no %q in %v", s, err)
		}
	}
	r = Match(want[:3], have)
	if r.Require(0.8) != nil || r.Require(0.9) == nil || r.Require(1) == nil {
		t.Error(r)
	}
	// A missing tensor without elements still is missing.
	if Match([]Tensor{{Name: "a", Shape: []int{0}}}, nil).Require(1) == nil {
		t.Error("incomplete weights pass")
	}
	if r := Match(nil, nil); r.Share() != 1 || r.Require(1) != nil || !r.Complete() {
		t.Error(r)
	}
	var many []Tensor
	for _, n := range "abcdefgh" {
		many = append(many, Tensor{Name: string(n)})
	}
	if s := Match(many, nil).String(); !strings.Contains(s, "missing: a, b, c, d, e and 3 more\n") {
		t.Error(s)
	}
}

func TestIdentity(t *testing.T) {
	have := Identity{Task: "detection", Backbone: "resnet18", Width: 64, Classes: 5, Details: []string{"fpn_channels=64", "head_convs=2"}, Strategy: "manpp", Partition: []string{"layer1.1"}}
	if err := have.CheckResume("p", have); err != nil {
		t.Error(err)
	}
	want := have
	want.Backbone, want.Classes, want.Details, want.Strategy, want.Partition = "resnet50", 80, []string{"fpn_channels=256", "levels=5"}, "e2e", nil
	err := have.CheckInference("best.safetensors", want)
	text := "best.safetensors: a checkpoint of another model: backbone resnet18 (wanted resnet50), classes 5 (wanted 80), fpn_channels=64 (wanted fpn_channels=256), head_convs=2 (wanted none), no levels (wanted levels=5)"
	var ie *IdentityError
	if err == nil || err.Error() != text || !errors.As(err, &ie) {
		t.Errorf("got %v", err)
	}
	want = have
	want.Strategy, want.Partition = "e2e", nil
	if err := have.CheckInference("p", want); err != nil {
		t.Error(err)
	}
	if err := have.CheckResume("p", want); err == nil || !strings.HasSuffix(err.Error(), "strategy manpp (wanted e2e), cuts [layer1.1] (wanted [])") {
		t.Error(err)
	}
}
