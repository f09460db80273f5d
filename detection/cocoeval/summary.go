package cocoeval

import (
	"fmt"
	"io"
	"slices"
	"strings"
)

// Summary holds the twelve COCO numbers, each in 0..1, or -1 where the ground
// truth has no object that it could be computed from.
type Summary struct {
	AP   float64 `json:"AP"`   // mean over IoU 0.50:0.05:0.95 and classes
	AP50 float64 `json:"AP50"` // at IoU 0.50
	AP75 float64 `json:"AP75"` // at IoU 0.75
	APs  float64 `json:"APs"`  // objects under 32² pixels
	APm  float64 `json:"APm"`  // 32² to 96²
	APl  float64 `json:"APl"`  // above 96²

	AR1   float64 `json:"AR1"` // at most 1 detection per image and class
	AR10  float64 `json:"AR10"`
	AR100 float64 `json:"AR100"`
	ARs   float64 `json:"ARs"`
	ARm   float64 `json:"ARm"`
	ARl   float64 `json:"ARl"`

	IoU        string `json:"iou_type"`   // "bbox" or "segm"
	Images     int    `json:"images"`     // evaluated
	Objects    int    `json:"objects"`    // to be found: without crowds
	Detections int    `json:"detections"` // given for these images
	// SkippedImages and SkippedCategories count detections left out because the
	// ground truth does not list theirs.
	SkippedImages     int `json:"skipped_unknown_images"`
	SkippedCategories int `json:"skipped_unknown_categories"`

	// Warnings are oddities of the ground truth that bear on the numbers.
	Warnings []string `json:"warnings,omitempty"`

	MaxDets  [3]int    `json:"max_dets"`
	PerClass []ClassAP `json:"per_class"` // by label

	// Curves are nil where there is no object.
	Curves *Curves `json:"precision_recall,omitempty"`
}

// Curves hold the precision at the recalls 0, 0.01, … 1, whatever the object's size and
// at the last limit on detections, as the mean over the classes that have objects. The
// mean of a curve is the AP of that name.
type Curves struct {
	AP   []float64 `json:"AP"` // mean over IoU 0.50:0.05:0.95
	AP50 []float64 `json:"AP50"`
	AP75 []float64 `json:"AP75"`
}

// at75 is the position of 0.75 in thresholds.
const at75 = 5

// ClassAP holds one class's numbers, -1 where it has no object.
type ClassAP struct {
	CategoryID int     `json:"category_id"`
	Name       string  `json:"name"`
	AP         float64 `json:"AP"`
	AP50       float64 `json:"AP50"`
	AP75       float64 `json:"AP75"`
	APs        float64 `json:"APs"`
	APm        float64 `json:"APm"`
	APl        float64 `json:"APl"`
	AR100      float64 `json:"AR100"`
	Objects    int     `json:"objects"`
	Detections int     `json:"detections"` // after the limit per image

	// Curve50 is the class's precision at IoU 0.50 and the recalls 0, 0.01, … 1; nil
	// where it has no object. It is not written as JSON.
	Curve50 []float64 `json:"-"`
}

// mean is a running mean that is -1 while it is empty.
type mean struct {
	sum float64
	n   int
}

func (m *mean) add(v ...float64) {
	for _, x := range v {
		m.sum += x
		m.n++
	}
}

func (m *mean) value() float64 {
	if m.n == 0 {
		return -1
	}
	return m.sum / float64(m.n)
}

func (e *Evaluator) summarize(scores []classScore) *Summary {
	var ap, ar [numAreas]mean
	var ap50, ap75, ar1, ar10 mean
	s := &Summary{
		IoU: "bbox", Images: e.ranks, Detections: len(e.detections), MaxDets: e.o.MaxDets,
		SkippedImages: e.skippedImages, SkippedCategories: e.skippedCategories,
		PerClass: make([]ClassAP, len(scores)),
	}
	if e.segm {
		s.IoU = "segm"
	}
	for _, f := range e.gt.Report.Findings {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d x %s (%s)", f.Count, f.Reason, f.Examples[0]))
	}
	if n := e.skippedImages; n > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d detections of unknown images left out", n))
	}
	if n := e.skippedCategories; n > 0 {
		s.Warnings = append(s.Warnings, fmt.Sprintf("%d detections of unknown categories left out", n))
	}
	var curves [3][]float64 // as classScore.points
	present := 0
	for l := range scores {
		c := &scores[l]
		s.Objects += c.objects[0]
		var classAP [numAreas]mean
		p := ClassAP{CategoryID: e.gt.IDs.CategoryID(l), Name: e.gt.IDs.Name(l), AP50: -1, AP75: -1, AR100: -1,
			Objects: c.objects[0], Detections: c.detections}
		for a := range numAreas {
			if c.objects[a] > 0 {
				classAP[a].add(c.precision[a][:]...)
				ap[a].add(c.precision[a][:]...)
				ar[a].add(c.recall[a][:]...)
			}
		}
		if c.objects[0] > 0 {
			ap50.add(c.precision[0][0])
			ap75.add(c.precision[0][at75])
			ar1.add(c.limited[0][:]...)
			ar10.add(c.limited[1][:]...)
			var recall mean
			recall.add(c.recall[0][:]...)
			p.AP50, p.AP75, p.AR100 = c.precision[0][0], c.precision[0][at75], recall.value()
			p.Curve50 = slices.Clone(c.points[0][:])
			present++
			for k := range curves {
				if curves[k] == nil {
					curves[k] = make([]float64, numRecalls)
				}
				for i, v := range c.points[k] {
					curves[k][i] += v
				}
			}
		}
		p.AP, p.APs, p.APm, p.APl = classAP[0].value(), classAP[1].value(), classAP[2].value(), classAP[3].value()
		s.PerClass[l] = p
	}
	for k := range curves {
		for i := range curves[k] {
			curves[k][i] /= float64(present)
		}
	}
	if present > 0 {
		s.Curves = &Curves{AP50: curves[0], AP75: curves[1], AP: curves[2]}
	}
	s.AP, s.APs, s.APm, s.APl = ap[0].value(), ap[1].value(), ap[2].value(), ap[3].value()
	s.ARs, s.ARm, s.ARl = ar[1].value(), ar[2].value(), ar[3].value()
	s.AR100, s.AP50, s.AP75, s.AR1, s.AR10 = ar[0].value(), ap50.value(), ap75.value(), ar1.value(), ar10.value()
	return s
}

