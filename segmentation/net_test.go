package segmentation

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"

	"manvision/backbone"
	"manvision/device"
	"manvision/device/ref"
	"manvision/manpp"
	"manvision/nn"
)

// narrow is a small network of a head at output stride 8 with all losses.
func narrow(head string) *Net {
	return &Net{Classes: 3, Head: head, OutputStride: 8, Rates: []int{1, 2}, Channels: 8, AuxWeight: 0.4, LocalChannels: 6,
		TaskWeight: 1, ReconWeight: 0.5, DecoderChannels: 6, Std: [3]float32{0.2, 0.2, 0.2}, Mean: [3]float32{0.5, 0.5, 0.5}}
}

func dilated(t testing.TB, b *backbone.Backbone, stride int) *backbone.Backbone {
	t.Helper()
	d, err := backbone.Dilated(b, stride)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// TestParameterCounts: those of torchvision's weights metadata (num_params of
// *_Weights.COCO_WITH_VOC_LABELS_V1), 21 classes with the auxiliary head.
func TestParameterCounts(t *testing.T) {
	for _, c := range []struct {
		head, body string
		want       int
	}{
		{DeepLabV3, "resnet50", 42004074}, {DeepLabV3, "resnet101", 60996202}, {FCN, "resnet50", 35322218}, {FCN, "resnet101", 54314346},
	} {
		dev := ref.New()
		b, err := backbone.New(c.body, 64)
		if err != nil {
			t.Fatal(err)
		}
		net := &Net{Classes: 21, Head: c.head, OutputStride: 8, AuxWeight: 0.5}
		tr := trainer(t, dev, net, dilated(t, b, 8), nil)
		if _, err := tr.Steps(2, 64, 64); err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, v := range tr.Model.Store.Vars() {
			if v.Trainable {
				n += v.Elems()
			}
		}
		if n != c.want {
			t.Errorf("%s_%s: %d parameters, want %d", c.head, c.body, n, c.want)
		}
		tr.Close()
		dev.Close()
	}
}

// TestShapes builds every head on basic and bottleneck units at odd sizes, for
// inference and, without running anything, for training with cuts by stages.
func TestShapes(t *testing.T) {
	for _, head := range Heads() {
		for _, name := range []string{"resnet18", "resnet50"} {
			for _, stride := range []int{8, 16} {
				for _, size := range [][2]int{{64, 96}, {65, 97}, {127, 33}, {1, 1}} {
					dev := ref.New()
					b, err := backbone.New(name, 8)
					if err != nil {
						t.Fatal(err)
					}
					b = dilated(t, b, stride)
					net := narrow(head)
					net.OutputStride, net.Rates = stride, nil
					tr := trainer(t, dev, net, b, manpp.Stages(b))
					s, err := tr.Steps(2, size[0], size[1])
					if err != nil {
						t.Fatalf("%s %s/%d %v: %v", head, name, stride, size, err)
					}
					if len(s.Blocks) != 4 {
						t.Errorf("%d blocks, want 4", len(s.Blocks))
					}
					inf, err := net.NewInference(tr.Model, 1, size[0], size[1], nil, nil)
					if err != nil {
						t.Fatal(err)
					}
					cell := stride
					if head == DeepLabV3Plus {
						cell = 4
					}
					h, w := (size[0]+cell-1)/cell, (size[1]+cell-1)/cell
					if got := inf.logits.Shape(); !slices.Equal(got, []int{1, h, w, 3}) || inf.H != h || inf.W != w || inf.Classes != 3 {
						t.Errorf("%s %s/%d %v: logits %v (%dx%dx%d), want %dx%d", head, name, stride, size, got, inf.H, inf.W, inf.Classes, h, w)
					}
					if now, _ := dev.Allocated(); now != 0 {
						t.Errorf("planning allocated %d bytes", now)
					}
					inf.Close()
					tr.Close()
					dev.Close()
				}
			}
		}
	}
}

// fill gives a compiled trainer values, images and labels of all classes and
// Ignore.
func fill(t testing.TB, tr *manpp.Trainer, s *manpp.Steps) {
	t.Helper()
	if err := tr.Model.Store.Realize(); err != nil {
		t.Fatal(err)
	}
	n := s.N * s.H * s.W
	x := make([]float64, n*3)
	nn.UniformIn(1)(x, nil, nn.NewStream(1, "image"))
	images, labels := make([]float32, n*3), make([]uint8, n)
	for i, v := range x {
		images[i] = float32(v)
	}
	for i := range labels {
		if labels[i] = uint8(i / 7 % 4); labels[i] == 3 {
			labels[i] = Ignore
		}
	}
	if err := s.Input.Upload(images); err != nil {
		t.Fatal(err)
	}
	if err := TargetsOf(s.Heads).Set(labels, images); err != nil {
		t.Fatal(err)
	}
}

// partitions of a small backbone: the auxiliary head exists where layer3 ends in
// the final block.
func partitions(t testing.TB, b *backbone.Backbone) map[string]manpp.Partition {
	mid, err := manpp.Cuts(b, []string{"layer3.0"})
	if err != nil {
		t.Fatal(err)
	}
	inside, err := manpp.Cuts(b, []string{"layer4.0"})
	if err != nil {
		t.Fatal(err)
	}
	return map[string]manpp.Partition{"1": nil, "2 mid layer3": mid, "4": manpp.Stages(b), "in layer4": inside}
}

// TestEveryParameterLearns: whatever head and number of blocks, every trainable
// parameter gets a gradient that is finite and not zero.
func TestEveryParameterLearns(t *testing.T) {
	for _, head := range Heads() {
		for _, bottlenecks := range []bool{false, true} {
			b := dilated(t, backbone.ResNet(bottlenecks, []int{1, 1, 2, 2}, 8), 8)
			for name, p := range partitions(t, b) {
				t.Run(fmt.Sprintf("%s/bottlenecks %v/%s", head, bottlenecks, name), func(t *testing.T) {
					dev := ref.New()
					defer dev.Close()
					tr := trainer(t, dev, narrow(head), b, p)
					defer tr.Close()
					s, err := tr.Steps(3, 40, 48)
					if err != nil {
						t.Fatal(err)
					}
					fill(t, tr, s)
					var rep manpp.StepReport
					if err := tr.Run(s, 0, nil, true, &rep); err != nil {
						t.Fatal(err)
					}
					aux, n := false, 0
					for _, v := range tr.Model.Store.Vars() {
						aux = aux || strings.HasPrefix(v.Name, auxiliaryPrefix)
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
						sum := 0.0
						for _, d := range values(t, v.Elems(), g.Download) {
							sum += math.Abs(d)
						}
						if sum == 0 || math.IsNaN(sum) || math.IsInf(sum, 0) {
							t.Errorf("the gradient of %s sums to %v", v.Name, sum)
						}
					}
					if want := name == "1" || name == "2 mid layer3"; aux != want {
						t.Errorf("auxiliary head: %v, want %v", aux, want)
					}
					for j, r := range rep.Blocks {
						names := []string{}
						for _, l := range s.Blocks[j].Losses {
							names = append(names, l.Name)
						}
						want := []string{"ce", "recon"}
						if j == len(rep.Blocks)-1 {
							want = []string{"ce", "aux"}[:1+map[bool]int{true: 1}[aux]]
						}
						if !slices.Equal(names, want) || slices.ContainsFunc(r.Terms, func(x float64) bool { return !(x > 0) }) {
							t.Errorf("block %d: losses %v %v, want %v, all above 0", j+1, names, r.Terms, want)
						}
					}
					t.Logf("%d parameters in %d blocks", n, len(s.Blocks))
				})
			}
		}
	}
}

func values(t testing.TB, n int, get func(any) error) []float64 {
	t.Helper()
	x := make([]float64, n)
	if err := get(x); err != nil {
		t.Fatal(err)
	}
	return x
}

// TestIsolation: with K = 4 no loss reaches another block. Weights of a block
// change, and the gradients of earlier blocks stay the same to the bit; so do those
// of every other block when a local head changes.
func TestIsolation(t *testing.T) {
	for _, head := range Heads() {
		t.Run(head, func(t *testing.T) {
			dev := ref.New()
			defer dev.Close()
			b := dilated(t, backbone.ResNet(false, []int{1, 1, 1, 1}, 4), 8)
			tr := trainer(t, dev, narrow(head), b, manpp.Stages(b))
			defer tr.Close()
			s, err := tr.Steps(2, 32, 32)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, tr, s)
			block := func(name string) int {
				for j, n := range []string{"conv1", "layer1", "layer2", "layer3", "layer4"} {
					if strings.HasPrefix(name, BodyPrefix+n) {
						return max(j-1, 0)
					}
				}
				for j := range 3 {
					if strings.HasPrefix(name, fmt.Sprintf("manpp.%d.", j)) {
						return j
					}
				}
				return map[bool]int{true: 0, false: 3}[strings.HasPrefix(name, BodyPrefix+"bn1")]
			}
			grads := func() map[string][]float64 {
				var rep manpp.StepReport
				if err := tr.Run(s, 0, nil, false, &rep); err != nil {
					t.Fatal(err)
				}
				out := map[string][]float64{}
				for _, v := range tr.Model.Store.Vars() {
					if g := tr.Opt.Grad(v.Name); g != nil {
						out[v.Name] = values(t, v.Elems(), g.Download)
					}
				}
				return out
			}
			start := map[string][]float64{}
			for _, v := range tr.Model.Store.Vars() {
				start[v.Name] = values(t, v.Elems(), v.Value.Download)
			}
			reset := func() {
				for name, x := range start {
					if err := tr.Model.Store.Set(name, x); err != nil {
						t.Fatal(err)
					}
				}
			}
			before := grads()
			for changed, reach := range map[string]func(k int) bool{
				"backbone.layer1.0.conv1.weight": func(int) bool { return true },
				"backbone.layer3.0.conv2.weight": func(k int) bool { return k >= 2 },
				"classifier.":                    func(k int) bool { return k == 3 },
				"manpp.1.head.fcn.0.weight":      func(k int) bool { return k == 1 },
				"manpp.1.head.decoder.0.weight":  func(k int) bool { return k == 1 },
				"manpp.0.lb.conv1.weight":        func(k int) bool { return k == 0 },
				"manpp.2.ema.conv1.weight":       func(k int) bool { return k == 2 },
				"manpp.2.s":                      func(k int) bool { return k == 2 },
			} {
				reset()
				for name, x := range start {
					if v, _ := tr.Model.Store.Lookup(name); !strings.HasPrefix(name, changed) || v.Buffer {
						continue
					}
					y := slices.Clone(x)
					for i := range y {
						y[i] += 0.2 * math.Sin(float64(i+1))
					}
					if err := tr.Model.Store.Set(name, y); err != nil {
						t.Fatal(err)
					}
				}
				hit := map[int]bool{}
				for name, g := range grads() {
					if !slices.Equal(g, before[name]) {
						hit[block(name)] = true
					}
				}
				for k := range 4 {
					if hit[k] != reach(k) {
						t.Errorf("%s changed: gradients of block %d changed: %v", changed, k+1, hit[k])
					}
				}
			}
		})
	}
}

