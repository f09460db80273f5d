package torchfile

import (
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"manvision/weights"
)

// What is written comes back, in both forms, alone and within a training program's dict.
func TestWrite(t *testing.T) {
	want := Fill([]weights.Tensor{{Name: "conv.weight", Shape: []int{2, 3, 1, 1}}, {Name: "bn.running_var", Shape: []int{4}}, {Name: "bn.num_batches_tracked"}, {Name: "s"}})
	for _, key := range []string{"", "state_dict"} {
		for form, legacy := range map[string]bool{"PyTorch zip": false, "PyTorch legacy": true} {
			path := filepath.Join(t.TempDir(), "x.pth")
			if err := Write(path, want, key, legacy); err != nil {
				t.Fatal(err)
			}
			f, err := weights.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			if f.Format() != form || f.Key() != key || len(f.Tensors()) != len(want) {
				t.Error(f.Format(), f.Key(), f.Tensors())
			}
			for _, w := range want {
				got, err := f.Read(w.Name)
				if got.Shape == nil {
					got.Shape = w.Shape
				}
				if d := cmp.Diff(w.Data, got.Data); err != nil || d != "" || !cmp.Equal(w.I64, got.I64) || len(w.Shape) != len(got.Shape) {
					t.Errorf("%s %s: %v %s", form, w.Name, err, d)
				}
			}
			if err := f.Close(); err != nil {
				t.Error(err)
			}
		}
	}
}
