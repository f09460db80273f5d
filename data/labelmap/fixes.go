package labelmap

// Remedy says what to do about findings of a kind, "" where it knows nothing.
func Remedy(kind string) string { return fixes[kind] }

// fixes says what to do about each kind of finding; of errors, whose own text has a
// remedy where one file is special, what to do about all of them.
var fixes = map[string]string{
	string(Unreadable):   "make the files readable (chmod), or copy them again",
	string(Broken):       "copy the files again; images alone can be left out with data.on_bad_image: skip",
	string(WrongFormat):  "save labels as 8-bit PNGs whose values are the classes: no RGB, no alpha, no JPEG",
	string(WrongSize):    "make label and image from the same picture, scaled alike (labels by nearest neighbour)",
	string(BadValue):     "name the coding that the files have: data.segmentation.labels (labelIds 0 to 33, labelTrainIds 0 to 18 and 255), or data.segmentation.classes and data.segmentation.ignore",
	string(MissingLabel): "add the label files, or take the images out of the folder",
	string(MissingImage): "add the images, or take the label files out of the folder",
	string(Ambiguous):    "keep one of the files",
	string(NoFiles):      "look whether data.root and the split name the right folder",
	string(Annotation):   "correct the polygon file, or use the label PNGs: data.segmentation.labels: labelIds",

	"class without pixels":                  "nothing to do if the class is rare; otherwise look whether the coding fits (data.segmentation.labels, data.segmentation.classes): its score stays absent",
	"nothing but ignored pixels":            "look whether the coding fits: data.segmentation.labels, or data.segmentation.classes and data.segmentation.ignore",
	"label ids that look like training ids": "set data.segmentation.labels: labelTrainIds and name the files *_labelTrainIds.png, or fetch the labelIds files",
}
