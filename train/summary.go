package train

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// Summary is the result of an evaluation in the form that all tasks share.
type Summary struct {
	Images int
	// Metrics are in the order to print them. What could not be measured is NaN or,
	// of COCO's numbers, -1.
	Metrics []Metric
	// Rank is the key of the metric that ranks checkpoints.
	Rank     string
	Headline []string // keys of the metrics worth a line of news
	Warnings []string // oddities that bear on the numbers
	Detail   Detail
}

// Metric is one number of an evaluation.
type Metric struct {
	Key   string
	Value float64
}

// Detail is a task's own summary: *cocoeval.Summary, *iou.Summary or *topk.Summary. As JSON it is
// what programs read.
type Detail interface {
	// Table and ClassTable are for a terminal, WritePlain writes key, tab, value lines
	// with all digits.
	Table() string
	ClassTable() string
	WritePlain(w io.Writer, perClass bool) error
}

// Value returns a metric, false where there is none of that key.
func (s *Summary) Value(key string) (float64, bool) {
	for _, m := range s.Metrics {
		if m.Key == key {
			return m.Value, true
		}
	}
	return 0, false
}

// Values returns all metrics by key.
func (s *Summary) Values() map[string]float64 {
	out := map[string]float64{}
	for _, m := range s.Metrics {
		out[m.Key] = m.Value
	}
	return out
}

// String reads "AP 0.512  AP50 0.808".
func (s *Summary) String() string {
	var words []string
	for _, key := range s.Headline {
		v, _ := s.Value(key)
		words = append(words, fmt.Sprintf("%s %.3f", key, v))
	}
	return strings.Join(words, "  ")
}

// MarshalJSON writes the detail.
func (s *Summary) MarshalJSON() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // class names stay readable
	err := enc.Encode(s.Detail)
	return b.Bytes(), err
}
