package config

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// validate checks the ranges of the tags, then what several keys must fulfil
// together.
func (c *Config) validate() error {
	var faults []error
	fault := func(key, format string, args ...any) {
		faults = append(faults, &Error{c.locate(key), fmt.Sprintf(format, args...)})
	}
	checkRanges(reflect.ValueOf(*c), "", fault)
	if faults == nil {
		c.checkTask(fault)
		c.checkModel(fault)
		c.checkData(fault)
		c.checkOptim(fault)
		c.checkRun(fault)
		switch c.Task {
		case "segmentation":
			c.checkSegmentation(fault)
		case "classification":
			c.checkClassification(fault)
		}
	}
	return errors.Join(faults...)
}

// locate returns the source of a key or, for an entry of a list that has none,
// of the list.
func (c *Config) locate(key string) Source {
	for {
		if s, ok := c.sources[key]; ok {
			return s
		}
		i := strings.LastIndexAny(key, ".[")
		if i < 0 {
			return Source{}
		}
		key = key[:i]
	}
}

func checkRanges(v reflect.Value, section string, fault func(key, format string, args ...any)) {
	keys, byKey := fields(v.Type())
	for _, k := range keys {
		f := byKey[k]
		checkValue(v.FieldByIndex(f.Index), join(section, k), f.Tag, fault)
	}
}

func checkValue(v reflect.Value, key string, tag reflect.StructTag, fault func(key, format string, args ...any)) {
	switch v.Kind() {
	case reflect.Struct:
		checkRanges(v, key, fault)
	case reflect.Pointer:
		if !v.IsNil() {
			checkValue(v.Elem(), key, tag, fault)
		}
	case reflect.Slice:
		if want := tag.Get("len"); want != "" && !slices.Contains(strings.Split(want, ","), strconv.Itoa(v.Len())) {
			fault(key, "%s has %d entries; it must have %s", key, v.Len(), strings.ReplaceAll(want, ",", " or "))
		}
		if want := tag.Get("minlen"); want != "" && v.Len() < int(number(want)) {
			fault(key, "%s has %d entries; it must have at least %s", key, v.Len(), want)
		}
		inner := tag
		if want := tag.Get("innerlen"); want != "" {
			inner = reflect.StructTag(strings.Replace(string(tag), "innerlen", "len", 1))
		}
		for i := range v.Len() {
			checkValue(v.Index(i), fmt.Sprintf("%s[%d]", key, i), inner, fault)
		}
	case reflect.String:
		if choices := tag.Get("enum"); choices != "" && !slices.Contains(strings.Split(choices, ","), v.String()) {
			fault(key, "%s is %q; it must be one of %s", key, v.String(), strings.ReplaceAll(choices, ",", ", "))
		}
	case reflect.Int:
		checkNumber(float64(v.Int()), key, tag, fault)
	case reflect.Float64:
		checkNumber(v.Float(), key, tag, fault)
	}
}

// limits are the tags of a number's range, with what they say and mean.
var limits = []struct {
	tag, words string
	holds      func(x, limit float64) bool
}{
	{"min", "at least", func(x, l float64) bool { return x >= l }},
	{"above", "above", func(x, l float64) bool { return x > l }},
	{"max", "at most", func(x, l float64) bool { return x <= l }},
	{"below", "below", func(x, l float64) bool { return x < l }},
}

func checkNumber(x float64, key string, tag reflect.StructTag, fault func(key, format string, args ...any)) {
	for _, l := range limits {
		if s := tag.Get(l.tag); s != "" && !l.holds(x, number(s)) {
			fault(key, "%s is %v; it must be %s", key, x, rangeOf(tag))
			return
		}
	}
}

// rangeOf is the range of a number in words, "" where there is none.
func rangeOf(tag reflect.StructTag) string {
	var rules []string
	for _, l := range limits {
		if s := tag.Get(l.tag); s != "" {
			rules = append(rules, l.words+" "+s)
		}
	}
	return strings.Join(rules, " and ")
}

// number reads the limit in a tag; the schema's test covers all of them.
func number(s string) float64 {
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0
	}
	return x
}

var unitName = regexp.MustCompile(`^(stem|layer[1-9][0-9]*\.[0-9]+)$`)

