package golden

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// File is one golden trajectory. Fields that a model does not use stay zero.
type File struct {
	Config       Config            `json:"config"`
	Steps        []Step            `json:"steps"`
	ParamsAfter  map[string]Tensor `json:"params_after"`  // after the last step
	BuffersAfter map[string]Tensor `json:"buffers_after"` // running statistics after the last step
	Targets      []Target          `json:"targets"`       // RetinaNet: one per image
	Eval         map[string]Tensor `json:"eval"`          // RetinaNet: cls_preds, reg_preds, anchors
	EvalLogits   [][]float64       `json:"eval_logits"`   // classifiers: [batch][class]
	Deviation    Deviation         `json:"float32_deviation"`

	Name string `json:"-"` // file name without folder and ".json"
}

// Config is what a trajectory was computed with.
type Config struct {
	Model       string  `json:"model"` // "retinanet", "resnet32", "resnet110", "vit"
	Strategy    string  `json:"strategy"`
	K           int     `json:"K"`
	Batch       int     `json:"batch"`
	Classes     int     `json:"classes"`
	EMAMomentum float64 `json:"ema_momentum"`
	EMAOrder    string  `json:"ema_order"` // "before_backward" or empty: after the block's backward
	Seed        uint64  `json:"seed"`
	Clip        float64 `json:"clip"` // global gradient norm, 0: no clipping

	// RetinaNet.
	Block                string  `json:"block"` // "basic" or "bottleneck"
	Layers               []int   `json:"layers"`
	Height               int     `json:"height"`
	Width                int     `json:"width"`
	FPNChannels          int     `json:"fpn_channels"`
	AuxHeadConvs         int     `json:"aux_head_convs"`
	ClsOutBias           float64 `json:"cls_out_bias"`
	SubnetOutWeightScale float64 `json:"subnet_out_weight_scale"`

	// Classifiers.
	Image         int `json:"image"`
	AuxFeatureDim int `json:"aux_feature_dim"`
	Patch         int `json:"patch"`
	Dim           int `json:"dim"`
	Heads         int `json:"heads"`
	Depth         int `json:"depth"`
	AuxDepth      int `json:"aux_depth"`

	Optimizer Optimizer `json:"optimizer"`
}

// Optimizer is the optimizer of a trajectory, "sgd" or "adamw" as PyTorch
// defines them.
type Optimizer struct {
	Name        string     `json:"name"`
	LR          float64    `json:"lr"`
	Momentum    float64    `json:"momentum"`
	Nesterov    bool       `json:"nesterov"`
	WeightDecay float64    `json:"weight_decay"`
	Betas       [2]float64 `json:"betas"`
	Eps         float64    `json:"eps"`
}

// Step is what one optimizer step gave.
type Step struct {
	Losses   Losses            `json:"losses"`
	Grads    map[string]Tensor `json:"grads"`     // before clipping; first step only
	GradNorm float64           `json:"grad_norm"` // before clipping; RetinaNet only
}

// Losses are a step's losses. A RetinaNet fills Aux (one per auxiliary head, cls
// + reg each), Cls and Reg; a classifier fills Blocks, one per block, the real
// classifier last.
type Losses struct {
	Aux    []float64 `json:"aux"`
	Cls    float64   `json:"cls"`
	Reg    float64   `json:"reg"`
	Blocks []float64 `json:"-"`
}

// UnmarshalJSON reads either form: an object for a RetinaNet, a list for a
// classifier.
func (l *Losses) UnmarshalJSON(data []byte) error {
	if data = bytes.TrimSpace(data); len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, &l.Blocks)
	}
	type plain Losses
	return json.Unmarshal(data, (*plain)(l))
}

// Tensor is what a file keeps of a tensor: see Probe.
type Tensor struct {
	Shape []int   `json:"shape"`
	L2    float64 `json:"l2"`
	Probe float64 `json:"probe"`
}

// Target holds the boxes of one image: corners x1 y1 x2 y2 in pixels, and a
// class in [0, Config.Classes) per box.
type Target struct {
	Boxes  [][4]float64 `json:"boxes"`
	Labels []int32      `json:"labels"`
}

// Deviation is how far the release's own float32 run strays from its float64
// run, relative (Losses: per step).
type Deviation struct {
	Losses       []float64 `json:"losses"`
	Grads        float64   `json:"grads_step1"`
	ParamsAfter  float64   `json:"params_after"`
	BuffersAfter float64   `json:"buffers_after"`
	Eval         float64   `json:"eval"`
}

// Read reads one golden file. The error names the file.
func Read(path string) (*File, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("golden: %w", err)
	}
	f := &File{Name: strings.TrimSuffix(filepath.Base(path), ".json")}
	if err := json.Unmarshal(data, f); err != nil {
		return nil, fmt.Errorf("golden: %s: %w", path, err)
	}
	if f.Config.Model == "" || len(f.Steps) == 0 {
		return nil, fmt.Errorf("golden: %s: no config.model or no steps: not a golden trajectory", path)
	}
	return f, nil
}

// ReadDir reads every golden JSON file of a folder whose config.model is one of
// models (none named: every model), ordered by file name. Other JSON files are
// errors: a golden that is not read proves nothing.
func ReadDir(dir string, models ...string) ([]*File, error) {
	paths, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, fmt.Errorf("golden: %s: %w", dir, err)
	}
	sort.Strings(paths)
	var files []*File
	for _, path := range paths {
		f, err := Read(path)
		if err != nil {
			return nil, err
		}
		keep := len(models) == 0
		for _, m := range models {
			keep = keep || m == f.Config.Model
		}
		if keep {
			files = append(files, f)
		}
	}
	return files, nil
}
