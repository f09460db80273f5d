package arch

import (
	"image"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"manvision/device/cpu"
	"manvision/internal/torchfile"
	"manvision/weights"
)

func TestClasses(t *testing.T) {
	for name, want := range map[string]map[int]string{
		"resnet50":               {0: "tench", 207: "golden retriever", 999: "toilet tissue"},
		"retinanet_resnet50_fpn": {0: "__background__", 1: "person", 12: "N/A", 90: "toothbrush"},
		"fcn_resnet101":          {0: "__background__", 15: "person", 20: "tvmonitor"},
	} {
		a, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, w := range want {
			if got := a.Classes()[i]; got != w {
				t.Errorf("%s: class %d is %q, want %q", name, i, got, w)
			}
		}
	}
	if _, err := Find("resnet51"); err == nil || !strings.Contains(err.Error(), "resnet50") {
		t.Error(err)
	}
}

func TestFiles(t *testing.T) {
	seen := map[string]bool{}
	for _, p := range Files() {
		if _, err := Find(p.Arch); err != nil || seen[p.Name] {
			t.Errorf("%s: %v, twice %v", p.Name, err, seen[p.Name])
		}
		seen[p.Name] = true
		if !regexp.MustCompile(`^[0-9a-f]{8}$`).MatchString(p.Hash()) || !strings.HasPrefix(p.File(), p.Arch) {
			t.Errorf("%+v", p)
		}
	}
	for _, a := range Names() {
		if !seen[a] {
			t.Errorf("%s has no published weights", a)
		}
	}
	if _, err := FindFile("resnet"); err == nil {
		t.Error("found resnet")
	}
}

// Sizes that torchvision 0.14's GeneralizedRCNNTransform(800, 1333) gives.
func TestResized(t *testing.T) {
	for in, want := range map[image.Point]image.Point{
		{X: 640, Y: 480}: {X: 1066, Y: 800}, {X: 480, Y: 640}: {X: 800, Y: 1066}, {X: 500, Y: 100}: {X: 1333, Y: 266},
		{X: 1333, Y: 800}: {X: 1333, Y: 800}, {X: 427, Y: 640}: {X: 799, Y: 1199},
	} {
		w, h := resized(in.X, in.Y)
		if (image.Point{X: w, Y: h}) != want {
			t.Errorf("%v: %dx%d, want %v", in, w, h, want)
		}
	}
}

// A file of another network is an error that says what does not fit, even if it holds
// all that this one wants.
func TestWrongWeights(t *testing.T) {
	dev, err := cpu.New(cpu.Options{Threads: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer dev.Close()
	find := func(name string) Arch {
		a, err := Find(name)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	fake := made(t, &reference{}, torchfile.Names(t, "resnet50"), false)
	if _, _, err := find("resnet18").LoadClassifier(dev, fake); err == nil || !strings.Contains(err.Error(), "not the weights of resnet18") {
		t.Error(err)
	}
	if _, _, err := find("resnet50").LoadClassifier(dev, filepath.Join(t.TempDir(), "none.pth")); !os.IsNotExist(err) {
		t.Error(err)
	}
	if _, _, err := find("resnet50").LoadDetector(dev, fake, 0.05); err == nil || !strings.Contains(err.Error(), "classification") {
		t.Error(err)
	}
	more := made(t, &reference{}, append(torchfile.Names(t, "resnet50"), weights.Tensor{Name: "layer3.6.conv1.weight", Shape: []int{2}}), false)
	if _, _, err := find("resnet50").LoadClassifier(dev, more); err == nil || !strings.Contains(err.Error(), "also holds layer3.6.conv1.weight") {
		t.Error(err)
	}
}
