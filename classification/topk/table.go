package topk

import (
	"fmt"
	"io"
	"strings"
)

// Table returns the averages, for a terminal.
func (s *Summary) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d images; %d of %d classes present\n", s.Images, s.Present, len(s.Classes))
	for _, m := range s.Metrics() {
		value := fmt.Sprintf("%.4f", m.Value)
		if s.Images == 0 {
			value = "-"
		}
		fmt.Fprintf(&b, "  %-14s %6s  %s\n", m.Key, value, m.Description)
	}
	return b.String()
}

// ClassTable returns a row of numbers for every class.
func (s *Summary) ClassTable() string {
	width := len("class")
	for _, c := range s.Classes {
		width = max(width, len([]rune(c.Name)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %-*s %6s %6s %8s %10s\n", width, "class", "top1", "top5", "images", "predicted")
	for _, c := range s.Classes {
		one, five := "-", "-"
		if c.Images > 0 {
			one, five = fmt.Sprintf("%.4f", c.Top1), fmt.Sprintf("%.4f", c.Top5)
		}
		fmt.Fprintf(&b, "  %-*s %6s %6s %8d %10d\n", width, c.Name, one, five, c.Images, c.Predicted)
	}
	return b.String()
}

// WritePlain writes key, tab, value lines with all digits, for pipes: the averages
// and, with perClass, a line for every class with its number, name, top-1 and top-5
// ("absent" where it has no images).
func (s *Summary) WritePlain(w io.Writer, perClass bool) error {
	var b strings.Builder
	for _, m := range s.Metrics() {
		fmt.Fprintf(&b, "%s\t%v\n", m.Key, m.Value)
	}
	if perClass {
		for k, c := range s.Classes {
			if c.Images == 0 {
				fmt.Fprintf(&b, "class\t%d\t%s\tabsent\n", k, c.Name)
				continue
			}
			fmt.Fprintf(&b, "class\t%d\t%s\t%v\t%v\n", k, c.Name, c.Top1, c.Top5)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
