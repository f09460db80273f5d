package data

import "manvision/data/classes"

// fixes says what to do about each kind of finding of CheckDetection and
// CheckClassification.
var fixes = map[string]string{
	"bad box":                           "correct the boxes ([x, y, width, height] in pixels) or leave them out: data.skip_bad_boxes: true",
	"annotation of an unknown image":    "add the image to the file's list, or delete its annotations",
	"annotation of an unknown category": "add the category to the file's list, or delete its annotations",
	"annotation id 0 (pycocotools counts its object as missed)": "number annotations from 1; here the object counts",
	"two categories of one name":                                "give each category a name of its own, or merge them",
	"box over the image's edge":                                 "nothing to do where objects are cut off: boxes are clipped; otherwise look whether they are [x, y, width, height]",
	"box up to a pixel over the image's edge":                   "nothing to do: boxes are clipped",
	"file listed for two images":                                "list each file once, with all annotations under one image id",
	"area not positive":                                         "write the area of the object, width x height where there is no mask: evaluation sorts objects by it",
	"box thinner than a pixel":                                  "nothing to do for a few: no anchor fits them well",
	"same box and class twice":                                  "delete one of the two",
	"image without boxes to learn from":                         "nothing to do where there is nothing to see: the image teaches background",
	"category without objects":                                  "annotate objects of it, or take it off the list: its score stays absent",
	"gaps in the category ids":                                  "nothing to do: results are written with the file's ids; no other program may take labels for ids",
	"broken image":                                              "copy the files again, or leave them out: data.on_bad_image: skip",
	"missing image":                                             "copy the files, or look whether the image folder is the right one",
	"image size differs from annotations":                       "correct width and height in the file, or take the images that were annotated (not scaled or turned ones)",
	"image folder cannot be listed":                             "make the folder readable: chmod",
	"file in the folder that no image entry names":              "nothing to do: it is not used",

	"class without images in this part":           "add images of the class, or take its folder away: its score stays absent",
	"file that is no image by its name, left out": "nothing to do, or give the file an image's ending",
	"same image twice in a class":                 "delete one of the two, above all where training and validation share it",
	"same image in two classes":                   "delete it from the class that is wrong",
	string(classes.Unreadable):                    "make the files readable (chmod), or copy them again",
	string(classes.BadSize):                       "fetch the file again: it is cut off or of another data set",
	string(classes.BadCount):                      "fetch the files again: they do not belong together",
	string(classes.BadLabel):                      "fetch the file again, or look whether data.format names the right data set",
	string(classes.BadNames):                      "correct what names the classes, as the message says",
	string(classes.Missing):                       "look whether data.root and the split name the right folder, or fetch what is missing",
	string(classes.Ambiguous):                     "keep one of the files",
	string(classes.EmptyClass):                    "add images of the class, or take its folder away",
	string(classes.NoClass):                       "take the folder away, or add a folder of the same name to training",
	string(classes.NoImages):                      "look whether data.root and the split name the right folder",
	string(classes.Unsafe):                        "unpack the archive by hand and name the folder",
	string(classes.Broken):                        "copy the files again",
}
