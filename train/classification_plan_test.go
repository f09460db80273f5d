package train

import (
	"path/filepath"
	"testing"

	"manvision/config"
	"manvision/internal/testdata"
)

// The recipes of ResNet-32 are planned without data, in the blocks that METHOD §1.4
// counts (MAN's table of 16 has 15), and need less than end-to-end training where
// nothing but DGL's heads stands beside the blocks.
func TestCIFARRecipes(t *testing.T) {
	dev := onCPU(t, 2)
	for name, blocks := range map[string]int{"e2e": 1, "dgl_k16": 16, "man_k16": 15, "manpp_k16": 16, "infopro_k16": 16, "mlaan_k16": 16} {
		cfg, err := config.Load(filepath.Join(testdata.Root(), "configs/classification/cifar10_resnet32_"+name+".yaml"), []string{"data.root=nowhere"})
		if err != nil {
			t.Fatal(err)
		}
		p, err := Plan(cfg, dev, 10, cfg.Train.Batch, 32, 32)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if n := len(p.Recipe.Memory.Blocks); n != blocks || p.Input[0] != 128 {
			t.Errorf("%s: %d blocks", name, n)
		}
		if name == "dgl_k16" && p.Ratio >= 1 {
			t.Errorf("%s needs %.2f of end-to-end training's memory", name, p.Ratio)
		}
	}
}
