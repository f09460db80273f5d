package iou

import (
	"fmt"
	"io"
	"strings"
)

// Table returns the averages as a table for a terminal.
func (s *Summary) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d images, %d pixels; %d of %d classes present, %d in the ground truth\n",
		s.Images, s.Pixels, s.Present, len(s.Classes), s.InGroundTruth)
	for _, m := range s.Metrics() {
		value := fmt.Sprintf("%.4f", m.Value)
		if s.Pixels == 0 {
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
	fmt.Fprintf(&b, "  %-*s %6s %8s %12s %12s\n", width, "class", "IoU", "accuracy", "pixels", "predicted")
	for _, c := range s.Classes {
		iou, accuracy := "absent", "-"
		if !c.Absent {
			iou = fmt.Sprintf("%.4f", c.IoU)
		}
		if c.Pixels > 0 {
			accuracy = fmt.Sprintf("%.4f", c.Accuracy)
		}
		fmt.Fprintf(&b, "  %-*s %6s %8s %12d %12d\n", width, c.Name, iou, accuracy, c.Pixels, c.Predicted)
	}
	return b.String()
}

// WritePlain writes key, tab, value lines with all digits, for pipes: the
// averages and, with perClass, a line for every class with its training id, name
// and IoU ("absent" where there is none).
func (s *Summary) WritePlain(w io.Writer, perClass bool) error {
	var b strings.Builder
	for _, m := range s.Metrics() {
		fmt.Fprintf(&b, "%s\t%v\n", m.Key, m.Value)
	}
	if perClass {
		for k, c := range s.Classes {
			if c.Absent {
				fmt.Fprintf(&b, "class\t%d\t%s\tabsent\n", k, c.Name)
				continue
			}
			fmt.Fprintf(&b, "class\t%d\t%s\t%v\n", k, c.Name, c.IoU)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
