package exec

import (
	"errors"
	"fmt"
	"sort"
	"strings"

	"gorgonia.org/gorgonia"
)

// needed returns the nodes that must be computed or read, in an order in which
// children come first: by id, which Gorgonia counts up as nodes are made, but sums
// of gradients early (see eager).
func (c *compiler) needed() (gorgonia.Nodes, error) {
	seen := map[int64]*gorgonia.Node{}
	var walk func(n *gorgonia.Node) error
	walk = func(n *gorgonia.Node) error {
		if _, ok := seen[n.ID()]; ok {
			return nil
		}
		seen[n.ID()] = n
		for _, ch := range c.children(n) {
			if ch.ID() >= n.ID() {
				return fmt.Errorf("%s has child %s with a later id: nodes were removed from the graph", describe(n), describe(ch))
			}
			if err := walk(ch); err != nil {
				return err
			}
		}
		return nil
	}
	var roots gorgonia.Nodes
	roots = append(roots, c.spec.Keep...)
	for n := range c.spec.Bind {
		if n.Op() != nil {
			roots = append(roots, n)
		}
	}
	for _, p := range c.spec.Posts {
		for _, s := range p.In {
			if s.Node != nil {
				roots = append(roots, s.Node)
			}
		}
	}
	for _, n := range roots {
		if n == nil {
			return nil, errors.New("a nil node among the results asked for")
		}
		if err := walk(n); err != nil {
			return nil, err
		}
	}
	nodes := make(gorgonia.Nodes, 0, len(seen))
	for _, n := range seen {
		nodes = append(nodes, n)
	}
	sort.Slice(nodes, func(i, j int) bool { return nodes[i].ID() < nodes[j].ID() })
	return c.eager(nodes), nil
}

// eager moves every sum of gradients to the place where its last term exists.
// gorgonia.Grad adds the gradients of a node that several others read when all of
// them are made, which would keep as many buffers alive as there are readers.
func (c *compiler) eager(nodes gorgonia.Nodes) gorgonia.Nodes {
	missing := map[*gorgonia.Node]int{} // terms of sums
	readers := map[*gorgonia.Node]gorgonia.Nodes{}
	for _, n := range nodes {
		if kids := c.children(n); isSum(n, kids) {
			missing[n] = len(kids)
			for _, k := range kids {
				readers[k] = append(readers[k], n)
			}
		}
	}
	out := make(gorgonia.Nodes, 0, len(nodes))
	var emit func(n *gorgonia.Node)
	emit = func(n *gorgonia.Node) {
		out = append(out, n)
		for _, s := range readers[n] {
			if missing[s]--; missing[s] == 0 {
				emit(s)
			}
		}
	}
	for _, n := range nodes {
		if _, sum := missing[n]; !sum {
			emit(n)
		}
	}
	return out
}

// isSum recognises the additions of gorgonia.Grad.
func isSum(n *gorgonia.Node, kids gorgonia.Nodes) bool {
	if n.Op() == nil || len(kids) != 2 {
		return false
	}
	_, ours := n.Op().(Describer)
	_, view := n.Op().(Aliaser)
	return !ours && !view && strings.HasPrefix(n.Op().String(), "+")
}

func (c *compiler) children(n *gorgonia.Node) gorgonia.Nodes {
	if n.Op() == nil {
		return nil
	}
	it := c.spec.Graph.From(n.ID())
	var out gorgonia.Nodes
	for it.Next() {
		out = append(out, it.Node().(*gorgonia.Node))
	}
	return out
}
