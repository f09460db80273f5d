// Package config reads a recipe (YAML) into one typed struct per section.
//
// A value comes, in rising order of precedence, from defaults.yaml (every key
// with its unit, range and reason), from the file named by the recipe's "base:"
// key, from the recipe itself and from --set key=value. Lists replace, they are
// never merged. Unknown keys, wrong types and values out of range are errors
// with file and line; where each value came from is kept (see Config.Source).
package config

import "path/filepath"

// Config is a whole recipe. The keys are described in defaults.yaml.
type Config struct {
	Task      string `yaml:"task" enum:"detection,segmentation,classification"`
	Name      string `yaml:"name"`
	Output    string `yaml:"output"` // absolute after Load
	Seed      uint64 `yaml:"seed"`
	Threads   int    `yaml:"threads" min:"0" max:"1024"` // 0: all cores
	Precision string `yaml:"precision" enum:"f32,bf16"`
	Tune      bool   `yaml:"tune"` // algorithms by timing

	Model    Model    `yaml:"model"`
	MANPP    MANPP    `yaml:"manpp"`
	Data     Data     `yaml:"data"`
	Optim    Optim    `yaml:"optim"`
	Schedule Schedule `yaml:"schedule"`
	Train    Train    `yaml:"train"`
	Eval     Eval     `yaml:"eval"`
	Expect   []Expect `yaml:"expect"`

	sources map[string]Source
	layers  []*layer // the defaults first; for Given
}

// Model describes the network that remains at inference, and its losses. Keys of
// another task than the recipe's have no effect; see Config.checkTask.
type Model struct {
	Backbone   string `yaml:"backbone" enum:"resnet18,resnet34,resnet50,resnet101,resnet152,resnext50_32x4d,resnext101_32x8d,wide_resnet50_2,cifar_resnet20,cifar_resnet32,cifar_resnet44,cifar_resnet56,cifar_resnet110,cifar_resnet20_a,cifar_resnet32_a,cifar_resnet44_a,cifar_resnet56_a,cifar_resnet110_a,vit_ti_16,vit_s_16,vit_b_16,vit_ti_16_manpp,vit_s_16_manpp,vit_b_16_manpp"`
	Width      int    `yaml:"width" min:"0" max:"1024"` // channels of the stem and the first stage; 0: as published
	Pretrained string `yaml:"pretrained"`               // absolute after Load; empty: from scratch
	// PretrainedShare is how much of the backbone the file must hold.
	PretrainedShare float64 `yaml:"pretrained_share" min:"0" max:"1"`

	Norm      string  `yaml:"norm" enum:"train,frozen"`
	Channels  int     `yaml:"fpn_channels" min:"4" max:"4096"`
	HeadConvs int     `yaml:"head_convs" min:"0" max:"16"`
	Anchors   Anchors `yaml:"anchors"`
	Loss      Loss    `yaml:"loss"`

	Segmentation   SegmentationModel   `yaml:"segmentation"`
	Classification ClassificationModel `yaml:"classification"`
}

// ClassificationModel describes the loss of a classifier. Its head has nothing to
// choose.
type ClassificationModel struct {
	LabelSmoothing float64 `yaml:"label_smoothing" min:"0" below:"1"`
}

// SegmentationModel describes the heads of a segmentation network and its loss.
type SegmentationModel struct {
	Head          string  `yaml:"head" enum:"deeplabv3,deeplabv3plus,fcn"`
	OutputStride  int     `yaml:"output_stride" min:"8" max:"16"` // 8 or 16
	ASPPChannels  int     `yaml:"aspp_channels" min:"4" max:"4096"`
	ASPPRates     []int   `yaml:"aspp_rates,flow" min:"1" max:"256" len:"0,3"` // empty: by the output stride
	Dropout       float64 `yaml:"dropout" min:"0" below:"1"`                   // after the ASPP
	HeadDropout   float64 `yaml:"head_dropout" min:"0" below:"1"`              // in FCN heads
	AuxWeight     float64 `yaml:"aux_weight" min:"0" max:"100"`
	OHEMThreshold float64 `yaml:"ohem_threshold" min:"0" below:"1"` // 0: off
	OHEMMinKept   int     `yaml:"ohem_min_kept" min:"0" max:"1000000000"`
}

// Anchors describes the anchor boxes of the pyramid levels P3 to P7.
type Anchors struct {
	Sizes  []float64 `yaml:"sizes,flow" above:"0" max:"100000" len:"5"` // pixels, one per level
	Ratios []float64 `yaml:"ratios,flow" above:"0" max:"1000" minlen:"1"`
	Scales []float64 `yaml:"scales,flow" above:"0" max:"1000" minlen:"1"`
}

