// Package lru keeps a bounded number of things that are costly to make, such as
// programs compiled for an input size.
package lru

import "io"

// Cache makes values on demand and closes the least recently used one when there
// would be more than its bound. It is not for use by several goroutines at once.
type Cache[K comparable, V io.Closer] struct {
	bound  int
	values map[K]V
	recent []K // least recently used first
}

// New returns an empty cache of at most bound values, at least 1.
func New[K comparable, V io.Closer](bound int) *Cache[K, V] {
	return &Cache[K, V]{bound: max(bound, 1), values: map[K]V{}}
}

// Get returns the value of key, which is made if the cache does not hold it. What
// it returns may be closed by the next Get.
func (c *Cache[K, V]) Get(key K, make func() (V, error)) (V, error) {
	for i, k := range c.recent {
		if k == key {
			c.recent = append(append(c.recent[:i:i], c.recent[i+1:]...), key)
			return c.values[key], nil
		}
	}
	v, err := make()
	if err != nil {
		var none V
		return none, err
	}
	if len(c.recent) >= c.bound {
		oldest := c.recent[0]
		c.values[oldest].Close()
		delete(c.values, oldest)
		c.recent = c.recent[1:]
	}
	c.values[key] = v
	c.recent = append(c.recent, key)
	return v, nil
}

// Len is the number of values held.
func (c *Cache[K, V]) Len() int { return len(c.values) }

// Close closes all values; the cache is empty then and can be used again.
func (c *Cache[K, V]) Close() {
	for _, k := range c.recent {
		c.values[k].Close()
	}
	clear(c.values)
	c.recent = nil
}
