package main

import (
	"manvision/config"
	"manvision/detection"
	"manvision/internal/cli"
)

// validate looks at what can be seen without files.
func (o *options) validate(set func(flag string) bool) error {
	outputs := 0
	for _, path := range []string{o.json, o.jsonl, o.csv} {
		if path == "-" {
			outputs++
		}
	}
	switch {
	case o.checkpoint == "":
		return cli.Usage("--checkpoint is missing: the model's weights; see 'predict --help'")
	case len(o.inputs) == 0 && o.list == "":
		return cli.Usage("--input is missing: an image, a folder, a pattern or a video; see 'predict --help'")
	case o.draw != "" && o.draw != drawPictures && o.draw != drawVideo && o.draw != drawNone:
		return cli.Usage("--draw %q is none of pictures, video, none", o.draw)
	case o.out == "" && o.draw != drawNone:
		return cli.Usage("--out is missing: the folder for the pictures (or --draw none); see 'predict --help'")
	case outputs > 1:
		return cli.Usage("only one of --json, --jsonl and --csv can go to stdout")
	case o.json != "" && (o.json == o.jsonl || o.json == o.csv) || o.jsonl != "" && o.jsonl == o.csv:
		return cli.Usage("--json, --jsonl and --csv name the same file")
	case !(o.score >= 0 && o.score <= 1):
		return cli.Usage("--score %v must be 0 to 1", o.score)
	case set("score-threshold") && !(o.threshold >= 0 && o.threshold < 1):
		return cli.Usage("--score-threshold %v must be 0 to below 1", o.threshold)
	case set("nms-iou") && !(o.nmsIoU >= 0 && o.nmsIoU <= 1):
		return cli.Usage("--nms-iou %v must be 0 to 1", o.nmsIoU)
	case set("max-detections") && (o.most < 1 || o.most > 100000):
		return cli.Usage("--max-detections %d must be 1 to 100000", o.most)
	case set("batch") && (o.batch < 1 || o.batch > 4096):
		return cli.Usage("--batch %d must be 1 to 4096", o.batch)
	case o.every < 1:
		return cli.Usage("--every %d must be at least 1", o.every)
	case o.skipBad && o.keepGoing:
		return cli.Usage("--skip-bad and --keep-going both leave files out and differ in the exit status: give one of them")
	case o.threads < 0:
		return cli.Usage("--threads is negative: %d", o.threads)
	}
	return nil
}

// leaveOut says whether files that cannot be read are left out.
func (o *options) leaveOut() bool { return o.skipBad || o.keepGoing }

// toStdout says whether an output goes to stdout, which then holds nothing else.
func (o *options) toStdout() bool { return o.json == "-" || o.jsonl == "-" || o.csv == "-" }

// post puts the flags in the place of a detector's settings. Boxes that are to be drawn
// have to be found.
func (o *options) post(p detection.PostConfig) detection.PostConfig {
	if p.ScoreThreshold = min(p.ScoreThreshold, o.score); o.threshold >= 0 {
		p.ScoreThreshold = o.threshold
	}
	if o.nmsIoU >= 0 {
		p.NMSIoU = o.nmsIoU
	}
	if o.most > 0 {
		p.MaxDetections = o.most
	}
	return p
}

// applyPost is post of a recipe.
func (o *options) applyPost(e *config.Eval) {
	p := o.post(detection.PostConfig{ScoreThreshold: e.ScoreThreshold, NMSIoU: e.NMSIoU, MaxDetections: e.MaxDetections})
	e.ScoreThreshold, e.NMSIoU, e.MaxDetections = p.ScoreThreshold, p.NMSIoU, p.MaxDetections
}

// boxFlag is the first flag given that only detectors know, --score aside, "" if none is.
func (o *options) boxFlag() string {
	switch {
	case o.threshold >= 0:
		return "score-threshold"
	case o.nmsIoU >= 0:
		return "nms-iou"
	case o.most > 0:
		return "max-detections"
	case len(o.classes) > 0:
		return "classes"
	}
	return ""
}
