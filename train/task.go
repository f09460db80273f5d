package train

import (
	"context"
	"encoding/json"
	"fmt"

	"manvision/config"
	"manvision/data"
	"manvision/device"
	"manvision/exec"
	"manvision/manpp"
)

// Task is a kind of model that recipes can train: how the data is read for it, and
// how its network is built. A new task is an implementation of it, of Model and of
// Predictor, and an entry in tasks.
type Task interface {
	// Prepare writes data that is drawn rather than read, where it is missing, and
	// says so.
	Prepare(ctx context.Context, cfg *config.Config, say func(string)) error
	// Open reads the training or the validation split of a recipe's data. The latter
	// holds the targets as written, for evaluation.
	Open(cfg *config.Config, val bool) (Split, error)
	// Check looks at every annotation and image of the training or the validation split
	// and lists everything it finds at once, with fixes. The error is for what stops the
	// look itself, such as a cancelled context.
	Check(ctx context.Context, cfg *config.Config, val bool, o data.CheckOptions) ([]data.Finding, error)
	// Loader is how images are prepared: for training, with augmentation, or not.
	// Batch, order and memory are the caller's.
	Loader(cfg *config.Config, augmented bool) data.LoaderConfig
	// ReadClasses reads the classes of a checkpoint, as Classes.MarshalJSON wrote them.
	ReadClasses(raw json.RawMessage) (Classes, error)
	// CountClasses is the number of classes as far as the recipe, or its data where
	// that is there, tells; 0 where it does not.
	CountClasses(cfg *config.Config) (int, error)
	// Numbered makes n classes for a plan without data.
	Numbered(n int) Classes
	// Build makes the model that a recipe describes for the classes. No memory is
	// allocated yet.
	Build(cfg *config.Config, dev device.Device, classes Classes) (Model, error)
}

// Split is one part of a data set.
type Split interface {
	data.Source
	Classes() Classes
	// Objects counts what is annotated on all images; 0 where every pixel or image is.
	Objects() int
	// Notes says what reading left out or mended, "" if nothing.
	Notes() string
}

// Classes are what a model tells apart, in the form in which a task keeps them in a
// checkpoint.
type Classes interface {
	json.Marshaler
	Len() int
	Name(label int) string // label 0..Len-1
	// Diff says in words where o, of the same task, differs; "" where it does not.
	Diff(o Classes) string
}

// Model is a network of one task: *Detector, *Segmenter or *Classifier.
type Model interface {
	// Net is what does not depend on the task.
	Net() *Network
	// NewHeads makes the heads for training on images [n,h,w,3].
	NewHeads(n, h, w int) (manpp.Heads, error)
	// SetTargets puts a batch's targets into heads that NewHeads made, and says in skip
	// which parameters get no gradient from it (manpp.Skipper). It may change the
	// batch's images, which the network sees afterwards.
	SetTargets(h manpp.Heads, b *data.Batch, skip map[string]bool) error
	// NewPredictor returns a predictor that works in the given arenas (nil: own ones).
	NewPredictor(input, arena *exec.Arena) (Predictor, error)
}

// Predictor runs a model over whole images, as the recipe's eval section says:
// *DetectionPredictor, *SegmentationPredictor or *ClassificationPredictor.
type Predictor interface {
	// Warm compiles the program of the largest input, so that too little memory
	// shows before any work: for the images of val, or for one image of the training
	// size where val is nil. It also makes all variables known.
	Warm(val Split) error
	// Foresee compiles the program for n images of h x w at a time, as far as the recipe's
	// eval section lets so many and so large ones be one input.
	Foresee(n, h, w int) error
	// Score predicts every image of val and compares. done, if not nil, is told the
	// images done.
	Score(ctx context.Context, val Split, done func(done, total int)) (*Summary, error)
	Close()
}

// tasks are all that a recipe can name.
var tasks = map[string]Task{"detection": detectionTask{}, "segmentation": segmentationTask{}, "classification": classificationTask{}}

// TaskOf returns the task that a recipe names.
func TaskOf(cfg *config.Config) (Task, error) { return taskNamed(cfg.Task) }

func taskNamed(name string) (Task, error) {
	t, ok := tasks[name]
	if !ok {
		return nil, fmt.Errorf("unknown task %q", name)
	}
	return t, nil
}