// Loss holds the numbers of the detection losses and of the assignment.
type Loss struct {
	FocalAlpha   float64 `yaml:"focal_alpha" min:"0" max:"1"`
	FocalGamma   float64 `yaml:"focal_gamma" min:"0" max:"10"`
	SmoothL1Beta float64 `yaml:"smooth_l1_beta" min:"0" max:"100"`
	Prior        float64 `yaml:"prior" above:"0" below:"1"`
	PositiveIoU  float64 `yaml:"positive_iou" above:"0" max:"1"`
	NegativeIoU  float64 `yaml:"negative_iou" min:"0" max:"1"`
}

// MANPP describes how the network is cut and trained.
type MANPP struct {
	Strategy       string   `yaml:"strategy" enum:"e2e,greedy,dgl,predsim,infopro,auglocal,mlaan,man,manpp"`
	Partition      string   `yaml:"partition" enum:"stages,every-unit,balanced,published,cuts"`
	Published      string   `yaml:"published" enum:"main,balanced,balanced-stl,infopro"` // which published cuts
	Stem           bool     `yaml:"stem"`                                                // whether the stem is a block of its own
	Cuts           []string `yaml:"cuts,flow"`                                           // names of the last unit of each block but the final one
	Blocks         int      `yaml:"blocks" min:"0" max:"256"`                            // K; 0: whatever the partition gives
	MemoryLimit    string   `yaml:"memory_limit"`                                        // such as 8GiB; empty: none
	Concurrency    Count    `yaml:"concurrency" max:"256"`                               // blocks that may run at once
	Recompute      string   `yaml:"recompute" enum:"norms,convs"`                        // what the backward pass computes again
	EMAMomentum    float64  `yaml:"ema_momentum" min:"0" max:"1"`
	SDecay         bool     `yaml:"s_decay"`
	Quirks         string   `yaml:"quirks" enum:"fixed,released"`
	LocalHeadConvs int      `yaml:"local_head_convs" min:"0" max:"16"`

	LocalChannels   int     `yaml:"local_channels" min:"0" max:"4096"` // 0: a quarter of the feature's
	TaskWeight      float64 `yaml:"task_weight" min:"0" max:"100"`
	ReconWeight     float64 `yaml:"recon_weight" min:"0" max:"100"`
	DecoderChannels int     `yaml:"decoder_channels" min:"0" max:"4096"` // 0: by the stride

	Classification LocalClassifier `yaml:"classification"`
}

// LocalClassifier describes the local heads of a classifier.
type LocalClassifier struct {
	Head         string    `yaml:"head" enum:"auto,0c1f,0c2f,1c1f,1c2f,1c3f,2c2f,dgl,predsim,imagenet,token"`
	FeatureDim   int       `yaml:"feature_dim" min:"1" max:"65536"`
	TaskWeights  []float64 `yaml:"task_weights,flow" min:"0" max:"1000" len:"2"`  // of the first and the last local head
	ReconWeights []float64 `yaml:"recon_weights,flow" min:"0" max:"1000" len:"2"` // likewise
	Contrast     bool      `yaml:"contrast"`
	Temperature  float64   `yaml:"temperature" above:"0" max:"100"`
	Depth        int       `yaml:"depth" min:"0" max:"64"` // units of auxiliary networks; 0: the strategy's own
}

