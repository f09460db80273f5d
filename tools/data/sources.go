package main

import (
	"path"
	"slices"
	"strings"

	"manvision/internal/fetch"
)

// dataset is a published data set: where its archives are and on what terms.
type dataset struct {
	name     string
	title    string
	terms    string // licence and log-in, whole lines
	archives []archive
	sumsFrom string // who publishes the archives' sums; "": nobody that is known
	parts    []published
	files    []string // patterns of the files' names in the archives, as path.Match reads them
	train    string   // command to go on with where the part to train on is there; %s: the folder
	eval     string   // where only the one to evaluate on is; "": none
}

// published is a part as it is published.
type published struct {
	name   string
	images int
	from   []string // archives that it is made of: images, then labels where these are apart
	use    use
}

// use is what a part is for.
type use int

const (
	forTraining use = iota
	forEvaluation
	forServer // labels are not public
)

// archive is a file of a data set.
type archive struct {
	part string // what --part calls it; "" where there is one only
	file string
	url  string // "": fetched by the user, who has to log in
	size string // as the publisher gives it
	sum  fetch.Sum
}

// datasets are those that download and prepare know.
var datasets = []dataset{
	{
		name: "coco", title: "COCO 2017",
		terms: `COCO's annotations are licensed under CC BY 4.0; the images belong to their authors
and come under the terms of use of Flickr, where they are from (each one's licence is
in the annotations). No log-in is needed. https://cocodataset.org/#termsofuse
`,
		archives: []archive{
			{part: "train2017", file: "train2017.zip", url: "http://images.cocodataset.org/zips/train2017.zip", size: "18 GB"},
			{part: "val2017", file: "val2017.zip", url: "http://images.cocodataset.org/zips/val2017.zip", size: "1 GB"},
			{part: "annotations", file: "annotations_trainval2017.zip", url: "http://images.cocodataset.org/annotations/annotations_trainval2017.zip", size: "241 MB"},
		},
		parts: []published{
			{"train2017", 118287, []string{"train2017.zip", "annotations_trainval2017.zip"}, forTraining},
			{"val2017", 5000, []string{"val2017.zip", "annotations_trainval2017.zip"}, forEvaluation},
		},
		files: []string{"train2017/*.jpg", "val2017/*.jpg", "annotations/*.json"},
		train: "bin/train --config configs/detection/retinanet_r50_manpp_k4.yaml --set data.root=%s",
		eval:  "bin/eval --arch retinanet_resnet50_fpn --checkpoint WEIGHTS.pth --set data.root=%s",
	},
	{
		name: "cityscapes", title: "CityScapes",
		terms: `CityScapes is free for research, teaching and other non-commercial use, after
registration at https://www.cityscapes-dataset.com; it may not be passed on.
`,
		archives: []archive{
			{file: "leftImg8bit_trainvaltest.zip", size: "11 GB"},
			{file: "gtFine_trainvaltest.zip", size: "241 MB"},
		},
		parts: []published{
			{"train", 2975, cityArchives, forTraining},
			{"val", 500, cityArchives, forEvaluation},
			{"test", 1525, cityArchives, forServer},
		},
		files: []string{"leftImg8bit/*/*/*_leftImg8bit.png", "gtFine/*/*/*_gtFine_*.png", "gtFine/*/*/*_gtFine_*.json"},
		train: "bin/train --config configs/segmentation/deeplabv3_r50_manpp_k4.yaml --set data.root=%s",
	},
	{
		name: "cifar10", title: "CIFAR-10", terms: cifarTerms, sumsFrom: cifarPage,
		archives: []archive{{file: "cifar-10-binary.tar.gz", url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz", size: "162 MB",
			sum: fetch.Sum{Kind: fetch.MD5, Hex: "c32a1d4ab5d03f1284b67883e8d87530"}}},
		parts: []published{{"train", 50000, []string{"cifar-10-binary.tar.gz"}, forTraining}, {"test", 10000, []string{"cifar-10-binary.tar.gz"}, forEvaluation}},
		files: []string{"cifar-10-batches-bin/*.bin", "cifar-10-batches-bin/*.txt", "cifar-10-batches-bin/*.html"},
		train: "bin/train --config configs/classification/cifar10_resnet32_manpp_k16_full.yaml --set data.root=%s",
	},
	{
		name: "cifar100", title: "CIFAR-100", terms: cifarTerms, sumsFrom: cifarPage,
		archives: []archive{{file: "cifar-100-binary.tar.gz", url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz", size: "161 MB",
			sum: fetch.Sum{Kind: fetch.MD5, Hex: "03b5dce01913d631647c71ecec9e9cb8"}}},
		parts: []published{{"train", 50000, []string{"cifar-100-binary.tar.gz"}, forTraining}, {"test", 10000, []string{"cifar-100-binary.tar.gz"}, forEvaluation}},
		files: []string{"cifar-100-binary/*.bin", "cifar-100-binary/*.txt", "cifar-100-binary/*.html"},
		train: "bin/train --config configs/classification/cifar10_resnet32_manpp_k16_full.yaml --set data.format=cifar100 --set data.root=%s",
	},
}

var cityArchives = []string{"leftImg8bit_trainvaltest.zip", "gtFine_trainvaltest.zip"}

const (
	cifarPage  = "https://www.cs.toronto.edu/~kriz/cifar.html"
	cifarTerms = `CIFAR states no licence; its page asks who uses it to cite A. Krizhevsky, Learning
Multiple Layers of Features from Tiny Images, 2009. No log-in is needed.
` + cifarPage + "\n"
)

// has says whether a file of an archive belongs to the data set.
func (d *dataset) has(name string) bool {
	if strings.HasPrefix(path.Base(name), ".") {
		return false
	}
	return slices.ContainsFunc(d.files, func(pattern string) bool {
		ok, err := path.Match(pattern, name)
		return ok && err == nil
	})
}
