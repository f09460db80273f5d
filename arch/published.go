package arch

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// Published is a file of weights that torchvision publishes.
type Published struct {
	// Name is the network's, with "_v2" for torchvision's second set of weights.
	Name string
	Arch string
	URL  string

	resize int  // short side of classified images before the crop
	noEps  bool // batch norms had no ε in training
}

// host is where torchvision keeps its weights.
const host = "https://download.pytorch.org/models/"

func published(arch, file string) Published {
	p := Published{Name: arch, Arch: arch, URL: host + file, resize: 256}
	return p
}

func second(arch, file string) Published {
	p := published(arch, file)
	p.Name, p.resize = arch+"_v2", 232
	return p
}

var files = []Published{
	published("resnet18", "resnet18-f37072fd.pth"),
	published("resnet34", "resnet34-b627a593.pth"),
	published("resnet50", "resnet50-0676ba61.pth"),
	second("resnet50", "resnet50-11ad3fa6.pth"),
	published("resnet101", "resnet101-63fe2227.pth"),
	second("resnet101", "resnet101-cd907fc2.pth"),
	published("resnet152", "resnet152-394f9c45.pth"),
	second("resnet152", "resnet152-f82ba261.pth"),
	published("resnext50_32x4d", "resnext50_32x4d-7cdf4587.pth"),
	second("resnext50_32x4d", "resnext50_32x4d-1a0047aa.pth"),
	published("resnext101_32x8d", "resnext101_32x8d-8ba56ff5.pth"),
	second("resnext101_32x8d", "resnext101_32x8d-110c445d.pth"),
	published("wide_resnet50_2", "wide_resnet50_2-95faca4d.pth"),
	second("wide_resnet50_2", "wide_resnet50_2-9ba9bcbe.pth"),
	published("vit_b_16", "vit_b_16-c867db91.pth"),
	{Name: "retinanet_resnet50_fpn", Arch: "retinanet_resnet50_fpn", URL: host + "retinanet_resnet50_fpn_coco-eeacb38b.pth", noEps: true},
	published("deeplabv3_resnet50", "deeplabv3_resnet50_coco-cd0a2569.pth"),
	published("deeplabv3_resnet101", "deeplabv3_resnet101_coco-586e9e4e.pth"),
	published("fcn_resnet50", "fcn_resnet50_coco-1167a1af.pth"),
	published("fcn_resnet101", "fcn_resnet101_coco-7ecb50ca.pth"),
}

// Files lists torchvision's published weights for the networks of this package, as
// torchvision 0.14 names them.
func Files() []Published { return append([]Published{}, files...) }

// FindFile returns published weights by name.
func FindFile(name string) (Published, error) {
	var names []string
	for _, p := range files {
		if p.Name == name {
			return p, nil
		}
		names = append(names, p.Name)
	}
	return Published{}, fmt.Errorf("no published weights are called %q (there are %s)", name, strings.Join(names, ", "))
}

// File is the file's name, which ends in the first digits of its SHA-256.
func (p Published) File() string { return path.Base(p.URL) }

// Hash is the beginning of the file's SHA-256, in hexadecimal digits.
func (p Published) Hash() string {
	stem := strings.TrimSuffix(p.File(), path.Ext(p.File()))
	return stem[strings.LastIndexByte(stem, '-')+1:]
}

// identify finds out by its contents whether a file is one of the published ones, nil
// if not. The file's name does not count.
func identify(file string) (*Published, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return nil, err
	}
	sum := hex.EncodeToString(h.Sum(nil))
	for i, p := range files {
		if strings.HasPrefix(sum, p.Hash()) {
			return &files[i], nil
		}
	}
	return nil, nil
}
