package golden

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Check values of the golden files' own description.
func TestStream(t *testing.T) {
	if got, want := FNV("conv1.weight"), uint64(0x69a29a2cee47d254); got != want {
		t.Errorf("FNV = %#x, want %#x", got, want)
	}
	want := []float64{-0.7050427925701637, 0.14816889661933086, 0.7054556350692378, 0.9394504699781159}
	if d := cmp.Diff(want, U("input", 1, 4)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]float64{-0.4008684754371643, 0.433709979057312}, Param("conv1.weight", []int{16, 3, 3, 3}, 1)[:2]); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int{7, 2, 3, 7, 9, 5, 7, 7, 8, 3, 5, 2, 4, 6, 5, 9}, Ints("labels", 1, 16, 10)); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]int{9, 5, 7, 7}, Ints("labels", 5, 4, 10)); d != "" { // ViT, seed 5
		t.Error(d)
	}
}

func TestParamRules(t *testing.T) {
	u := func(name string) float64 { return U(name, 3, 1)[0] }
	f := &File{Config: Config{Model: "retinanet", Seed: 3, ClsOutBias: -math.Log(99), SubnetOutWeightScale: 0.1}}
	for _, c := range []struct {
		name  string
		shape []int
		want  float64
	}{
		{"bn1.weight", []int{8}, float64(float32(1 + 0.2*u("bn1.weight")))},
		{"bn1.bias", []int{8}, float64(float32(0.1 * u("bn1.bias")))},
		{"ema_s.0", nil, float64(float32(1 + 0.3*u("ema_s.0")))},
		{"cls_subnet.out.bias", []int{27}, -math.Log(99)},
		{"reg_subnet.out.bias", []int{36}, float64(float32(0.1 * u("reg_subnet.out.bias")))},
		{"aux_det_heads.2.reg_subnet.out.weight", []int{36, 16, 3, 3},
			0.1 * float64(float32(u("aux_det_heads.2.reg_subnet.out.weight")*math.Sqrt(6.0/(16*9))))},
	} {
		got := f.Param(c.name, c.shape)
		if got[0] != c.want || len(got) != Elements(c.shape) {
			t.Errorf("%s: %v (%d values), want %v", c.name, got[0], len(got), c.want)
		}
	}
}

func TestLoad(t *testing.T) {
	files := Load(t, "retinanet", "resnet32")
	if len(files) < 4 {
		t.Fatalf("%d files, want at least 4", len(files))
	}
	for _, f := range files {
		first := f.Steps[0]
		if len(f.Steps) != 3 || len(first.Grads) == 0 || len(f.ParamsAfter) == 0 {
			t.Errorf("%s: %d steps, %d gradients, %d parameters", f.Name, len(f.Steps), len(first.Grads), len(f.ParamsAfter))
		}
		switch f.Config.Model {
		case "retinanet":
			if len(first.Losses.Aux) != f.Config.K-1 || first.Losses.Cls == 0 || first.GradNorm == 0 || len(f.Targets) != f.Config.Batch {
				t.Errorf("%s: losses %+v, %d targets", f.Name, first.Losses, len(f.Targets))
			}
		case "resnet32":
			if len(first.Losses.Blocks) < f.Config.K || len(f.EvalLogits) != f.Config.Batch {
				t.Errorf("%s: losses %+v", f.Name, first.Losses)
			}
		}
	}
}

func TestReadRejects(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"cut.json": `{"steps": [`, "other.json": `{"a": 1}`, "type.json": `{"steps": "x"}`} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Read(path); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: error %v does not name the file", name, err)
		}
	}
	if _, err := ReadDir(dir); err == nil {
		t.Error("a folder with a broken golden reads without an error")
	}
}

func TestLoadFromEnvironment(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(DirEnv, dir)
	for _, name := range []string{"extra", "vit_k4"} { // one new, one that replaces ours
		text := `{"config": {"model": "vit", "K": 7}, "steps": [{"losses": [1, 2]}]}`
		if err := os.WriteFile(filepath.Join(dir, name+".json"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	files := Load(t, "vit")
	if len(files) != 2 || files[0].Config.K != 7 || files[1].Name != "extra" || len(files[1].Steps[0].Losses.Blocks) != 2 {
		t.Errorf("%+v", files)
	}
}