// TestWholeGradients compares gradients of a whole network of one block, with the
// auxiliary head, with central differences of its loss (step 1e-6, or 1e-7 where a
// ReLU switches within that; tolerance 1e-6 of the tensor's largest gradient).
func TestWholeGradients(t *testing.T) {
	for _, head := range Heads() {
		t.Run(head, func(t *testing.T) {
			dev := ref.New()
			defer dev.Close()
			tr := trainer(t, dev, narrow(head), dilated(t, backbone.ResNet(true, []int{1, 1, 1, 1}, 2), 16), nil)
			defer tr.Close()
			net := narrow(head)
			net.OutputStride = 16
			tr.NewHeads = func(n, h, w int) (manpp.Heads, error) { return net.NewHeads(tr.Model, n, h, w) }
			s, err := tr.Steps(3, 33, 40)
			if err != nil {
				t.Fatal(err)
			}
			fill(t, tr, s)
			var rep manpp.StepReport
			if err := tr.Run(s, 0, nil, false, &rep); err != nil {
				t.Fatal(err)
			}
			loss := func() (sum float64) {
				if err := s.Blocks[0].Program.Run(); err != nil {
					t.Fatal(err)
				}
				for _, l := range s.Blocks[0].Losses {
					var x [1]float64
					if err := s.Blocks[0].Program.Download(x[:], l.Node); err != nil {
						t.Fatal(err)
					}
					sum += x[0]
				}
				return sum
			}
			grads := map[string][]float64{} // before the losses below overwrite them
			for _, v := range tr.Model.Store.Vars() {
				if v.Trainable {
					grads[v.Name] = values(t, v.Elems(), tr.Opt.Grad(v.Name).Download)
				}
			}
			checked := 0
			for _, v := range tr.Model.Store.Vars() {
				if !v.Trainable || checked%3 != 0 && !strings.Contains(v.Name, "classifier") {
					checked++
					continue
				}
				checked++
				g := grads[v.Name]
				x := values(t, v.Elems(), v.Value.Download)
				largest := 0.0
				for _, d := range g {
					largest = max(largest, math.Abs(d))
				}
				for _, i := range []int{0, len(g) / 2, len(g) - 1} {
					at := func(d float64) float64 {
						y := slices.Clone(x)
						y[i] += d
						if err := tr.Model.Store.Set(v.Name, y); err != nil {
							t.Fatal(err)
						}
						return loss()
					}
					var numeric float64
					fits := false
					for _, d := range []float64{1e-6, 1e-7} {
						if !fits {
							numeric = (at(d) - at(-d)) / (2 * d)
							fits = math.Abs(numeric-g[i]) <= 1e-6*(largest+1e-2)
						}
					}
					if !fits {
						t.Errorf("%s[%d]: gradient %.10g, numeric %.10g", v.Name, i, g[i], numeric)
					}
				}
				if err := tr.Model.Store.Set(v.Name, x); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// TestDropout: a step's loss depends on the step's number alone, and inference on
// no dropout.
func TestDropout(t *testing.T) {
	for _, head := range Heads() {
		dev := ref.New()
		net := narrow(head)
		net.Dropout, net.HeadDropout = 0.5, 0.3
		b := dilated(t, backbone.ResNet(false, []int{1, 1, 1, 1}, 4), 8)
		tr := trainer(t, dev, net, b, manpp.Stages(b))
		s, err := tr.Steps(2, 32, 32)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, tr, s)
		run := func(step int64) []float64 {
			var rep manpp.StepReport
			if err := tr.Run(s, step, nil, false, &rep); err != nil {
				t.Fatal(err)
			}
			return []float64{rep.Blocks[0].Terms[0], rep.Blocks[3].Terms[0]}
		}
		a, b1, c := run(1), run(2), run(1)
		for i := range a {
			if a[i] == b1[i] || math.Abs(a[i]-c[i]) > 1e-3*a[i] { // the EMA copies move a little
				t.Errorf("%s: losses %v at step 1, %v at step 2, %v at step 1 again", head, a, b1, c)
			}
		}
		for _, st := range inferenceOps(t, net, tr.Model) {
			if st == "dropout" {
				t.Errorf("%s: dropout in inference", head)
			}
		}
		tr.Close()
		dev.Close()
	}
}

// inferenceOps lists the kinds of kernels that inference runs.
func inferenceOps(t *testing.T, net *Net, m *manpp.Model) []string {
	t.Helper()
	inf, err := net.NewInference(m, 1, 32, 32, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer inf.Close()
	inf.program.Profile(true)
	if err := inf.Input.Zero(); err != nil {
		t.Fatal(err)
	}
	if err := inf.Run(make([]float32, inf.H*inf.W*inf.Classes)); err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, s := range inf.program.Times() {
		kinds = append(kinds, s.Op.Kind())
	}
	return kinds
}

// TestBatchOfOne: training one image fails before anything is compiled where batch
// norm would see one value, and works with frozen norms.
func TestBatchOfOne(t *testing.T) {
	for _, head := range Heads() {
		dev := ref.New()
		b := dilated(t, backbone.ResNet(false, []int{1, 1, 1, 1}, 4), 8)
		tr := trainer(t, dev, narrow(head), b, nil)
		_, err := tr.Steps(1, 32, 32)
		if refused := err != nil && strings.Contains(err.Error(), "batch of at least 2"); refused != (head != FCN) {
			t.Errorf("%s: %v", head, err)
		}
		tr.Model.FrozenNorm = true
		s, err := tr.Steps(1, 32, 40)
		if err != nil {
			t.Fatalf("%s with frozen norms: %v", head, err)
		}
		fill(t, tr, s)
		var rep manpp.StepReport
		if err := tr.Run(s, 0, nil, false, &rep); err != nil || !(rep.Loss() > 0) {
			t.Errorf("%s with frozen norms: loss %v, %v", head, rep.Loss(), err)
		}
		tr.Close()
		dev.Close()
	}
}

// TestSettings: settings that no network can have are refused with their names.
func TestSettings(t *testing.T) {
	dev := ref.New()
	defer dev.Close()
	plain := backbone.ResNet(false, []int{1, 1, 1, 1}, 4)
	b := dilated(t, plain, 8)
	for want, change := range map[string]func(*Net){
		`head "psp"`:        func(s *Net) { s.Head = "psp" },
		"1 classes":         func(s *Net) { s.Classes = 1 },
		"256 classes":       func(s *Net) { s.Classes = 256 },
		"output stride 4":   func(s *Net) { s.OutputStride = 4 },
		"has 8":             func(s *Net) { s.OutputStride = 16 },
		"dropout 1":         func(s *Net) { s.Dropout = 1 },
		"rates [0]":         func(s *Net) { s.Rates = []int{0} },
		"channels -1":       func(s *Net) { s.Channels = -1 },
		"auxiliary loss -1": func(s *Net) { s.AuxWeight = -1 },
		"NaN":               func(s *Net) { s.ReconWeight = math.NaN() },
		"without a local":   func(s *Net) { s.TaskWeight, s.ReconWeight = 0, 0 },
		"std":               func(s *Net) { s.Std = [3]float32{} },
	} {
		s := narrow(DeepLabV3)
		change(s)
		m := &manpp.Model{Store: nn.NewStore(dev, 1), Backbone: b, Partition: manpp.Stages(b), Strategy: manpp.MANPP, Prefix: BodyPrefix}
		if _, err := s.NewHeads(m, 2, 32, 32); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", want, err)
		}
	}
	g := nn.NewGraph(nn.NewStore(dev, 1), nn.Eval)
	x, _ := g.Input("x", device.Desc{Shape: []int{1, 8, 8, 4}})
	narrow(DeepLabV3Plus).Outputs(g, map[int]manpp.Feature{4: {Node: x, Stage: 4, Stride: 8}})
	if g.Err() == nil || !strings.Contains(g.Err().Error(), "stage 1") {
		t.Errorf("without layer1: %v", g.Err())
	}
}

// TestLocalParts: a local part of weight 0 is not built, hard pixel mining raises
// the losses but the auxiliary head's, and weights scale the losses.
func TestLocalParts(t *testing.T) {
	run := func(change func(*Net)) (terms map[string]float64, vars []string) {
		dev := ref.New()
		defer dev.Close()
		net := narrow(DeepLabV3)
		change(net)
		b := dilated(t, backbone.ResNet(false, []int{1, 1, 2, 1}, 4), 8)
		p, err := manpp.Cuts(b, []string{"layer3.0"})
		if err != nil {
			t.Fatal(err)
		}
		tr := trainer(t, dev, net, b, p)
		defer tr.Close()
		s, err := tr.Steps(2, 40, 32)
		if err != nil {
			t.Fatal(err)
		}
		fill(t, tr, s)
		var rep manpp.StepReport
		if err := tr.Run(s, 0, nil, false, &rep); err != nil {
			t.Fatal(err)
		}
		terms = map[string]float64{}
		for j, b := range s.Blocks {
			for i, l := range b.Losses {
				terms[fmt.Sprintf("%d %s", j, l.Name)] = rep.Blocks[j].Terms[i]
			}
		}
		for _, v := range tr.Model.Store.Vars() {
			vars = append(vars, v.Name)
		}
		return terms, vars
	}
	plain, _ := run(func(*Net) {})
	if len(plain) != 4 {
		t.Fatalf("losses %v", plain)
	}
	has := func(vars []string, part string) bool {
		return slices.ContainsFunc(vars, func(n string) bool { return strings.Contains(n, part) })
	}
	if terms, vars := run(func(s *Net) { s.TaskWeight = 0 }); len(terms) != 3 || terms["0 recon"] != plain["0 recon"] || has(vars, ".fcn.") {
		t.Errorf("without the task: %v", terms)
	}
	if terms, vars := run(func(s *Net) { s.ReconWeight = 0 }); len(terms) != 3 || terms["0 ce"] != plain["0 ce"] || has(vars, ".decoder.") {
		t.Errorf("without the reconstruction: %v", terms)
	}
	if terms, vars := run(func(s *Net) { s.AuxWeight = 0 }); len(terms) != 3 || terms["1 ce"] != plain["1 ce"] || has(vars, auxiliaryPrefix) {
		t.Errorf("without the auxiliary head: %v", terms)
	}
	terms, _ := run(func(s *Net) { s.TaskWeight, s.ReconWeight, s.AuxWeight = 2, 1, 0.8 })
	for name, w := range plain {
		want := 2 * w
		if name == "1 ce" {
			want = w
		}
		if math.Abs(terms[name]-want) > 1e-12*want {
			t.Errorf("doubled weights: %s is %v, want %v", name, terms[name], want)
		}
	}
	terms, _ = run(func(s *Net) { s.OHEM = nn.OHEM{Threshold: 0.2, MinKept: 50} })
	for name, w := range plain {
		mined := name == "0 ce" || name == "1 ce"
		if mined != (terms[name] > w*1.01) || !mined && terms[name] != w {
			t.Errorf("hard pixels: %s is %v, all pixels %v", name, terms[name], w)
		}
	}
}
