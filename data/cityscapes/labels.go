// Package cityscapes reads the CityScapes data set as it is downloaded: images in
// leftImg8bit/SPLIT/CITY, labels in gtFine/SPLIT/CITY, with no preparation step.
//
// Names, ids, categories and colours are those of the data set's own scripts
// (mcordts/cityscapesScripts 2.3.0, cityscapesscripts/helpers/labels.py).
package cityscapes

import (
	"slices"

	"manvision/data/labelmap"
)

// Label is one line of the data set's label table.
type Label struct {
	Name       string
	ID         int // in labelIds files; -1 is never drawn
	TrainID    int // 0..18, 255 for labels that are neither trained nor evaluated, -1 for id -1
	Category   string
	CategoryID int
	// HasInstances: instanceIds files tell single objects of this label apart.
	HasInstances bool
	// IgnoreInEval: pixels of this label count nothing in the evaluation.
	IgnoreInEval bool
	Color        [3]uint8 // red, green, blue
}

// Classes is the number of training ids.
const Classes = 19

// IDs is the number of label ids, from 0.
const IDs = 34

// Labels is the label table, by id, license plates (id -1) last.
var Labels = []Label{
	{"unlabeled", 0, 255, "void", 0, false, true, [3]uint8{0, 0, 0}},
	{"ego vehicle", 1, 255, "void", 0, false, true, [3]uint8{0, 0, 0}},
	{"rectification border", 2, 255, "void", 0, false, true, [3]uint8{0, 0, 0}},
	{"out of roi", 3, 255, "void", 0, false, true, [3]uint8{0, 0, 0}},
	{"static", 4, 255, "void", 0, false, true, [3]uint8{0, 0, 0}},
	{"dynamic", 5, 255, "void", 0, false, true, [3]uint8{111, 74, 0}},
	{"ground", 6, 255, "void", 0, false, true, [3]uint8{81, 0, 81}},
	{"road", 7, 0, "flat", 1, false, false, [3]uint8{128, 64, 128}},
	{"sidewalk", 8, 1, "flat", 1, false, false, [3]uint8{244, 35, 232}},
	{"parking", 9, 255, "flat", 1, false, true, [3]uint8{250, 170, 160}},
	{"rail track", 10, 255, "flat", 1, false, true, [3]uint8{230, 150, 140}},
	{"building", 11, 2, "construction", 2, false, false, [3]uint8{70, 70, 70}},
	{"wall", 12, 3, "construction", 2, false, false, [3]uint8{102, 102, 156}},
	{"fence", 13, 4, "construction", 2, false, false, [3]uint8{190, 153, 153}},
	{"guard rail", 14, 255, "construction", 2, false, true, [3]uint8{180, 165, 180}},
	{"bridge", 15, 255, "construction", 2, false, true, [3]uint8{150, 100, 100}},
	{"tunnel", 16, 255, "construction", 2, false, true, [3]uint8{150, 120, 90}},
	{"pole", 17, 5, "object", 3, false, false, [3]uint8{153, 153, 153}},
	{"polegroup", 18, 255, "object", 3, false, true, [3]uint8{153, 153, 153}},
	{"traffic light", 19, 6, "object", 3, false, false, [3]uint8{250, 170, 30}},
	{"traffic sign", 20, 7, "object", 3, false, false, [3]uint8{220, 220, 0}},
	{"vegetation", 21, 8, "nature", 4, false, false, [3]uint8{107, 142, 35}},
	{"terrain", 22, 9, "nature", 4, false, false, [3]uint8{152, 251, 152}},
	{"sky", 23, 10, "sky", 5, false, false, [3]uint8{70, 130, 180}},
	{"person", 24, 11, "human", 6, true, false, [3]uint8{220, 20, 60}},
	{"rider", 25, 12, "human", 6, true, false, [3]uint8{255, 0, 0}},
	{"car", 26, 13, "vehicle", 7, true, false, [3]uint8{0, 0, 142}},
	{"truck", 27, 14, "vehicle", 7, true, false, [3]uint8{0, 0, 70}},
	{"bus", 28, 15, "vehicle", 7, true, false, [3]uint8{0, 60, 100}},
	{"caravan", 29, 255, "vehicle", 7, true, true, [3]uint8{0, 0, 90}},
	{"trailer", 30, 255, "vehicle", 7, true, true, [3]uint8{0, 0, 110}},
	{"train", 31, 16, "vehicle", 7, true, false, [3]uint8{0, 80, 100}},
	{"motorcycle", 32, 17, "vehicle", 7, true, false, [3]uint8{0, 0, 230}},
	{"bicycle", 33, 18, "vehicle", 7, true, false, [3]uint8{119, 11, 32}},
	{"license plate", -1, -1, "vehicle", 7, false, true, [3]uint8{0, 0, 142}},
}

// ClassList returns the 19 classes by training id.
func ClassList() []labelmap.Class {
	list := make([]labelmap.Class, Classes)
	for _, l := range Labels {
		if l.TrainID >= 0 && l.TrainID < Classes {
			list[l.TrainID] = labelmap.Class{Name: l.Name, Color: l.Color}
		}
	}
	return list
}

// Categories returns the categories' names by id.
func Categories() []string {
	var names []string
	for _, l := range Labels {
		if !slices.Contains(names, l.Category) {
			names = append(names, l.Category)
		}
	}
	return names
}

// labelIDs is the coding of labelIds files, trainIDs that of labelTrainIds files.
// Both answer with label ids: that is what predictions carry.
var labelIDs, trainIDs = codings()

func codings() (ids, train labelmap.Coding) {
	ids = labelmap.Coding{Name: "label ids", Hint: hintIDs}
	train = labelmap.Coding{Name: "training ids", Hint: hintTrainIDs}
	for v := range 256 {
		ids.Train[v], train.Train[v] = -1, -1
	}
	train.Train[labelmap.Ignore] = labelmap.Ignore
	for _, l := range Labels {
		if l.ID < 0 {
			continue
		}
		ids.Train[l.ID] = int16(l.TrainID)
		if l.TrainID < Classes {
			train.Train[l.TrainID] = int16(l.TrainID)
			ids.Output[l.TrainID] = uint8(l.ID)
		}
	}
	train.Output = ids.Output
	return ids, train
}

// LikeTrainIDs reports whether values cannot be label ids but can be training
// ids: there are none but 0..18 and 255, and 255 is among them.
func LikeTrainIDs(histogram *[256]int64) bool {
	for v, n := range histogram {
		if n > 0 && v >= Classes && v != labelmap.Ignore {
			return false
		}
	}
	return histogram[labelmap.Ignore] > 0
}

// LikeLabelIDs reports whether values cannot be training ids but can be label
// ids: there are none but 0..33, and one of 19..33 is among them.
func LikeLabelIDs(histogram *[256]int64) bool {
	found := false
	for v, n := range histogram {
		if n > 0 && v >= IDs {
			return false
		}
		found = found || n > 0 && v >= Classes
	}
	return found
}

func hintIDs(histogram *[256]int64) string {
	if LikeTrainIDs(histogram) {
		return "the file holds nothing but 0..18 and 255, as labelTrainIds files do: is it misnamed?"
	}
	return ""
}

func hintTrainIDs(histogram *[256]int64) string {
	if LikeLabelIDs(histogram) {
		return "the file holds nothing but 0..33, as labelIds files do: is it misnamed?"
	}
	return ""
}
