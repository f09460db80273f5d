package detection

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"manvision/backbone"
	"manvision/device"
	"manvision/device/ref"
	"manvision/exec"
	"manvision/manpp"
	"manvision/nn"
	"manvision/optim"
)

// paper is RetinaNet as published; narrow is the same with few channels.
func paper() *RetinaNet {
	return &RetinaNet{Classes: 80, Channels: 256, Convs: 4, LocalConvs: 2, Anchors: DefaultAnchors(), Assign: DefaultAssign(),
		FocalAlpha: 0.25, FocalGamma: 2, SmoothL1Beta: 1, Prior: 0.01}
}

func narrow() *RetinaNet {
	r := paper()
	r.Classes, r.Channels, r.Convs, r.LocalConvs = 3, 8, 1, 1
	return r
}

// TestShapes builds the detector on every backbone at odd canvas sizes, for
// inference and, without running anything, for training with cuts by stages.
func TestShapes(t *testing.T) {
	for _, name := range backbone.Names() {
		for _, size := range [][2]int{{64, 96}, {65, 97}, {127, 33}, {200, 168}} {
			t.Run(fmt.Sprintf("%s/%dx%d", name, size[0], size[1]), func(t *testing.T) {
				dev := ref.New()
				defer dev.Close()
				r := paper()
				b, err := backbone.New(name, 64)
				if err != nil {
					t.Fatal(err)
				}
				m := &manpp.Model{Store: nn.NewStore(dev, 1), Backbone: b, Prefix: BodyPrefix}
				inf, err := r.NewInference(m, 2, size[0], size[1], nil, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer inf.Close()
				// 9 anchors a cell; level l has ceil(size/stride) cells, strides 8 to 128.
				want := 0
				for _, s := range []int{8, 16, 32, 64, 128} {
					want += 9 * ((size[0] + s - 1) / s) * ((size[1] + s - 1) / s)
				}
				if inf.Grid.Len() != want {
					t.Errorf("%d anchors, want %d", inf.Grid.Len(), want)
				}
				if l, d := inf.logits.Shape(), inf.deltas.Shape(); !slices.Equal(l, []int{2, want, 80}) || !slices.Equal(d, []int{2, want, 4}) {
					t.Errorf("logits %v and deltas %v, want [2 %d 80] and [2 %d 4]", l, d, want, want)
				}
				tr := trainer(t, dev, r, b, manpp.Stages(b))
				defer tr.Close()
				s, err := tr.Steps(2, size[0], size[1])
				if err != nil {
					t.Fatal(err)
				}
				if len(s.Blocks) != 4 {
					t.Errorf("%d blocks, want 4", len(s.Blocks))
				}
				if now, _ := dev.Allocated(); now != 0 {
					t.Errorf("planning allocated %d bytes", now)
				}
			})
		}
	}
}

// trainer makes a trainer that keeps gradients and never clips.
func trainer(t testing.TB, dev device.Device, r *RetinaNet, b *backbone.Backbone, p manpp.Partition) *manpp.Trainer {
	t.Helper()
	store := nn.NewStore(dev, 3)
	strategy := manpp.MANPP
	if len(p) == 0 {
		strategy = manpp.E2E
	}
	m := &manpp.Model{Store: store, Backbone: b, Partition: p, Strategy: strategy, EMAMomentum: 0.995, Prefix: BodyPrefix,
		Quirks: manpp.Released} // LB and EMA start apart: while they are equal, s has no gradient
	opt, err := manpp.NewOptimizer(store, optim.Hyper{Rule: optim.SGD, Momentum: 0.9, ClipNorm: 1e30}, optim.Rules{}, optim.Schedule{Base: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	tr, err := manpp.NewTrainer(m, opt, func(n, h, w int) (manpp.Heads, error) { return r.NewHeads(dev, n, h, w) })
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// TestParameterNames compares names and shapes of all parameters and buffers with
// torchvision's (testdata/gen_retinanet_names.py).
func TestParameterNames(t *testing.T) {
	for _, name := range []string{"resnet18", "resnet50"} {
		t.Run(name, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", "retinanet_"+name+".txt"))
			if err != nil {
				t.Fatal(err)
			}
			want := strings.Split(strings.TrimSpace(string(text)), "\n")
			var got []string
			for _, v := range variables(t, paper(), name) {
				line := v.Name
				for _, s := range v.Shape {
					line += fmt.Sprintf(" %d", s)
				}
				got = append(got, line)
			}
			slices.Sort(want)
			slices.Sort(got)
			for _, line := range want {
				if !slices.Contains(got, line) {
					t.Errorf("missing: %s", line)
				}
			}
			for _, line := range got {
				if !slices.Contains(want, line) {
					t.Errorf("not in torchvision: %s", line)
				}
			}
		})
	}
}

func variables(t *testing.T, r *RetinaNet, name string) []*nn.Var {
	t.Helper()
	dev := ref.New()
	t.Cleanup(func() { dev.Close() })
	b, err := backbone.New(name, 64)
	if err != nil {
		t.Fatal(err)
	}
	m := &manpp.Model{Store: nn.NewStore(dev, 1), Backbone: b, Prefix: BodyPrefix}
	inf, err := r.NewInference(m, 1, 64, 64, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	inf.Close()
	return m.Store.Vars()
}

// TestDetectorParameterCounts: ours computes P6 from C5. With 80 classes and γ, β of batch
// norms counted, as mmdetection counts, that is 37,968,692; torchvision's
// 34,014,999 counts no batch norm, has 91 classes and P6 from P5, whose 3x3
// convolution has (2048−256)·256·9 weights fewer.
func TestDetectorParameterCounts(t *testing.T) {
	count := func(classes int) (all, norms int) {
		r := paper()
		r.Classes = classes
		for _, v := range variables(t, r, "resnet50") {
			if v.Buffer {
				continue
			}
			all += v.Elems()
			if strings.Contains(v.Name, ".bn") || strings.Contains(v.Name, "downsample.1.") {
				norms += v.Elems()
			}
		}
		return all, norms
	}
	if all, _ := count(80); all != 37968692 {
		t.Errorf("80 classes: %d parameters with batch norms, want 37968692", all)
	}
	if all, norms := count(91); all-norms-(2048-256)*256*9 != 34014999 {
		t.Errorf("91 classes: %d parameters, %d of them of batch norms", all, norms)
	}
}

// TestLocalLevels: the levels that an auxiliary feature supervises, by its stride
// (METHOD §2.2; strides 4 are brought to 8).
func TestLocalLevels(t *testing.T) {
	r := paper()
	for _, c := range []struct{ stride, from, to, project int }{
		{2, 0, 1, 4}, {4, 0, 1, 2}, {8, 0, 1, 1}, {16, 1, 2, 1}, {32, 2, 5, 1}, {64, 3, 5, 1}, {128, 4, 5, 1},
	} {
		from, to, project, err := r.localLevels(c.stride)
		if err != nil || from != c.from || to != c.to || project != c.project {
			t.Errorf("stride %d: levels %d to %d, projection %d, %v", c.stride, from, to, project, err)
		}
	}
	for _, stride := range []int{0, -4, 3, 12, 256} {
		if _, _, _, err := r.localLevels(stride); err == nil {
			t.Errorf("stride %d: no error", stride)
		}
	}
}

// boxesOfAllSizes fits every pyramid level of a 128x128 canvas.
func boxesOfAllSizes() ([][4]float64, []int32) {
	var boxes [][4]float64
	var labels []int32
	for i, s := range []float64{32, 64, 120, 128, 40, 90} {
		boxes = append(boxes, [4]float64{64 - s/2, 64 - s/2, 64 + s/2, 64 + s/2})
		labels = append(labels, int32(i%3))
	}
	return append(boxes, [4]float64{0, 0, 80, 80}), append(labels, 1) // for the cells of stride 64
}

// TestEveryParameterLearns: whatever the number of blocks, every trainable
// parameter gets a gradient that is finite and, since there are objects of all
// sizes, not zero.
func TestEveryParameterLearns(t *testing.T) {
	body := func() *backbone.Backbone { return backbone.ResNet(false, []int{2, 2, 2, 2}, 8) }
	for name, p := range map[string]manpp.Partition{
		"1": nil, "2": {4}, "4": manpp.Stages(body()), "every unit": manpp.EveryUnit(body()), "after the stem": {0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			dev := ref.New()
			defer dev.Close()
			r := narrow()
			// Larger anchors of coarse levels would not fit the small canvas.
			r.Anchors.Sizes = []float64{32, 48, 64, 96, 128}
			tr := trainer(t, dev, r, body(), p)
			defer tr.Close()
			s, err := tr.Steps(1, 128, 128)
			if err != nil {
				t.Fatal(err)
			}
			if err := tr.Model.Store.Realize(); err != nil {
				t.Fatal(err)
			}
			x := make([]float64, 128*128*3)
			nn.UniformIn(1)(x, nil, nn.NewStream(1, "image"))
			if err := s.Input.Upload(x); err != nil {
				t.Fatal(err)
			}
			boxes, labels := boxesOfAllSizes()
			if err := TargetsOf(s.Heads).Set([][][4]float64{boxes}, [][]int32{labels}, nil); err != nil {
				t.Fatal(err)
			}
			for l, lv := range TargetsOf(s.Heads).counts[0] {
				if lv == 0 {
					t.Fatalf("level %d has no positive anchor: the test is too weak", l)
				}
			}
			var rep manpp.StepReport
			if err := tr.Run(s, 0, nil, true, &rep); err != nil {
				t.Fatal(err)
			}
			n := 0
			for _, v := range tr.Model.Store.Vars() {
				g := tr.Opt.Grad(v.Name)
				if !v.Trainable {
					if g != nil {
						t.Errorf("%s is not trainable and has a gradient", v.Name)
					}
					continue
				}
				n++
				if g == nil {
					t.Errorf("no gradient of %s", v.Name)
					continue
				}
				x := make([]float64, v.Elems())
				if err := g.Download(x); err != nil {
					t.Fatal(err)
				}
				sum := 0.0
				for _, d := range x {
					sum += math.Abs(d)
				}
				if sum == 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
					t.Errorf("the gradient of %s sums to %v", v.Name, sum)
				}
			}
			t.Logf("%d parameters in %d blocks", n, len(s.Blocks))
		})
	}
}

// TestTargetsOfManyBoxes: assigning 8,000 boxes allocates no more than some bytes
// a box, nothing of the size boxes times anchors.
func TestTargetsOfManyBoxes(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	r := narrow()
	h, err := r.NewHeads(dev, 1, 608, 800)
	if err != nil {
		t.Fatal(err)
	}
	targets := TargetsOf(h)
	defer targets.Free()
	grid := h.(*heads).grid.Len()
	for _, n := range []int{10, 8000} {
		boxes, labels := make([][4]float64, n), make([]int32, n)
		for i := range boxes {
			x, y := float64(i%97)*7, float64(i%83)*6
			s := 8 + float64(i%50)
			boxes[i], labels[i] = [4]float64{x, y, x + s, y + s}, int32(i%3)
		}
		set := func() {
			if err := targets.Set([][][4]float64{boxes}, [][]int32{labels}, nil); err != nil {
				t.Fatal(err)
			}
		}
		set()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		set()
		runtime.ReadMemStats(&after)
		used := after.TotalAlloc - before.TotalAlloc
		t.Logf("%d boxes, %d anchors: %d bytes", n, grid, used)
		if used > 1<<20 {
			t.Errorf("%d boxes: %d bytes allocated, %d pairs", n, used, n*grid)
		}
	}
}

// losses runs one block's worth of a narrow detector and returns its report.
func losses(t *testing.T, q Quirks, boxes [][4]float64, labels []int32) (*manpp.StepReport, map[string]bool) {
	t.Helper()
	dev := ref.New()
	r := narrow()
	r.Quirks = q
	b := backbone.ResNet(false, []int{1, 1, 1, 1}, 8)
	tr := trainer(t, dev, r, b, manpp.Stages(b))
	defer tr.Close()
	s, err := tr.Steps(1, 64, 64)
	if err != nil {
		t.Fatal(err)
	}
	skip := map[string]bool{}
	for _, err := range []error{tr.Model.Store.Realize(), s.Input.Zero(), TargetsOf(s.Heads).Set([][][4]float64{boxes}, [][]int32{labels}, skip)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	var rep manpp.StepReport
	if err := tr.Run(s, 0, skip, false, &rep); err != nil {
		t.Fatal(err)
	}
	return &rep, skip
}

// TestImageWithoutBoxes: ours learns background from an empty image, the release
// nothing; box losses are 0 and no loss is NaN.
func TestImageWithoutBoxes(t *testing.T) {
	ours, skip := losses(t, Quirks{}, nil, nil)
	for j, b := range ours.Blocks {
		if !(b.Terms[0] > 0) || b.Terms[1] != 0 {
			t.Errorf("block %d: losses %v, want a positive one and 0", j+1, b.Terms)
		}
	}
	if len(skip) != 0 {
		t.Errorf("skipped groups %v without the quirk", skip)
	}
	released, skip := losses(t, ReleasedQuirks, nil, nil)
	for j, b := range released.Blocks {
		if b.Terms[0] != 0 || b.Terms[1] != 0 {
			t.Errorf("released, block %d: losses %v, want zeros", j+1, b.Terms)
		}
	}
	if len(skip) != 4 {
		t.Errorf("released: groups %v, want one a head", skip)
	}
	for group, off := range skip {
		if !off || !strings.HasSuffix(group, "regression_head.") {
			t.Errorf("group %s skipped: %v", group, off)
		}
	}
	_, skip = losses(t, ReleasedQuirks, [][4]float64{{0, 0, 32, 32}}, []int32{1})
	if skip["head.regression_head."] || skip["manpp.0.head.regression_head."] {
		t.Errorf("groups with positives are skipped: %v", skip)
	}
}

// TestTargetErrors: bad ground truth is refused with the image's place in the
// batch.
func TestTargetErrors(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	h, err := narrow().NewHeads(dev, 2, 64, 64)
	if err != nil {
		t.Fatal(err)
	}
	targets := TargetsOf(h)
	good, one := [][4]float64{{0, 0, 30, 30}}, []int32{1}
	for name, c := range map[string]struct {
		boxes  [][][4]float64
		labels [][]int32
		want   string
	}{
		"too few images": {[][][4]float64{good}, [][]int32{one}, "batch of 2"},
		"no labels":      {[][][4]float64{good, good}, [][]int32{one, nil}, "image 1"},
		"class":          {[][][4]float64{good, good}, [][]int32{one, {3}}, "image 1"},
		"negative class": {[][][4]float64{good, good}, [][]int32{{-1}, one}, "image 0"},
		"no area":        {[][][4]float64{good, {{5, 5, 5, 9}}}, [][]int32{one, one}, "image 1"},
		"NaN":            {[][][4]float64{{{math.NaN(), 5, 5, 9}}, good}, [][]int32{one, one}, "image 0"},
	} {
		if err := targets.Set(c.boxes, c.labels, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := targets.Set([][][4]float64{good, nil}, [][]int32{one, nil}, nil); err != nil {
		t.Errorf("an image without boxes: %v", err)
	}
	if _, err := narrow().NewHeads(dev, 1, 0, 64); err == nil {
		t.Error("a canvas without height: no error")
	}
}

// TestMissingStage: a pyramid without one of its stages says which.
func TestMissingStage(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	x, err := exec.NewTensor(dev, device.Desc{Shape: []int{1, 8, 8, 4}})
	if err != nil {
		t.Fatal(err)
	}
	f := manpp.Feature{Stage: 3, Stride: 16}
	for _, missing := range []int{2, 3, 4} {
		g := nn.NewGraph(nn.NewStore(dev, 1), nn.Eval)
		f.Node = g.Leaf("x", x)
		feats := map[int]manpp.Feature{2: f, 3: f, 4: f}
		delete(feats, missing)
		narrow().Outputs(g, feats)
		if err := g.Err(); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("stage %d", missing)) {
			t.Errorf("without stage %d: %v", missing, err)
		}
	}
}