// Data describes the images, their preparation and the loader.
type Data struct {
	Format       string  `yaml:"format" enum:"coco,shapes,cityscapes,folders,cifar10,cifar100,imagenet,svhn,stl"`
	Root         string  `yaml:"root"` // absolute after Load
	Train        Split   `yaml:"train"`
	Val          Split   `yaml:"val"`
	Shapes       Shapes  `yaml:"shapes"`
	ShortSide    int     `yaml:"short_side" min:"0" max:"16384"`                  // pixels
	LongSide     int     `yaml:"long_side" min:"0" max:"16384"`                   // pixels
	FixedSize    []int   `yaml:"fixed_size,flow" min:"32" max:"16384" len:"0,2"`  // width, height
	Canvases     [][]int `yaml:"canvases,flow" min:"32" max:"16384" innerlen:"2"` // width, height
	Flip         float64 `yaml:"flip" min:"0" max:"1"`
	Jitter       Jitter  `yaml:"jitter"`
	Workers      int     `yaml:"workers" min:"0" max:"256"`
	Prefetch     int     `yaml:"prefetch" min:"1" max:"256"`         // batches
	PrefetchMiB  int     `yaml:"prefetch_mib" min:"1" max:"1048576"` // of all of them
	ReducedJPEG  string  `yaml:"reduced_decode" enum:"off,auto"`
	OnBadImage   string  `yaml:"on_bad_image" enum:"error,skip"`
	SkipBadBoxes bool    `yaml:"skip_bad_boxes"`

	Segmentation LabelMaps `yaml:"segmentation"`
	BaseSize     []int     `yaml:"base_size,flow" min:"32" max:"16384" len:"0,2"` // width, height
	Scale        []float64 `yaml:"scale,flow" above:"0" max:"8" len:"2"`          // least and greatest factor
	Crop         []int     `yaml:"crop,flow" min:"32" max:"16384" len:"2"`        // width, height
	CatMaxRatio  float64   `yaml:"cat_max_ratio" above:"0" max:"1"`
	Photometric  bool      `yaml:"photometric"`

	Classification ClassImages `yaml:"classification"`
}

// ClassImages says how images with one class each are read and prepared.
type ClassImages struct {
	Coarse    bool      `yaml:"coarse"`
	Normalize string    `yaml:"normalize" enum:"auto,imagenet,cifar,half"`
	Pad       int       `yaml:"pad" min:"0" max:"31"` // pixels on each side
	PadMode   string    `yaml:"pad_mode" enum:"reflect,black"`
	Size      []int     `yaml:"size,flow" min:"32" max:"4096" len:"2"` // width, height
	Resize    int       `yaml:"resize" min:"32" max:"4096"`            // pixels of the short side
	PartScale []float64 `yaml:"part_scale,flow" above:"0" max:"1" len:"2"`
	PartRatio []float64 `yaml:"part_ratio,flow" min:"0.01" max:"100" len:"2"`
	Antialias bool      `yaml:"antialias"`

	// ImageNet as it comes, relative to Data.Root: see imagenet.Options.
	GroundTruth string `yaml:"ground_truth"`
	IDs         string `yaml:"ids"`
	Names       string `yaml:"names"`
}

// LabelMaps says what the values of label files mean.
type LabelMaps struct {
	Labels  string   `yaml:"labels" enum:"auto,labelIds,labelTrainIds,polygons"`
	Classes []string `yaml:"classes,flow"` // names in the order of the values, from 0
	Ignore  int      `yaml:"ignore" min:"0" max:"255"`
}

// Split names the images and the annotations (of segmentation: the folder of label
// files) of one part of the data. Relative paths are relative to Data.Root.
type Split struct {
	Images      string `yaml:"images"`
	Annotations string `yaml:"annotations"`
	Split       string `yaml:"split"` // of data sets that have splits of their own
}

// Shapes describes the procedural data set that is written to Data.Root.
type Shapes struct {
	Train int    `yaml:"train" min:"1" max:"1000000"` // images
	Val   int    `yaml:"val" min:"1" max:"1000000"`   // images
	Size  int    `yaml:"size" min:"32" max:"4096"`    // pixels, both sides
	Seed  uint64 `yaml:"seed"`
}

// Jitter holds the greatest change of each colour property; 0 is none.
type Jitter struct {
	Brightness float64 `yaml:"brightness" min:"0" max:"1"`
	Contrast   float64 `yaml:"contrast" min:"0" max:"1"`
	Saturation float64 `yaml:"saturation" min:"0" max:"1"`
	Hue        float64 `yaml:"hue" min:"0" max:"0.5"` // share of the colour circle
}

// Optim describes the update rule and the settings by parameter.
type Optim struct {
	Name        string    `yaml:"name" enum:"sgd,adamw"`
	LR          float64   `yaml:"lr" above:"0" max:"1000"`
	Momentum    float64   `yaml:"momentum" min:"0" below:"1"`
	Nesterov    bool      `yaml:"nesterov"`
	WeightDecay float64   `yaml:"weight_decay" min:"0" max:"10"`
	NormDecay   bool      `yaml:"norm_decay"`
	BiasDecay   bool      `yaml:"bias_decay"`
	Betas       []float64 `yaml:"betas,flow" min:"0" below:"1" len:"2"`
	Eps         float64   `yaml:"eps" above:"0" max:"1"`
	ClipNorm    float64   `yaml:"clip_norm" min:"0" max:"1000000"` // 0: no clipping
	Clip        string    `yaml:"clip" enum:"global,block"`
	Groups      []Group   `yaml:"groups"`
}

