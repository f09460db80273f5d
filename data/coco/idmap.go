package coco

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// IDMap is the one-to-one map between category ids, contiguous labels 0..Len-1
// and names. Labels follow ascending category ids. It travels with a checkpoint
// as JSON, so that a model's outputs keep their meaning.
type IDMap struct {
	categories []Category  // by label
	labels     map[int]int // by category id
}

// NewIDMap returns the map of the categories, in whatever order they come.
func NewIDMap(categories []Category) *IDMap {
	c := slices.Clone(categories)
	slices.SortStableFunc(c, func(a, b Category) int { return a.ID - b.ID })
	c = slices.CompactFunc(c, func(a, b Category) bool { return a.ID == b.ID })
	return index(c)
}

func index(byLabel []Category) *IDMap {
	m := &IDMap{categories: byLabel, labels: make(map[int]int, len(byLabel))}
	for i, c := range byLabel {
		m.labels[c.ID] = i
	}
	return m
}

// Len returns the number of classes.
func (m *IDMap) Len() int { return len(m.categories) }

// Label returns the label of a category id, false where there is none.
func (m *IDMap) Label(categoryID int) (int, bool) {
	l, ok := m.labels[categoryID]
	return l, ok
}

// CategoryID returns the category id of a label in 0..Len-1.
func (m *IDMap) CategoryID(label int) int { return m.categories[label].ID }

// Name returns the name of a label in 0..Len-1.
func (m *IDMap) Name(label int) string { return m.categories[label].Name }

// Names returns all names by label.
func (m *IDMap) Names() []string {
	names := make([]string, len(m.categories))
	for i, c := range m.categories {
		names[i] = c.Name
	}
	return names
}

// Categories returns the categories by label.
func (m *IDMap) Categories() []Category { return slices.Clone(m.categories) }

// Equal says whether both maps give every label the same id and name.
func (m *IDMap) Equal(o *IDMap) bool { return m.Diff(o) == "" }

// Diff says in words where two maps differ, "" where they are equal.
// Supercategories do not count.
func (m *IDMap) Diff(o *IDMap) string {
	var diffs []string
	if m.Len() != o.Len() {
		diffs = append(diffs, fmt.Sprintf("%d classes against %d", m.Len(), o.Len()))
	}
	for l := range max(m.Len(), o.Len()) {
		if len(diffs) == 4 {
			diffs = append(diffs, "...")
			break
		}
		switch {
		case l >= m.Len():
			diffs = append(diffs, fmt.Sprintf("label %d: none against %s", l, o.describe(l)))
		case l >= o.Len():
			diffs = append(diffs, fmt.Sprintf("label %d: %s against none", l, m.describe(l)))
		case m.categories[l].ID != o.categories[l].ID || m.categories[l].Name != o.categories[l].Name:
			diffs = append(diffs, fmt.Sprintf("label %d: %s against %s", l, m.describe(l), o.describe(l)))
		}
	}
	return strings.Join(diffs, "; ")
}

func (m *IDMap) describe(label int) string {
	return fmt.Sprintf("%q (id %d)", m.categories[label].Name, m.categories[label].ID)
}

// MarshalJSON writes the categories by label.
func (m *IDMap) MarshalJSON() ([]byte, error) { return json.Marshal(m.categories) }

// UnmarshalJSON reads what MarshalJSON wrote. Ids must be unique.
func (m *IDMap) UnmarshalJSON(b []byte) error {
	var c []Category
	if err := json.Unmarshal(b, &c); err != nil {
		return err
	}
	n := index(c)
	if len(n.labels) != len(c) {
		return fmt.Errorf("id map has %d categories but %d different ids", len(c), len(n.labels))
	}
	*m = *n
	return nil
}