// Metric is one named number of a [Summary].
type Metric struct {
	Key         string
	Description string
	Value       float64
}

// Metrics returns the twelve numbers in COCO's order.
func (s *Summary) Metrics() []Metric {
	m := s.MaxDets
	at := func(n int) string { return fmt.Sprintf("%d per image and class", n) }
	return []Metric{
		{"AP", "IoU 0.50:0.95, all areas, " + at(m[2]), s.AP},
		{"AP50", "IoU 0.50, all areas, " + at(m[2]), s.AP50},
		{"AP75", "IoU 0.75, all areas, " + at(m[2]), s.AP75},
		{"APs", "IoU 0.50:0.95, area up to 32², " + at(m[2]), s.APs},
		{"APm", "IoU 0.50:0.95, area 32² to 96², " + at(m[2]), s.APm},
		{"APl", "IoU 0.50:0.95, area from 96², " + at(m[2]), s.APl},
		{"AR1", "IoU 0.50:0.95, all areas, " + at(m[0]), s.AR1},
		{"AR10", "IoU 0.50:0.95, all areas, " + at(m[1]), s.AR10},
		{"AR100", "IoU 0.50:0.95, all areas, " + at(m[2]), s.AR100},
		{"ARs", "IoU 0.50:0.95, area up to 32², " + at(m[2]), s.ARs},
		{"ARm", "IoU 0.50:0.95, area 32² to 96², " + at(m[2]), s.ARm},
		{"ARl", "IoU 0.50:0.95, area from 96², " + at(m[2]), s.ARl},
	}
}

// Table returns the twelve numbers as a table for a terminal, three decimals as
// pycocotools prints them, "-" where there is none.
func (s *Summary) Table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %d images, %d objects, %d detections\n", s.IoU, s.Images, s.Objects, s.Detections)
	for _, m := range s.Metrics() {
		fmt.Fprintf(&b, "  %-6s %6s  %s\n", m.Key, number(m.Value), m.Description)
	}
	return b.String()
}

// ClassTable returns a row of numbers for every class.
func (s *Summary) ClassTable() string {
	width := len("class")
	for _, c := range s.PerClass {
		width = max(width, len([]rune(c.Name)))
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %-*s %6s %6s %6s %6s %6s %6s %6s %8s %10s\n", width, "class",
		"AP", "AP50", "AP75", "APs", "APm", "APl", "AR100", "objects", "detections")
	for _, c := range s.PerClass {
		fmt.Fprintf(&b, "  %-*s %6s %6s %6s %6s %6s %6s %6s %8d %10d\n", width, c.Name,
			number(c.AP), number(c.AP50), number(c.AP75), number(c.APs), number(c.APm), number(c.APl), number(c.AR100),
			c.Objects, c.Detections)
	}
	return b.String()
}

// WritePlain writes key, tab, value lines with all digits, for pipes: the twelve
// numbers and, with perClass, a line for every class with its AP, AP50 and AR100.
func (s *Summary) WritePlain(w io.Writer, perClass bool) error {
	var b strings.Builder
	for _, m := range s.Metrics() {
		fmt.Fprintf(&b, "%s\t%v\n", m.Key, m.Value)
	}
	if perClass {
		for _, c := range s.PerClass {
			fmt.Fprintf(&b, "class\t%d\t%s\t%v\t%v\t%v\n", c.CategoryID, c.Name, c.AP, c.AP50, c.AR100)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

func number(v float64) string {
	if v < 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", v)
}
