package weights

import (
	"fmt"
	"slices"
	"strings"
)

// Identity says which model a checkpoint belongs to.
type Identity struct {
	Task     string   `json:"task"`     // e.g. "detection"
	Backbone string   `json:"backbone"` // e.g. "resnet50"
	Width    int      `json:"width"`    // channels of the stem
	Classes  int      `json:"classes"`
	Details  []string `json:"details,omitempty"` // whatever else shapes the inference network, "key=value"

	Strategy  string   `json:"strategy"`            // e2e, man, manpp
	Partition []string `json:"partition,omitempty"` // last unit of every block but the final one
}

// IdentityError says that a checkpoint belongs to another model.
type IdentityError struct {
	Path        string
	Differences []string // "backbone resnet18 (wanted resnet50)"
}

// Error reads "best.safetensors: a checkpoint of another model: backbone ...".
func (e *IdentityError) Error() string {
	return fmt.Sprintf("%s: a checkpoint of another model: %s", e.Path, strings.Join(e.Differences, ", "))
}

// CheckInference returns an *IdentityError where the checkpoint's inference
// network is not the wanted one. How it was cut for training does not matter.
func (have Identity) CheckInference(path string, want Identity) error {
	return identityError(path, have.inference(want))
}

// CheckResume is CheckInference that also wants the same strategy and partition.
func (have Identity) CheckResume(path string, want Identity) error {
	d := have.inference(want)
	d = differ(d, "strategy", have.Strategy, want.Strategy)
	if !slices.Equal(have.Partition, want.Partition) {
		d = append(d, fmt.Sprintf("cuts %v (wanted %v)", have.Partition, want.Partition))
	}
	return identityError(path, d)
}

func (have Identity) inference(want Identity) (d []string) {
	d = differ(d, "task", have.Task, want.Task)
	d = differ(d, "backbone", have.Backbone, want.Backbone)
	d = differ(d, "width", have.Width, want.Width)
	d = differ(d, "classes", have.Classes, want.Classes)
	for _, s := range have.Details {
		if !slices.Contains(want.Details, s) {
			d = append(d, fmt.Sprintf("%s (wanted %s)", s, sameKey(want.Details, s)))
		}
	}
	for _, s := range want.Details {
		if sameKey(have.Details, s) == "none" {
			d = append(d, fmt.Sprintf("no %s (wanted %s)", detailKey(s), s))
		}
	}
	return d
}

func differ[T comparable](d []string, what string, have, want T) []string {
	if have == want {
		return d
	}
	return append(d, fmt.Sprintf("%s %v (wanted %v)", what, have, want))
}

func detailKey(s string) string {
	key, _, _ := strings.Cut(s, "=")
	return key
}

// sameKey returns the entry with s's key, or "none".
func sameKey(details []string, s string) string {
	for _, d := range details {
		if detailKey(d) == detailKey(s) {
			return d
		}
	}
	return "none"
}

func identityError(path string, d []string) error {
	if d == nil {
		return nil
	}
	return &IdentityError{path, d}
}
