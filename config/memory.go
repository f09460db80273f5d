package config

import (
	"fmt"
	"regexp"
	"strconv"
)

var byteSize = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?(B|kB|MB|GB|KiB|MiB|GiB)$`)

var byteUnits = map[string]float64{"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30}

// ParseBytes reads an amount of memory such as "8GiB" or "500 MB".
func ParseBytes(s string) (int64, error) {
	m := byteSize.FindStringSubmatch(s)
	if m == nil {
		return 0, fmt.Errorf("%q is no amount of memory such as 8GiB, 500MB", s)
	}
	v, err := strconv.ParseFloat(m[1], 64)
	if v *= byteUnits[m[2]]; err != nil || !(v >= 1 && v < 1<<60) {
		return 0, fmt.Errorf("%q is no amount of memory from 1 byte to 2^60", s)
	}
	return int64(v), nil
}

// checkMemoryLimit checks manpp.memory_limit and what it takes the place of.
func (c *Config) checkMemoryLimit(fault func(key, format string, args ...any)) {
	m := c.MANPP
	if m.MemoryLimit == "" {
		return
	}
	if _, err := ParseBytes(m.MemoryLimit); err != nil {
		fault("manpp.memory_limit", "manpp.memory_limit: %v", err)
	}
	if m.Strategy == "e2e" {
		fault("manpp.memory_limit", "manpp.memory_limit: strategy e2e has one block whatever the limit; name the strategy of more blocks")
	}
	if m.Partition != "balanced" || m.Blocks != 0 {
		fault("manpp.memory_limit", `manpp.memory_limit chooses the number of blocks; set manpp.partition to "balanced" and manpp.blocks to 0`)
	}
}
