package train

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"manvision/report/progress"
	"manvision/weights"
)

// Of TestKilledRuns: kills in all, and the folder whose presence in the environment
// makes the test binary one of the runs that are killed.
const (
	kills   = 200
	killVar = "MANVISION_TEST_KILLED_RUN"
)

// killedRun trains a small classifier of 12 steps that saves each of them, from
// wherever the run in folder/out is.
func killedRun(t *testing.T, folder, out string) {
	cfg := classRecipe(t, folder, out, "train.steps=12", "train.batch=4", "train.checkpoint_every=1", "train.keep=1", "train.log_every=1",
		"train.eval_every=5", "train.tensorboard=true", "manpp.stem=false", "threads=1", "data.workers=1")
	_, err := Run(context.Background(), cfg, Options{Open: openCPU, ResumeAuto: true,
		Begin: func(*Outline) *progress.Progress { fmt.Println("begin"); return nil }})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
}

// A process that trains is killed at 200 random instants: while it starts, in a step,
// while it saves. Each time the checkpoint that was there is still there or a newer one
// is, whole, and the run that goes on from it ends with the bits of one that nobody
// killed.
func TestKilledRuns(t *testing.T) {
	if out := os.Getenv(killVar); out != "" {
		killedRun(t, filepath.Dir(out), out)
		return
	}
	if testing.Short() {
		t.Skip("starts processes")
	}
	root := t.TempDir()
	cifarFiles(t, root)
	// start is a process of the run in out; begun is closed when training begins.
	start := func(out string) (cmd *exec.Cmd, begun chan bool, output func() string) {
		cmd = exec.Command(os.Args[0], "-test.run", "^TestKilledRuns$")
		cmd.Env = append(os.Environ(), killVar+"="+out, "OMP_NUM_THREADS=1")
		pipe, err := cmd.StdoutPipe()
		if err == nil {
			cmd.Stderr = cmd.Stdout
			err = cmd.Start()
		}
		if err != nil {
			t.Error(err)
			return nil, nil, nil
		}
		begun = make(chan bool)
		rest := make(chan string, 1)
		go func() {
			r := bufio.NewReader(pipe)
			line, _ := r.ReadString('\n')
			close(begun)
			more, _ := io.ReadAll(r)
			rest <- line + string(more)
		}()
		return cmd, begun, func() string { return <-rest }
	}
	whole := filepath.Join(root, "whole")
	now := time.Now()
	cmd, begun, output := start(whole)
	if cmd == nil {
		return
	}
	<-begun
	startup := time.Since(now)
	text := output()
	if err := cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	work := time.Since(now) - startup
	want := filepath.Join(whole, checkpointFolder, "step-00000012.safetensors")

	var mu sync.Mutex
	done, inSave, inStart, ends := 0, 0, 0, 0
	var lanes sync.WaitGroup
	for lane := range 2 {
		lanes.Add(1)
		go func() {
			defer lanes.Done()
			random := rand.New(rand.NewPCG(7, uint64(lane)))
			for chain := 0; ; chain++ {
				out := filepath.Join(root, fmt.Sprintf("run%d-%d", lane, chain))
				checkpoints := filepath.Join(out, checkpointFolder)
				last := int64(0)
				for ended := false; !ended; {
					mu.Lock()
					kill := done < kills
					if kill {
						done++
					}
					mu.Unlock()
					if !kill && last == 0 {
						return
					}
					cmd, begun, output := start(out)
					if cmd == nil {
						return
					}
					early := random.IntN(8) == 0
					if kill {
						if early {
							time.Sleep(time.Duration(random.Int64N(int64(startup) + 1)))
						} else {
							<-begun
							time.Sleep(time.Duration(random.Int64N(int64(work)/4 + 1)))
						}
						cmd.Process.Kill()
					}
					text := output()
					if err := cmd.Wait(); err == nil {
						ended = true // before the kill, or nobody killed it
					} else if !kill {
						t.Errorf("%v: %s", err, text)
						return
					}
					litter, _ := filepath.Glob(filepath.Join(checkpoints, ".*"))
					if _, err := os.Stat(checkpoints); err == nil {
						f, err := weights.OpenFolder(checkpoints, 1)
						if err != nil {
							t.Error(err)
							return
						}
						if path, ok := f.Last(); ok {
							c, err := weights.Load(path)
							if err != nil {
								t.Error(err)
								return
							}
							if c.Meta.Step < last {
								t.Errorf("a kill brought step %d back to %d", last, c.Meta.Step)
							}
							last = c.Meta.Step
						} else if last > 0 {
							t.Errorf("the checkpoint of step %d is gone", last)
						}
					}
					mu.Lock()
					switch {
					case kill && ended: // before the kill
						done--
					case kill && early:
						inStart++
					case kill && len(litter) > 0:
						inSave++
					}
					mu.Unlock()
				}
				same(t, want, filepath.Join(checkpoints, "step-00000012.safetensors"))
				mu.Lock()
				ends++
				mu.Unlock()
			}
		}()
	}
	lanes.Wait()
	t.Logf("%d processes killed, %d of them while starting, %d seen in the middle of writing; %d runs ended; start %v, %v of work", done, inStart, inSave, ends, startup, work)
	if ends < 2 {
		t.Errorf("only %d runs ended", ends)
	}
}
