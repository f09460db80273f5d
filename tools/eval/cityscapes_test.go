package main

import (
	"bytes"
	"encoding/json"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"manvision/internal/cli"
	"manvision/internal/clitest"
	"manvision/internal/testdata"
)

// writePicture is a script command: png KIND FILE WIDTH VALUE... writes a picture
// of that kind: grey, grey16, palette or rgb.
func writePicture(ts *testscript.TestScript, _ bool, args []string) {
	w, err := strconv.Atoi(args[2])
	ts.Check(err)
	r := image.Rect(0, 0, w, (len(args)-3)/w)
	kinds := map[string]interface {
		image.Image
		Set(x, y int, c color.Color)
	}{"grey": image.NewGray(r), "grey16": image.NewGray16(r), "rgb": image.NewRGBA(r), "palette": image.NewPaletted(r, make(color.Palette, 256))}
	m := kinds[args[0]]
	for i, a := range args[3:] {
		v, err := strconv.Atoi(a)
		ts.Check(err)
		switch m := m.(type) {
		case *image.Gray:
			m.Pix[i] = uint8(v)
		case *image.Gray16:
			m.SetGray16(i%w, i/w, color.Gray16{Y: uint16(v)})
		case *image.Paletted:
			m.Pix[i] = uint8(v)
		default:
			m.Set(i%w, i/w, color.RGBA{uint8(v), 1, 2, 255})
		}
	}
	if p, ok := m.(*image.Paletted); ok {
		for i := range p.Palette {
			p.Palette[i] = color.RGBA{uint8(i), uint8(255 - i), 0, 255}
		}
	}
	var b bytes.Buffer
	ts.Check(png.Encode(&b, m))
	path := ts.MkAbs(args[1])
	ts.Check(os.MkdirAll(filepath.Dir(path), 0o755))
	ts.Check(os.WriteFile(path, b.Bytes(), 0o644))
}

func TestCityscapesScripts(t *testing.T) {
	cmds := maps.Clone(clitest.Commands("eval"))
	cmds["png"] = writePicture
	testscript.Run(t, testscript.Params{Dir: "testdata/cityscapes", Cmds: cmds})
}

// A person sees a table; the JSON holds the same numbers, those of the oracle
// (cityscapesScripts @0bcc4a72).
func TestCityscapesOracle(t *testing.T) {
	dir := testdata.Shared(t, "miou-oracle")
	var out, errs bytes.Buffer
	file := filepath.Join(t.TempDir(), "out.json")
	s := &cli.Streams{Out: &out, Err: &errs, Terminal: true}
	if code := cli.Execute(newRoot(s), s, []string{"cityscapes", "--gt", dir, "--pred", dir, "--json", file}); code != cli.OK || errs.Len() > 0 {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	for _, want := range []string{"2 images, 4194304 pixels", "  rider           0.5863  0.2597", "  truck           absent       -", "  mIoU            0.5677  mean"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]float64{"mIoU": 0.5676592004458337, "iIoU": 0.47641265962872104, "category_mIoU": 0.831520928076243,
		"category_iIoU": 0.6654244948195196, "pixel_accuracy": 0.9568445541892531} {
		if v, ok := got[key].(float64); !ok || math.Abs(v-want) > 1e-9 {
			t.Errorf("%s: %v, want %v", key, got[key], want)
		}
	}
	if n := len(got["per_class"].([]any)); n != 19 {
		t.Errorf("%d classes", n)
	}
	if n := len(got["per_category"].([]any)); n != 7 {
		t.Errorf("%d categories", n)
	}
	if m := got["confusion"].([]any); len(m) != 34 || len(m[33].([]any)) != 34 {
		t.Error("confusion matrix")
	}
	if slices.Contains(got["labels"].([]any), any("license plate")) {
		t.Error("license plates are in the matrix")
	}
}