func (c *Config) checkModel(fault func(key, format string, args ...any)) {
	if l := c.Model.Loss; l.NegativeIoU > l.PositiveIoU {
		fault("model.loss.negative_iou", "model.loss.negative_iou %g is above positive_iou %g", l.NegativeIoU, l.PositiveIoU)
	}
	if w := c.Model.Width; w > 0 && w < 4 {
		fault("model.width", "model.width is %d; it must be at least 4, or 0 for the published width", w)
	}
	c.checkMemoryLimit(fault)
	m := c.MANPP
	if (m.Partition == "cuts") != (len(m.Cuts) > 0) {
		fault("manpp.cuts", `manpp.partition is %q with %d cuts; list manpp.cuts for partition "cuts" and only there`, m.Partition, len(m.Cuts))
	}
	for i, cut := range m.Cuts {
		key := fmt.Sprintf("manpp.cuts[%d]", i)
		if !unitName.MatchString(cut) {
			fault(key, "%s is %q; a cut is the name of a unit such as layer2.3", key, cut)
		} else if slices.Contains(m.Cuts[:i], cut) {
			fault(key, "%s: %s stands twice", key, cut)
		}
	}
	c.checkConcurrency(fault)
	switch {
	case m.Strategy == "e2e":
	case m.Blocks == 1:
		fault("manpp.blocks", `manpp.blocks is 1; for one block set manpp.strategy to "e2e"`)
	case m.Partition == "balanced" && m.Blocks == 0 && m.MemoryLimit == "":
		fault("manpp.blocks", `manpp.blocks is 0; partition "balanced" needs the number of blocks, or manpp.memory_limit`)
	case m.Partition == "stages" && m.Blocks != 0 && m.Blocks != c.stageBlocks():
		fault("manpp.blocks", `manpp.blocks is %d; partition "stages" gives %d blocks (use "balanced" for another number)`, m.Blocks, c.stageBlocks())
	case m.Partition == "cuts" && m.Blocks != 0 && m.Blocks != len(m.Cuts)+1:
		fault("manpp.blocks", "manpp.blocks is %d but %d cuts give %d blocks", m.Blocks, len(m.Cuts), len(m.Cuts)+1)
	}
}

// stageBlocks is the number of blocks that partition "stages" gives.
func (c *Config) stageBlocks() int {
	n := 4
	if c.onCIFAR() {
		n = 3
	}
	if c.MANPP.Stem {
		n++
	}
	return n
}

func (c *Config) checkData(fault func(key, format string, args ...any)) {
	d := c.Data
	if len(d.FixedSize) == 0 {
		if d.ShortSide < 32 {
			fault("data.short_side", "data.short_side is %d; it must be at least 32 unless data.fixed_size is set", d.ShortSide)
		} else if d.LongSide < d.ShortSide {
			fault("data.long_side", "data.long_side %d is less than data.short_side %d", d.LongSide, d.ShortSide)
		}
	}
	for i, cv := range d.Canvases {
		if cv[0]%32 != 0 || cv[1]%32 != 0 {
			key := fmt.Sprintf("data.canvases[%d]", i)
			fault(key, "%s is %v; both sides must be multiples of 32", key, cv)
		}
	}
	for _, p := range []struct{ key, val string }{
		{"data.train.images", d.Train.Images}, {"data.train.annotations", d.Train.Annotations},
		{"data.val.images", d.Val.Images}, {"data.val.annotations", d.Val.Annotations},
	} {
		if p.val == "" {
			fault(p.key, "%s is empty", p.key)
		}
	}
}

func (c *Config) checkOptim(fault func(key, format string, args ...any)) {
	if c.Optim.Name == "sgd" && c.Optim.Nesterov && c.Optim.Momentum == 0 {
		fault("optim.nesterov", "optim.nesterov needs optim.momentum above 0")
	}
	for i, g := range c.Optim.Groups {
		key := fmt.Sprintf("optim.groups[%d]", i)
		if _, err := path.Match(g.Match, ""); err != nil || g.Match == "" {
			fault(key+".match", `%s.match is %q; it must be a pattern of parameter names such as "backbone.layer1.*"`, key, g.Match)
		}
		if g.LRScale == nil && g.WeightDecay == nil && !g.Frozen {
			fault(key, "%s changes nothing; give it lr_scale, weight_decay or frozen", key)
		}
	}
	s := c.Schedule
	for i, m := range s.Milestones {
		if i > 0 && m <= s.Milestones[i-1] {
			fault("schedule.milestones", "schedule.milestones %v do not increase", s.Milestones)
			break
		}
	}
	if s.Name == "poly" || s.Name == "cosine" {
		if s.MinLR > c.Optim.LR {
			fault("schedule.min_lr", "schedule.min_lr %g is above optim.lr %g", s.MinLR, c.Optim.LR)
		}
		if end := max(s.Steps, 0); end > 0 && end <= s.WarmupSteps {
			fault("schedule.steps", "schedule.steps %d end within the %d warm-up steps", end, s.WarmupSteps)
		} else if n := c.Train.Steps; end == 0 && n > 0 && n <= s.WarmupSteps {
			fault("schedule.warmup_steps", "schedule.warmup_steps %d leave nothing of train.steps %d", s.WarmupSteps, n)
		}
	}
}

func (c *Config) checkRun(fault func(key, format string, args ...any)) {
	if (c.Train.Steps > 0) == (c.Train.Epochs > 0) {
		fault("train.steps", "train.steps is %d and train.epochs is %d; set one of them and the other to 0", c.Train.Steps, c.Train.Epochs)
	}
	if c.Train.OnNaN == "skip" && (c.Optim.ClipNorm == 0 || c.Optim.Clip != "global") {
		fault("train.on_nan", "train.on_nan is skip, which needs optim.clip_norm above 0 and optim.clip global: otherwise blocks update their parameters before the step is known to be good")
	}
	if c.Name == "" || strings.ContainsAny(c.Name, "/\\\n") {
		fault("name", "name %q must be a word without slashes", c.Name)
	}
	if c.Output == "" {
		fault("output", "output is empty; name the run's folder")
	}
	for i, e := range c.Expect {
		key := fmt.Sprintf("expect[%d]", i)
		if (e.Value == nil) == (e.Min == nil) {
			fault(key, "%s (%s) must have one of value and min", key, e.Metric)
		}
	}
}
