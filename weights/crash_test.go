package weights

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// A process killed while it saves leaves a complete checkpoint that is no older
// than the last one it reported.
func TestKilledWhileSaving(t *testing.T) {
	const folderVar = "MANVISION_TEST_SAVE_FOLDER"
	if dir := os.Getenv(folderVar); dir != "" {
		f, err := OpenFolder(dir, 1)
		if err != nil {
			t.Fatal(err)
		}
		for step := int64(1); ; step++ {
			c := sample(step, float64(step))
			big := make([]float32, 1<<18)
			for i := range big {
				big[i] = float32(step)
			}
			c.Params = append(c.Params, Tensor{Name: "big", Shape: []int{1 << 18}, Data: big})
			if _, err := f.Save(c); err != nil {
				t.Fatal(err)
			}
		}
	}
	if testing.Short() {
		t.Skip("starts processes")
	}
	for _, wait := range []time.Duration{150, 171, 197, 230} {
		dir := t.TempDir()
		cmd := exec.Command(os.Args[0], "-test.run", "^TestKilledWhileSaving$")
		cmd.Env = append(os.Environ(), folderVar+"="+dir)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		deadline := time.Now().Add(30 * time.Second)
		for {
			if _, err := os.Stat(filepath.Join(dir, LastName)); err == nil || time.Now().After(deadline) {
				break
			}
			time.Sleep(5 * time.Millisecond)
		}
		time.Sleep(wait * time.Millisecond)
		cmd.Process.Kill()
		cmd.Wait()
		f, err := OpenFolder(dir, 1)
		if err != nil {
			t.Fatal(err)
		}
		last, ok := f.Last()
		if !ok {
			t.Fatal("no checkpoint")
		}
		c, err := Load(last)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range c.Params {
			if x.Name == "big" && (x.Data[0] != float32(c.Meta.Step) || x.Data[len(x.Data)-1] != float32(c.Meta.Step)) {
				t.Errorf("step %d holds the tensors of %g", c.Meta.Step, x.Data[0])
			}
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "."+"*")); len(left) > 0 {
			t.Errorf("litter: %v", left)
		}
	}
}
