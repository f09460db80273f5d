package train

import (
	"io/fs"
	"path/filepath"
	"strings"
	"testing"

	"manvision/config"
	"manvision/device/ref"
	"manvision/internal/testdata"
)

// Every classification recipe loads and its step is planned, on two small pictures and
// the reference device: partition, strategy and heads fit each other. Files whose names
// end in _kK have K blocks; those of the papers' tables that count otherwise are listed.
func TestClassificationRecipesPlan(t *testing.T) {
	dev := ref.NewThreads(1)
	defer dev.Close()
	counts := map[string]int{"cifar10_resnet32_man_k16": 15, "cifar10_resnet110_manpp_k32": 33, "cifar10_resnet32_manpp_k16_full": 16}
	dir := filepath.Join(testdata.Root(), "configs/classification")
	seen := 0
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		seen++
		name := strings.TrimSuffix(d.Name(), ".yaml")
		cfg, err := config.Load(path, []string{"data.root=nowhere"})
		if err != nil {
			return err
		}
		p, err := Plan(cfg, dev, 10, 2, 32, 32)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			return nil
		}
		want, ok := counts[name]
		if _, k, found := strings.Cut(name, "_k"); found && !ok {
			for _, c := range k {
				want = 10*want + int(c-'0')
			}
		} else if !ok {
			want = 1
		}
		if n := len(p.Recipe.Memory.Blocks); n != want {
			t.Errorf("%s: %d blocks, want %d", name, n, want)
		}
		if kept := p.Recipe.Memory.Gradients > 0; kept != (cfg.Train.Accumulate > 1 || cfg.MANPP.Strategy == "mlaan") {
			t.Errorf("%s: gradients kept: %v", name, kept)
		}
		return nil
	})
	if err != nil || seen < 20 {
		t.Errorf("%d recipes, %v", seen, err)
	}
}
