package config

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gopkg.in/yaml.v3"
	"pgregory.net/rapid"
)

func TestDefaultsCoverEveryKey(t *testing.T) {
	l, err := parseLayer("defaults.yaml", defaults)
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range leafKeys() {
		if l.sources[k].Line == 0 {
			t.Errorf("%s has no default", k)
		}
	}
	c, err := Parse("empty", nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Source("optim.lr").String() != "default" || len(c.Keys()) != len(leafKeys()) {
		t.Error(c.Source("optim.lr"), len(c.Keys()))
	}
}

// Every key is described: a comment above it, or above the first of the keys
// that directly follow each other.
func TestDefaultsDescribeEveryKey(t *testing.T) {
	described := false
	for i, line := range strings.Split(string(defaults), "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case trimmed == "":
			described = false
		case strings.HasPrefix(trimmed, "#"):
			described = true
		case strings.HasSuffix(trimmed, ":"):
			// a section; its keys carry the description
		case !described:
			t.Errorf("defaults.yaml:%d: %q has no description", i+1, trimmed)
		}
	}
}

// Keys are lower case without dots, as viper needs, and all limits are numbers.
func TestSchemaTags(t *testing.T) {
	for _, k := range allKeys() {
		if k != strings.ToLower(k) || strings.Contains(k, " ") {
			t.Errorf("key %q", k)
		}
	}
	var visit func(typ reflect.Type)
	visit = func(typ reflect.Type) {
		for i := range typ.NumField() {
			f := typ.Field(i)
			for _, name := range []string{"min", "max", "above", "below", "minlen", "innerlen"} {
				if s := f.Tag.Get(name); s != "" {
					if _, err := strconv.ParseFloat(s, 64); err != nil {
						t.Errorf("%s.%s: %s", typ.Name(), f.Name, err)
					}
				}
			}
			ft := f.Type
			if ft.Kind() == reflect.Slice {
				ft = ft.Elem()
			}
			if ft.Kind() == reflect.Struct {
				visit(ft)
			}
		}
	}
	visit(reflect.TypeFor[Config]())
}

func TestNearest(t *testing.T) {
	for key, want := range map[string]string{
		"optim.momentun": "optim.momentum", "lr": "optim.lr", "model.nrom": "model.norm", "manpp.cut": "manpp.cuts",
		"qqqqqqqq": "", strings.Repeat("x", 5000): "", "optim.groups[3].mach": "optim.groups[].match",
	} {
		if got := nearest(key); got != want {
			t.Errorf("nearest(%.20q) = %q, want %q", key, got, want)
		}
	}
	// Hand counted: one swap; one deletion; three replacements.
	for _, c := range []struct {
		a, b string
		want int
	}{{"form", "from", 1}, {"dept", "depth", 1}, {"abc", "xyz", 3}, {"", "ab", 2}} {
		if got := distance(c.a, c.b); got != c.want {
			t.Errorf("distance(%q, %q) = %d", c.a, c.b, got)
		}
	}
}

func TestCheckExpected(t *testing.T) {
	v, low := 0.4, 0.7
	c := &Config{Expect: []Expect{{Metric: "AP", Value: &v, Tolerance: 0.02}, {Metric: "AP50", Min: &low}}}
	if err := c.Check(map[string]float64{"AP": 0.419, "AP50": 0.71}); err != nil {
		t.Error(err)
	}
	err := c.Check(map[string]float64{"AP": 0.43, "AP50": 0.69})
	if err == nil || err.Error() != "expected results missed: AP 0.4 ± 0.02, got 0.4300; AP50 ≥ 0.7, got 0.6900" {
		t.Error(err)
	}
	err = c.Check(map[string]float64{"AP": math.NaN()})
	if err == nil || !strings.Contains(err.Error(), "not measured; AP50") {
		t.Error(err)
	}
}

func TestTotalSteps(t *testing.T) {
	if got := (Train{Epochs: 3}).TotalSteps(7); got != 21 {
		t.Error(got)
	}
	if got := (Train{Epochs: 3, Accumulate: 4}).TotalSteps(7); got != 6 { // of 4 batches, the last with 3 of epoch 4
		t.Errorf("3 epochs of 7 batches, 4 a step: %d steps", got)
	}
	if got := (Train{Steps: 5, Accumulate: 4}).TotalSteps(7); got != 5 {
		t.Error(got)
	}
}

func TestResolvedLoadsBack(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(label string) string {
			return rapid.StringOf(rapid.RuneFrom([]rune("aZ0.-:#'\"{}[]&*!|>%@` ~é"))).Draw(t, label)
		}
		num := func(label string, lo, hi float64) float64 { return rapid.Float64Range(lo, hi).Draw(t, label) }
		c, err := Parse("empty", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Name = "n" + text("name")
		c.Output = "/out" + text("output")
		c.Data.Root = "/data" + text("root")
		c.Data.Train.Images = "i" + text("images")
		c.Seed = rapid.Uint64().Draw(t, "seed")
		c.Optim.LR = num("lr", 1e-9, 1000)
		c.Optim.Eps = num("eps", 1e-12, 1)
		c.Optim.Betas = []float64{num("b1", 0, 0.999), num("b2", 0, 0.999)}
		c.Train.Batch = rapid.IntRange(1, 65536).Draw(t, "batch")
		c.Model.Anchors.Ratios = rapid.SliceOfN(rapid.Float64Range(1e-3, 1000), 1, 4).Draw(t, "ratios")
		c.Data.Canvases = [][]int{{32 * rapid.IntRange(1, 99).Draw(t, "w"), 64}}
		for range rapid.IntRange(0, 3).Draw(t, "groups") {
			f := num("scale", 0, 10)
			c.Optim.Groups = append(c.Optim.Groups, Group{Match: "g" + strings.NewReplacer("[", "", "]", "", "\\", "").Replace(text("match")), LRScale: &f})
		}
		c.sources["name"] = Source{Flag: "name=" + text("flag") + "\n\x00\u2028"}
		c.sources["optim.groups"] = Source{File: text("file"), Line: 7}
		for _, resolved := range [][]byte{c.Resolved(), c.Annotated()} {
			again, err := Parse("resolved", resolved, nil)
			if err != nil {
				t.Fatalf("%v\n%s", err, resolved)
			}
			if d := cmp.Diff(c, again, equal); d != "" {
				t.Fatal(d)
			}
			if d := Diff(c, again); d != nil {
				t.Fatal(d)
			}
		}
	})
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("optim: {lr: 0.1}\nexpect: [{metric: AP, min: 0}]\n"), "train.batch=3")
	f.Add([]byte("a: &a [*a, *a]\n"), "optim.groups=[{match: a}]")
	f.Add([]byte("? {a: b}\n: c\n"), "=")
	f.Fuzz(func(t *testing.T, text []byte, set string) {
		c, err := Parse("fuzz", text, []string{set})
		if err != nil {
			return
		}
		for _, resolved := range [][]byte{c.Resolved(), c.Annotated()} {
			if _, err := Parse("again", resolved, nil); err != nil {
				t.Fatalf("%v\n%s", err, resolved)
			}
		}
		var n yaml.Node
		if err := yaml.Unmarshal(c.Resolved(), &n); err != nil {
			t.Fatal(err)
		}
	})
}
