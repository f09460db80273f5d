package config

import (
	"reflect"
	"slices"
	"strings"
	"sync"

	"gopkg.in/yaml.v3"
)

// taskKeys lists the keys and sections that not every task reads.
var taskKeys = map[string][]string{
	"detection": {
		"model.fpn_channels", "model.head_convs", "model.anchors", "model.loss", "manpp.local_head_convs",
		"data.short_side", "data.long_side", "data.fixed_size", "data.canvases", "data.skip_bad_boxes",
		"eval.score_threshold", "eval.nms_iou", "eval.max_detections", "eval.pre_nms", "eval.batch",
	},
	"segmentation": {
		"model.segmentation", "manpp.local_channels", "manpp.task_weight", "manpp.recon_weight", "manpp.decoder_channels",
		"data.train.split", "data.val.split", "data.segmentation", "data.base_size", "data.scale", "data.crop", "data.cat_max_ratio",
		"data.photometric", "eval.segmentation",
	},
	"classification": {
		"model.classification", "manpp.classification", "manpp.published", "manpp.stem", "data.train.split", "data.val.split", "data.classification",
		"eval.batch", "train.mixup",
	},
}

// What a task can be given and measures.
var (
	taskFormats = map[string][]string{
		"detection": {"coco", "shapes"}, "segmentation": {"cityscapes", "folders", "shapes"},
		"classification": {"cifar10", "cifar100", "imagenet", "folders", "svhn", "stl"},
	}
	taskMetrics = map[string][]string{
		"detection":      {"AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl"},
		"segmentation":   {"mIoU", "pixel_accuracy", "mean_accuracy"},
		"classification": {"top1", "top5"},
	}
	// Tasks on pyramids or dilated maps; classification takes every backbone and strategy.
	denseBackbones  = []string{"resnet18", "resnet34", "resnet50", "resnet101", "resnet152"}
	denseStrategies = []string{"e2e", "man", "manpp"}
)

// builtIn is a Config of the defaults alone.
var builtIn = sync.OnceValue(func() *Config {
	c := &Config{}
	if err := yaml.Unmarshal(defaults, c); err != nil {
		panic("config: defaults.yaml: " + err.Error()) // it is part of the program
	}
	return c
})

// stated reports whether a recipe or a flag gives a key another value than its
// default. A resolved recipe, which states every key, states nothing in that sense.
func (c *Config) stated(key string) bool {
	s := c.sources[key]
	if s == (Source{}) {
		return false
	}
	have, _ := c.field(key)
	want, _ := builtIn().field(key)
	if have.Kind() == reflect.Slice && have.Len() == 0 && want.Len() == 0 {
		return false
	}
	return !reflect.DeepEqual(have.Interface(), want.Interface())
}

// idle is a fault of every key under a section that is stated for nothing.
func (c *Config) idle(section, why string, fault func(key, format string, args ...any)) {
	for _, key := range leafKeys() {
		if (key == section || strings.HasPrefix(key, section+".")) && c.stated(key) {
			fault(key, "%s has no effect %s; remove it", key, why)
		}
	}
}

// checkTask finds keys, data and results that do not go with the task: what a
// recipe says and nobody reads is a mistake of its writer.
func (c *Config) checkTask(fault func(key, format string, args ...any)) {
	own := taskKeys[c.Task]
	for task, keys := range taskKeys {
		for _, key := range keys {
			if task != c.Task && !slices.Contains(own, key) {
				c.idle(key, "with task "+c.Task, fault)
			}
		}
	}
	if c.Task != "classification" {
		if !slices.Contains(denseBackbones, c.Model.Backbone) {
			fault("model.backbone", "model.backbone is %q; task %s takes %s", c.Model.Backbone, c.Task, strings.Join(denseBackbones, ", "))
		}
		if !slices.Contains(denseStrategies, c.MANPP.Strategy) {
			fault("manpp.strategy", "manpp.strategy is %q; task %s takes %s", c.MANPP.Strategy, c.Task, strings.Join(denseStrategies, ", "))
		}
		if c.MANPP.Partition == "published" {
			fault("manpp.partition", `manpp.partition is "published"; those cuts are of classifiers. For task %s use another partition`, c.Task)
		}
	}
	if f := taskFormats[c.Task]; !slices.Contains(f, c.Data.Format) {
		fault("data.format", "data.format is %q; task %s reads %s", c.Data.Format, c.Task, strings.Join(f, ", "))
	}
	for _, e := range c.Expect {
		if m := taskMetrics[c.Task]; !slices.Contains(m, e.Metric) {
			fault("expect", "expect: task %s does not measure %s; it measures %s", c.Task, e.Metric, strings.Join(m, ", "))
		}
	}
}

