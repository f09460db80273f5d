package iou

import "encoding/json"

// Summary holds the scores, each in 0..1; 0 where nothing was counted.
type Summary struct {
	// MIoU is the mean of IoU over the classes that are not absent, as
	// cityscapesScripts takes it.
	MIoU float64
	// PixelAccuracy is the share of the pixels counted that are right.
	PixelAccuracy float64
	// MeanAccuracy is the mean of Accuracy over the classes in the ground truth.
	MeanAccuracy float64

	Images        int
	Pixels        int64 // counted: without those that the ground truth ignores
	Present       int   // classes that are not absent
	InGroundTruth int   // classes with a pixel in the ground truth
	Classes       []ClassScore
	Confusion     [][]int64 // pixels by true and predicted class
}

// ClassScore holds one class's scores.
type ClassScore struct {
	Name string
	// IoU is the number of pixels right over the number of pixels of the class in
	// the ground truth, the prediction or both.
	IoU float64
	// Absent: not one counted pixel belongs to the class, neither in the ground
	// truth nor in the prediction, so there is no IoU. Pixels that the ground truth
	// ignores are not counted, so what is predicted there makes no class present.
	Absent    bool
	Accuracy  float64 // share of the class's true pixels that are right; 0 without any
	Pixels    int64   // in the ground truth
	Predicted int64   // in the prediction
}

// MarshalJSON writes null for the scores of absent classes and for averages of
// nothing.
func (s *Summary) MarshalJSON() ([]byte, error) {
	type class struct {
		Name      string   `json:"name"`
		IoU       *float64 `json:"IoU"`
		Accuracy  *float64 `json:"accuracy"`
		Pixels    int64    `json:"pixels"`
		Predicted int64    `json:"predicted"`
	}
	out := struct {
		MIoU          *float64  `json:"mIoU"`
		PixelAccuracy *float64  `json:"pixel_accuracy"`
		MeanAccuracy  *float64  `json:"mean_accuracy"`
		Images        int       `json:"images"`
		Pixels        int64     `json:"pixels"`
		Present       int       `json:"classes_present"`
		InGroundTruth int       `json:"classes_in_ground_truth"`
		Classes       []class   `json:"per_class"`
		Confusion     [][]int64 `json:"confusion"`
	}{
		unless(s.Present == 0, s.MIoU), unless(s.Pixels == 0, s.PixelAccuracy), unless(s.InGroundTruth == 0, s.MeanAccuracy),
		s.Images, s.Pixels, s.Present, s.InGroundTruth, []class{}, s.Confusion,
	}
	for _, c := range s.Classes {
		out.Classes = append(out.Classes, class{c.Name, unless(c.Absent, c.IoU), unless(c.Pixels == 0, c.Accuracy), c.Pixels, c.Predicted})
	}
	return json.Marshal(out)
}

func unless(none bool, v float64) *float64 {
	if none {
		return nil
	}
	return &v
}

// Metric is one named number of a [Summary].
type Metric struct {
	Key         string
	Description string
	Value       float64
}

// Metrics returns the averages, the one that models are chosen by first.
func (s *Summary) Metrics() []Metric {
	return []Metric{
		{"mIoU", "mean intersection over union of the classes present", s.MIoU},
		{"pixel_accuracy", "share of pixels right", s.PixelAccuracy},
		{"mean_accuracy", "mean share of each class's pixels right", s.MeanAccuracy},
	}
}
