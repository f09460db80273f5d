package train

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"manvision/weights"
)

// A disk that fills up while a run saves: the error says so and how to go on, the
// checkpoint before is whole, and after making room the run goes on from it.
func TestFullDisk(t *testing.T) {
	root := t.TempDir()
	first, err := Run(context.Background(), recipe(t, root, filepath.Join(root, "size"), "train.steps=5"), Options{Open: openCPU})
	if err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(first.Checkpoint)
	if err != nil {
		t.Fatal(err)
	}
	disk := filepath.Join(root, "disk")
	if err := os.Mkdir(disk, 0o777); err != nil {
		t.Fatal(err)
	}
	// Room for two checkpoints and a half.
	if err := mountTmpfs(disk, byteCount(st.Size()*5/2)); err != nil {
		t.Skipf("cannot mount a tmpfs: %v", err)
	}
	defer unmount(disk)
	out := filepath.Join(disk, "run")
	sets := []string{"train.steps=9", "train.checkpoint_every=2", "train.keep=9"}
	res, err := Run(context.Background(), recipe(t, root, out, sets...), Options{Open: openCPU})
	if !errors.Is(err, syscall.ENOSPC) || !strings.Contains(err.Error(), "the checkpoint of step 4 is intact") {
		t.Fatalf("full disk: %v", err)
	}
	if m, err := weights.LoadMeta(res.Checkpoint); err != nil || m.Step != 4 {
		t.Fatalf("last checkpoint: %+v, %v", m, err)
	}
	if err := os.Remove(filepath.Join(out, "checkpoints", "step-00000002.safetensors")); err != nil {
		t.Fatal(err)
	}
	if res, err = Run(context.Background(), recipe(t, root, out, "train.steps=9", "train.checkpoint_every=0", "train.keep=1"), Options{Open: openCPU, Resume: true}); err != nil || res.Step != 9 {
		t.Fatalf("after making room: %+v, %v", res, err)
	}
}
