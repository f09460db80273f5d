package cityeval

import (
	"fmt"
	"io"
	"strings"
)

// Metric is one named number of a [Summary], nil where there is none.
type Metric struct {
	Key         string
	Description string
	Value       *float64
}

// Metrics returns the averages and the pixel accuracy.
func (s *Summary) Metrics() []Metric {
	return []Metric{
		{"mIoU", "mean IoU of the classes present", s.MIoU},
		{"iIoU", "mean instance-weighted IoU of the classes", s.IIoU},
		{"category_mIoU", "mean IoU of the categories present", s.CategoryMIoU},
		{"category_iIoU", "mean instance-weighted IoU of the categories", s.CategoryIIoU},
		{"pixel_accuracy", "share of pixels right", s.PixelAccuracy},
	}
}

// Table returns all numbers as a table for a terminal: "absent" for classes that
// occur nowhere, "-" for what has no iIoU.
func (s *Summary) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d images, %d pixels", s.Images, s.Pixels)
	if len(s.Splits) > 0 {
		fmt.Fprintf(&b, ", %s", strings.Join(s.Splits, " and "))
	}
	b.WriteString("\n")
	group := func(title string, list []Score) {
		fmt.Fprintf(&b, "\n  %-14s %7s %7s\n", title, "IoU", "iIoU")
		for _, c := range list {
			fmt.Fprintf(&b, "  %-14s %7s %7s\n", c.Name, number(c.IoU, "absent"), number(c.IIoU, "-"))
		}
	}
	group("class", s.Classes)
	group("category", s.Categories)
	b.WriteString("\n")
	for _, m := range s.Metrics() {
		fmt.Fprintf(&b, "  %-14s %7s  %s\n", m.Key, number(m.Value, "-"), m.Description)
	}
	return b.String()
}

func number(v *float64, none string) string {
	if v == nil {
		return none
	}
	return fmt.Sprintf("%.4f", *v)
}

// WritePlain writes key, tab, value lines with all digits, for pipes: the
// averages, then "class" and "category" lines with id, name, IoU and iIoU.
// "absent" marks classes that occur nowhere, "-" what has no number.
func (s *Summary) WritePlain(w io.Writer) error {
	var b strings.Builder
	all := func(v *float64, none string) string {
		if v == nil {
			return none
		}
		return fmt.Sprint(*v)
	}
	for _, m := range s.Metrics() {
		fmt.Fprintf(&b, "%s\t%s\n", m.Key, all(m.Value, "-"))
	}
	for _, c := range s.Classes {
		fmt.Fprintf(&b, "class\t%d\t%s\t%s\t%s\n", c.ID, c.Name, all(c.IoU, "absent"), all(c.IIoU, "-"))
	}
	for _, c := range s.Categories {
		fmt.Fprintf(&b, "category\t%d\t%s\t%s\t%s\n", c.ID, c.Name, all(c.IoU, "absent"), all(c.IIoU, "-"))
	}
	_, err := io.WriteString(w, b.String())
	return err
}
