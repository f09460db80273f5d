package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestConcurrencyAuto(t *testing.T) {
	c, err := Parse("x.yaml", []byte("manpp: {concurrency: auto}\n"), nil)
	if err != nil || c.MANPP.Concurrency != Auto {
		t.Fatal(err)
	}
	if v, ok := c.Value("manpp.concurrency"); v != "auto" || !ok || c.Given("manpp.concurrency")[0].Value != "1" {
		t.Errorf("value %q, given %v", v, c.Given("manpp.concurrency"))
	}
	again, err := Parse("resolved", c.Resolved(), nil)
	if err != nil || cmp.Diff(c, again, equal) != "" {
		t.Errorf("%v\n%s", err, cmp.Diff(c, again, equal))
	}
	two := c.WithConcurrency(2, "it is faster")
	if c.MANPP.Concurrency != Auto || c.Source("manpp.concurrency").String() != "x.yaml:1" {
		t.Errorf("the recipe has changed: %v, %s", c.MANPP.Concurrency, c.Source("manpp.concurrency"))
	}
	if want := "concurrency: 2 # x.yaml:1, chosen: it is faster\n"; !strings.Contains(string(two.Annotated()), want) {
		t.Errorf("no %q in\n%s", want, two.Annotated())
	}
	if d := Diff(c, two); len(d) != 1 || d[0].Old != "auto" || d[0].New != "2" {
		t.Errorf("%v", d)
	}
	// A flag takes the place of the recipe's word and the other way round.
	for set, want := range map[string]Count{"manpp.concurrency=3": 3, "manpp.concurrency=auto": Auto} {
		if c, err := Parse("x.yaml", []byte("manpp: {concurrency: 2}\n"), []string{set}); err != nil || c.MANPP.Concurrency != want {
			t.Errorf("%s: %v", set, err)
		}
	}
	for _, bad := range []string{"many", "0", "-1", "2.5", "300", "", "[1]", "true"} {
		if _, err := Parse("x.yaml", nil, []string{"manpp.concurrency=" + bad}); err == nil || !strings.Contains(err.Error(), "manpp.concurrency") {
			t.Errorf("%q: %v", bad, err)
		}
	}
	// What blocks at once do not go with is no error of auto.
	for _, set := range []string{"manpp.strategy=e2e", "optim.clip=block optim.clip_norm=1", "threads=1"} {
		c, err := Parse("x.yaml", nil, append(strings.Fields(set), "manpp.concurrency=auto"))
		if err != nil || (c.OneAtATime() == "") != (set == "threads=1") {
			t.Errorf("%s: %v", set, err)
		}
	}
}