// checkSegmentation checks what the keys of segmentation must fulfil together.
func (c *Config) checkSegmentation(fault func(key, format string, args ...any)) {
	m, d, v := c.Model.Segmentation, c.Data, c.Eval.Segmentation
	if m.OutputStride != 8 && m.OutputStride != 16 {
		fault("model.segmentation.output_stride", "model.segmentation.output_stride is %d; it must be 8 or 16", m.OutputStride)
	}
	if m.OHEMThreshold == 0 && m.OHEMMinKept > 0 {
		fault("model.segmentation.ohem_min_kept", "model.segmentation.ohem_min_kept has no effect while ohem_threshold is 0; set both or neither")
	}
	if m.Head == "fcn" {
		for _, key := range []string{"aspp_channels", "aspp_rates", "dropout"} {
			c.idle("model.segmentation."+key, "with head fcn, which has no ASPP", fault)
		}
	} else if c.Train.Batch == 1 && c.Model.Norm == "train" {
		fault("train.batch", "train.batch is 1; the image pooling of %s is normalised over the batch and needs at least 2 images, or model.norm frozen", m.Head)
	}
	if c.MANPP.Strategy != "e2e" && c.MANPP.TaskWeight == 0 && c.MANPP.ReconWeight == 0 {
		fault("manpp.task_weight", "manpp.task_weight and manpp.recon_weight are both 0: local heads would have no loss")
	}
	if c.MANPP.ReconWeight == 0 {
		c.idle("manpp.decoder_channels", "while manpp.recon_weight is 0", fault)
	}
	if d.Crop[0]%32 != 0 || d.Crop[1]%32 != 0 {
		fault("data.crop", "data.crop is %v; both sides must be multiples of 32", d.Crop)
	}
	if d.Scale[0] > d.Scale[1] {
		fault("data.scale", "data.scale is %v; the least factor comes first", d.Scale)
	}
	if d.Photometric && d.Jitter != (Jitter{}) {
		fault("data.photometric", "data.photometric and data.jitter both change colours; set photometric to false or all of jitter to 0")
	}
	c.checkLabelMaps(fault)
	switch {
	case v.Mode == "slide" && len(v.Window) == 0:
		fault("eval.segmentation.window", `eval.segmentation.window is empty; mode "slide" needs the window's width and height`)
	case v.Mode == "whole":
		c.idle("eval.segmentation.window", `with mode "whole"`, fault)
		c.idle("eval.segmentation.stride", `with mode "whole"`, fault)
	case len(v.Stride) > 0 && len(v.Window) == 0:
		fault("eval.segmentation.stride", "eval.segmentation.stride needs eval.segmentation.window")
	case len(v.Stride) > 0 && (v.Stride[0] > v.Window[0] || v.Stride[1] > v.Window[1]):
		fault("eval.segmentation.stride", "eval.segmentation.stride %v is larger than the window %v: pixels would be left out", v.Stride, v.Window)
	}
}

// checkLabelMaps checks the keys that depend on the form of the data.
func (c *Config) checkLabelMaps(fault func(key, format string, args ...any)) {
	d := c.Data
	why := "with data.format " + d.Format
	if d.Format != "cityscapes" {
		for _, key := range []string{"data.segmentation.labels", "data.train.split", "data.val.split"} {
			c.idle(key, why, fault)
		}
	} else if d.Train.Split == "" || d.Val.Split == "" {
		fault("data.train.split", "data.train.split and data.val.split must name the splits, such as train and val")
	}
	if d.Format != "folders" {
		for _, key := range []string{"data.segmentation.classes", "data.segmentation.ignore", "data.train.images", "data.train.annotations", "data.val.images", "data.val.annotations"} {
			c.idle(key, why, fault)
		}
	} else if n := len(d.Segmentation.Classes); n < 2 || n > 255 {
		fault("data.segmentation.classes", "data.segmentation.classes has %d names; name the 2 to 255 classes in the order of their values in the label files, from 0", n)
	} else if d.Segmentation.Ignore < n {
		fault("data.segmentation.ignore", "data.segmentation.ignore is %d, the value of class %q; it must be %d to 255", d.Segmentation.Ignore, d.Segmentation.Classes[d.Segmentation.Ignore], n)
	}
	for i, name := range d.Segmentation.Classes {
		if name == "" || slices.Contains(d.Segmentation.Classes[:i], name) {
			fault("data.segmentation.classes", "data.segmentation.classes[%d] is %q; every class needs a name of its own", i, name)
		}
	}
}
