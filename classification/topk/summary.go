package topk

import "encoding/json"

// Summary holds the scores, shares in 0..1; 0 where nothing was counted.
type Summary struct {
	// Top1 and Top5 are the shares of the images whose class has the largest logit or
	// one of the five largest; with five classes or fewer Top5 is 1.
	Top1, Top5 float64
	// MeanTop1 is the mean of Top1 over the classes with images.
	MeanTop1 float64
	// CrossEntropy is the mean of −log softmax(logits)[label], in nats.
	CrossEntropy float64

	Images    int64
	Present   int // classes with images
	Classes   []ClassScore
	Confusion [][]int64 // images by true and predicted class
}

// ClassScore holds one class's scores.
type ClassScore struct {
	Name       string
	Top1, Top5 float64 // of its images
	Images     int64
	Predicted  int64 // images of any class that were taken for it
}

// MarshalJSON writes null for the scores of classes without images and for averages
// of nothing.
func (s *Summary) MarshalJSON() ([]byte, error) {
	type class struct {
		Name      string   `json:"name"`
		Top1      *float64 `json:"top1"`
		Top5      *float64 `json:"top5"`
		Images    int64    `json:"images"`
		Predicted int64    `json:"predicted"`
	}
	none := s.Images == 0
	out := struct {
		Top1         *float64  `json:"top1"`
		Top5         *float64  `json:"top5"`
		MeanTop1     *float64  `json:"mean_top1"`
		CrossEntropy *float64  `json:"cross_entropy"`
		Images       int64     `json:"images"`
		Present      int       `json:"classes_present"`
		Classes      []class   `json:"per_class"`
		Confusion    [][]int64 `json:"confusion"`
	}{unless(none, s.Top1), unless(none, s.Top5), unless(none, s.MeanTop1), unless(none, s.CrossEntropy), s.Images, s.Present, []class{}, s.Confusion}
	for _, c := range s.Classes {
		out.Classes = append(out.Classes, class{c.Name, unless(c.Images == 0, c.Top1), unless(c.Images == 0, c.Top5), c.Images, c.Predicted})
	}
	return json.Marshal(out)
}

func unless(none bool, v float64) *float64 {
	if none {
		return nil
	}
	return &v
}

// Metric is one named number of a Summary.
type Metric struct {
	Key         string
	Description string
	Value       float64
}

// Metrics returns the averages, the one that models are chosen by first.
func (s *Summary) Metrics() []Metric {
	return []Metric{
		{"top1", "share of images whose class has the largest logit", s.Top1},
		{"top5", "share of images whose class is among the five largest logits", s.Top5},
		{"mean_top1", "mean of top1 over classes", s.MeanTop1},
		{"cross_entropy", "mean cross-entropy in nats", s.CrossEntropy},
	}
}
