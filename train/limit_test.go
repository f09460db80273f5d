package train

import (
	"strings"
	"testing"

	"manvision/config"
)

// A limit takes the smallest number of balanced blocks that fits, end-to-end training
// where that does, and says so; what cannot fit is an error.
func TestMemoryLimit(t *testing.T) {
	dev := onCPU(t, 2)
	root := t.TempDir()
	plan := func(sets ...string) (*MemoryPlan, error) {
		return Plan(classRecipe(t, root, "run", append([]string{"manpp.strategy=infopro", "manpp.stem=false", "model.width=16", "manpp.partition=balanced"}, sets...)...), dev, 10, 8, 32, 32)
	}
	totals := map[int]int64{}
	for _, k := range []int{2, 3} {
		p, err := plan("manpp.blocks=" + string(rune('0'+k)))
		if err != nil {
			t.Fatal(err)
		}
		totals[k], totals[1] = p.Recipe.Total+p.Recipe.Evaluation, p.EndToEnd.Total+p.EndToEnd.Evaluation
		if p.Recipe.Evaluation <= 0 {
			t.Errorf("evaluation adds %d bytes", p.Recipe.Evaluation)
		}
	}
	if !(totals[3] < totals[2] && totals[2] < totals[1]) {
		t.Fatalf("totals %v", totals)
	}
	for k, total := range totals {
		p, err := plan("manpp.memory_limit=" + byteCount(total) + "B")
		if err != nil {
			t.Fatal(err)
		}
		if p.Recipe.Total+p.Recipe.Evaluation != total || len(p.Recipe.Cuts) != k-1 || !strings.Contains(p.Note, "K="+string(rune('0'+k))+" is the smallest") {
			t.Errorf("limit %d: %d in %v, %s", total, p.Recipe.Total, p.Recipe.Cuts, p.Note)
		}
	}
	if _, err := plan("manpp.memory_limit=100kB"); err == nil || !strings.Contains(err.Error(), "no number of blocks fits into") {
		t.Error(err)
	}
	for text, want := range map[string]int64{"8GiB": 8 << 30, "1.5 MB": 1500000, "7B": 7} {
		if n, err := config.ParseBytes(text); n != want || err != nil {
			t.Errorf("%s is %d, %v", text, n, err)
		}
	}
	for _, text := range []string{"", "8", "GiB", "-1GB", "9999999999999GiB", "0B"} {
		if n, err := config.ParseBytes(text); err == nil {
			t.Errorf("%s is %d", text, n)
		}
	}
}
