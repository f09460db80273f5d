package weights

import (
	"path/filepath"
	"testing"
)

// 100 MB of float32, about a ResNet-50.
func BenchmarkSave(b *testing.B) {
	c := &Checkpoint{Params: []Tensor{{Name: "w", Shape: []int{25 << 20}, Data: make([]float32, 25<<20)}}}
	path := filepath.Join(b.TempDir(), "a.safetensors")
	b.SetBytes(100 << 20)
	for b.Loop() {
		if err := Save(path, c); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkLoad(b *testing.B) {
	c := &Checkpoint{Params: []Tensor{{Name: "w", Shape: []int{25 << 20}, Data: make([]float32, 25<<20)}}}
	path := filepath.Join(b.TempDir(), "a.safetensors")
	if err := Save(path, c); err != nil {
		b.Fatal(err)
	}
	b.SetBytes(100 << 20)
	for b.Loop() {
		if _, err := LoadParams(path); err != nil {
			b.Fatal(err)
		}
	}
}
