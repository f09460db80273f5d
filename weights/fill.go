package weights

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Fit compares the file with the wanted tensors of a model, of which only names
// and shapes matter, as the function Fit does.
func (f *File) Fit(want []Tensor) *Report {
	have := make([]Tensor, 0, len(f.infos))
	for _, i := range f.infos {
		have = append(have, Tensor{Name: i.Name, Shape: i.Shape})
	}
	return Fit(want, have)
}

// Fill reads what the report says can be loaded and hands each tensor, under the
// model's name, to set. Tensors come in the order of their bytes in the file.
func (f *File) Fill(r *Report, set func(t Tensor) error) error {
	names := slices.Clone(r.Loaded)
	slices.SortStableFunc(names, func(a, b string) int {
		x, _ := f.Info(r.From(a))
		y, _ := f.Info(r.From(b))
		return cmp.Compare(x.begin, y.begin)
	})
	for _, name := range names {
		t, err := f.Read(r.From(name))
		if err != nil {
			return err
		}
		t.Name = name
		if err := set(t); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	return nil
}

// Plain returns the checkpoint's network as other programs want it: parameters and
// running statistics under their own names, which are torchvision's, but for those
// that begin with skip (what only local training needs; "" skips nothing), without
// optimizer states and metadata. Written with WriteFile it is a safetensors file
// whose tensors PyTorch's load_state_dict takes.
func (c *Checkpoint) Plain(skip string) []Tensor {
	var out []Tensor
	for _, part := range [][]Tensor{c.Params, c.Buffers} {
		for _, t := range part {
			if skip == "" || !strings.HasPrefix(t.Name, skip) {
				out = append(out, t)
			}
		}
	}
	return out
}