// Group changes the settings of the parameters whose name matches; it has the
// meaning of optim.Group.
type Group struct {
	Match       string   `yaml:"match"`
	LRScale     *float64 `yaml:"lr_scale,omitempty" min:"0" max:"1000"`
	WeightDecay *float64 `yaml:"weight_decay,omitempty" min:"0" max:"10"`
	Frozen      bool     `yaml:"frozen,omitempty"`
}

// Schedule describes the learning rate as a function of the global step; it has
// the meaning of optim.Schedule.
type Schedule struct {
	Name         string  `yaml:"name" enum:"constant,multistep,poly,cosine"`
	WarmupSteps  int     `yaml:"warmup_steps" min:"0" max:"1000000000"`
	WarmupFactor float64 `yaml:"warmup_factor" min:"0" max:"1"`
	Milestones   []int   `yaml:"milestones,flow" min:"0" max:"1000000000"`
	Gamma        float64 `yaml:"gamma" above:"0" max:"10"`
	Power        float64 `yaml:"power" above:"0" max:"100"`
	MinLR        float64 `yaml:"min_lr" min:"0" max:"1000"`
	Steps        int     `yaml:"steps" min:"0" max:"1000000000"` // 0: the length of the run
}

// Train describes the length of the run and its rhythm. One of Steps and Epochs
// is 0.
type Train struct {
	Batch           int `yaml:"batch" min:"1" max:"65536"`
	Accumulate      int `yaml:"accumulate" min:"1" max:"65536"` // batches a step
	Steps           int `yaml:"steps" min:"0" max:"1000000000"`
	Epochs          int `yaml:"epochs" min:"0" max:"1000000"`
	EvalEvery       int `yaml:"eval_every" min:"0" max:"1000000000"`       // steps; 0: at the end only
	CheckpointEvery int `yaml:"checkpoint_every" min:"0" max:"1000000000"` // steps; 0: at the end only
	LogEvery        int `yaml:"log_every" min:"1" max:"1000000000"`        // steps
	Keep            int `yaml:"keep" min:"1" max:"10000"`                  // checkpoints beside best and last

	OnNaN       string `yaml:"on_nan" enum:"stop,skip"`
	NaNLimit    int    `yaml:"nan_limit" min:"1" max:"1000000"` // skipped steps of the whole run
	TensorBoard bool   `yaml:"tensorboard"`

	WeightEMA float64 `yaml:"weight_ema" min:"0" below:"1"` // 0: none
	Mixup     float64 `yaml:"mixup" min:"0" max:"100"`      // 0: none
}

// Eval describes how raw predictions become results.
type Eval struct {
	ScoreThreshold float64 `yaml:"score_threshold" min:"0" max:"1"`
	NMSIoU         float64 `yaml:"nms_iou" min:"0" max:"1"`
	MaxDetections  int     `yaml:"max_detections" min:"1" max:"100000"` // per image
	PreNMS         int     `yaml:"pre_nms" min:"1" max:"1000000"`       // per image and level
	Batch          int     `yaml:"batch" min:"1" max:"65536"`

	Segmentation View `yaml:"segmentation"`
}

// View describes how a segmentation network looks at whole pictures; it has the
// meaning of segmentation.ViewOptions.
type View struct {
	Mode   string    `yaml:"mode" enum:"auto,whole,slide"`
	Window []int     `yaml:"window,flow" min:"32" max:"16384" len:"0,2"` // width, height
	Stride []int     `yaml:"stride,flow" min:"1" max:"16384" len:"0,2"`  // x, y
	Scales []float64 `yaml:"scales,flow" above:"0" max:"8" minlen:"1"`
	Flip   bool      `yaml:"flip"`
	Size   []int     `yaml:"size,flow" min:"32" max:"16384" len:"0,2"` // width, height
}

// TotalSteps returns the length of the run in steps for a data set whose epoch has
// that many batches, Accumulate of which make a step; the last step may go beyond the
// last epoch.
func (t Train) TotalSteps(batchesPerEpoch int) int {
	if t.Steps > 0 {
		return t.Steps
	}
	n := max(t.Accumulate, 1)
	return (t.Epochs*batchesPerEpoch + n - 1) / n
}

// Path returns the absolute path of a file of the data set: rel itself where it
// is absolute, else Root joined with it.
func (d Data) Path(rel string) string {
	if filepath.IsAbs(rel) {
		return rel
	}
	return filepath.Join(d.Root, rel)
}
