package classification

import (
	"encoding/binary"
	"math"
	"os"
	"testing"

	"manvision/backbone"
	"manvision/classification/topk"
	"manvision/device/cpu"
	"manvision/internal/testdata"
	"manvision/manpp"
	"manvision/nn"
	"manvision/weights"
)

// TestRealResNet20 runs a published CIFAR-10 network from each form of its file on
// the 1,000 real test images, as trained and with batch norms folded. Expected, from
// the data's README: 915 right, cross-entropy 0.3842; logits within 1e-4 of those that
// PyTorch 1.13 computed and stored.
func TestRealResNet20(t *testing.T) {
	images, labels := realImages(t)
	want := stored(t, testdata.Shared(t, "cifar10-resnet20/resnet20-12fca82f.th.test1000.logits.npy"))
	for _, file := range []string{"resnet20-12fca82f.th", "resnet20-12fca82f.derived-zip.pth", "resnet20-12fca82f.derived.safetensors"} {
		for _, fold := range []bool{false, true} {
			got := run(t, testdata.Shared(t, "cifar10-resnet20/"+file), images, fold)
			worst := 0.0
			for i, v := range got {
				worst = math.Max(worst, math.Abs(float64(v-want[i])))
			}
			if worst > 1e-4 {
				t.Errorf("%s, folded %v: logits stray %.2g", file, fold, worst)
			}
			e := topk.New([]string{"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"})
			if err := e.Process(got, labels); err != nil {
				t.Fatal(err)
			}
			s := e.Evaluate()
			if s.Top1 != 0.915 || math.Abs(s.CrossEntropy-0.3842) > 5e-5 {
				t.Errorf("%s, folded %v: top-1 %v, cross-entropy %.5f", file, fold, s.Top1, s.CrossEntropy)
			}
			t.Logf("%s, folded %v: top-1 %v, top-5 %v, cross-entropy %.4f, logits within %.2g", file, fold, s.Top1, s.Top5, s.CrossEntropy, worst)
		}
	}
}

func run(t *testing.T, path string, images []float32, fold bool) []float32 {
	t.Helper()
	const n, pixels = 100, 32 * 32 * 3
	dev, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	body, err := backbone.New("cifar_resnet20_a", 16)
	if err != nil {
		t.Fatal(err)
	}
	store := nn.NewStore(dev, 1)
	defer store.Free()
	store.Fold = fold
	m := &manpp.Model{Store: store, Backbone: body, Prefix: BodyPrefix}
	inf, err := (&Net{Classes: 10}).NewInference(m, n, 32, 32, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer inf.Close()
	file, err := weights.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var vars []weights.Tensor
	for _, v := range store.Vars() {
		vars = append(vars, weights.Tensor{Name: v.Name, Shape: v.Shape})
	}
	r := file.Fit(vars)
	if len(r.Missing)+len(r.Mismatched)+len(r.Unused) > 0 {
		t.Fatalf("%s: missing %v, mismatched %v, unused %v", path, r.Missing, r.Mismatched, r.Unused)
	}
	if err := file.Fill(r, func(x weights.Tensor) error { return store.Set(x.Name, x.Data) }); err != nil {
		t.Fatal(err)
	}
	var out []float32
	logits := make([]float32, n*10)
	for at := 0; at < len(images); at += n * pixels {
		if err := inf.Input.Upload(images[at:][:n*pixels]); err != nil {
			t.Fatal(err)
		}
		if err := inf.Run(logits); err != nil {
			t.Fatal(err)
		}
		out = append(out, logits...)
	}
	return out
}

// realImages reads the lossless test images, normalised as the network wants them.
func realImages(t *testing.T) (images []float32, labels []int32) {
	t.Helper()
	data, err := os.ReadFile(testdata.Shared(t, "cifar10/test_batch.first1000.bin"))
	if err != nil {
		t.Fatal(err)
	}
	mean, std := [3]float32{0.485, 0.456, 0.406}, [3]float32{0.229, 0.224, 0.225}
	for ; len(data) > 0; data = data[3073:] { // label, then red, green and blue planes
		labels = append(labels, int32(data[0]))
		for p := range 1024 {
			for c := range 3 {
				images = append(images, (float32(data[1+1024*c+p])/255-mean[c])/std[c])
			}
		}
	}
	return images, labels
}

// stored reads the numbers of a NumPy file of float32 in C order.
func stored(t *testing.T, path string) []float32 {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	data = data[10+int(binary.LittleEndian.Uint16(data[8:])):]
	out := make([]float32, len(data)/4)
	for i := range out {
		out[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return out
}
