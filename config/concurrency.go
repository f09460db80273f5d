package config

import (
	"maps"

	"gopkg.in/yaml.v3"
)

// Count is a whole number from 1, or Auto.
type Count int

// Auto is the Count that a run chooses by itself; recipes write it as auto.
const Auto Count = 0

// MarshalYAML writes Auto as auto.
func (c Count) MarshalYAML() (any, error) {
	if c == Auto {
		return "auto", nil
	}
	return int(c), nil
}

// count converts a scalar node to a Count, or returns nil where it does not fit.
func count(n *yaml.Node) any {
	var i int
	switch {
	case n.Tag == "!!str" && n.Value == "auto":
		return Auto
	case n.Tag == "!!int" && n.Decode(&i) == nil && i >= 1:
		return Count(i)
	}
	return nil
}

// checkConcurrency checks what blocks that run at once do not go with.
func (c *Config) checkConcurrency(fault func(key, format string, args ...any)) {
	const key = "manpp.concurrency"
	n := c.MANPP.Concurrency
	if n == Auto || n == 1 {
		return
	}
	why, fix := c.oneAtATime()
	switch {
	case why != "":
		fault(key, "manpp.concurrency is %d; %s%s", n, why, fix)
	case c.Threads > 0 && int(n) > c.Threads:
		fault(key, "manpp.concurrency is %d; at most one block a thread runs at once, and threads is %d", n, c.Threads)
	}
}

// OneAtATime says why the recipe's blocks cannot run at once, "" where they can.
func (c *Config) OneAtATime() string {
	why, _ := c.oneAtATime()
	return why
}

func (c *Config) oneAtATime() (why, fix string) {
	switch m := c.MANPP; {
	case m.Strategy == "e2e":
		return "strategy e2e has one block, which runs alone", ""
	case c.Optim.ClipNorm > 0 && c.Optim.Clip == "block":
		return "with optim.clip block each block waits for the update of the one before it", ": set optim.clip to global, or manpp.concurrency to 1"
	case m.MemoryLimit != "":
		return "manpp.memory_limit chooses the number of blocks for one at a time", ": set manpp.blocks instead, and look at --plan"
	}
	return "", ""
}

// WithConcurrency returns the recipe with a number, from 1, in place of manpp.concurrency
// auto. how says in words how it was chosen.
func (c *Config) WithConcurrency(n int, how string) *Config {
	const key = "manpp.concurrency"
	out := *c
	out.MANPP.Concurrency = Count(n)
	out.sources = maps.Clone(c.sources)
	s := out.sources[key]
	s.Chosen = how
	out.sources[key] = s
	return &out
}
