package lru

import (
	"errors"
	"slices"
	"testing"
)

type thing struct {
	name   string
	closed *[]string
}

func (t *thing) Close() error { *t.closed = append(*t.closed, t.name); return nil }

func TestLeastRecentlyUsedIsClosed(t *testing.T) {
	var closed, made []string
	c := New[string, *thing](2)
	get := func(name string) *thing {
		v, err := c.Get(name, func() (*thing, error) {
			made = append(made, name)
			return &thing{name, &closed}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	get("a")
	get("b")
	get("a")
	get("c") // b is the oldest
	if got := get("a"); got.name != "a" {
		t.Errorf("got %q for a", got.name)
	}
	get("b") // closes c
	if want := []string{"a", "b", "c", "b"}; !slices.Equal(made, want) {
		t.Errorf("made %v, want %v", made, want)
	}
	if want := []string{"b", "c"}; !slices.Equal(closed, want) {
		t.Errorf("closed %v, want %v", closed, want)
	}
	if _, err := c.Get("x", func() (*thing, error) { return nil, errors.New("no") }); err == nil || c.Len() != 2 {
		t.Errorf("a value that cannot be made: error %v, %d held", err, c.Len())
	}
	c.Close()
	if c.Len() != 0 || len(closed) != 4 {
		t.Errorf("after Close: %d held, closed %v", c.Len(), closed)
	}
}
