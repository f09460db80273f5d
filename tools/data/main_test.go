package main

import (
	"bytes"
	"context"
	"errors"
	"image"
	"image/png"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"manvision/internal/testdata"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"data": func() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) },
	})
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: "testdata",
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// truncate FILE BYTES cuts a file.
			"truncate": func(ts *testscript.TestScript, _ bool, args []string) {
				path := ts.MkAbs(args[0])
				b, err := os.ReadFile(path)
				ts.Check(err)
				ts.Check(os.WriteFile(path, b[:len(b)/2], 0o644))
			},
			// exits STATUS ARGS... runs data and compares its exit status.
			"exits": func(ts *testscript.TestScript, _ bool, args []string) {
				var out, err bytes.Buffer
				full := append([]string(nil), args[1:]...)
				for i, a := range full {
					if _, e := os.Stat(ts.MkAbs(a)); e == nil && a != "" {
						full[i] = ts.MkAbs(a)
					}
				}
				if got := run(full, &out, &err); string(rune('0'+got)) != args[0] {
					ts.Fatalf("data %s: exit status %d, want %s\n%s%s", strings.Join(full, " "), got, args[0], out.String(), err.String())
				}
			},
		},
	})
}

func TestRealData(t *testing.T) {
	dir := testdata.Shared(t, "coco")
	var out, errs bytes.Buffer
	if rc := run([]string{"check", dir}, &out, &errs); rc != 0 {
		t.Fatalf("status %d: %s%s", rc, out.String(), errs.String())
	}
	// By hand from the file: 939 annotations, 10 of them crowds.
	if !strings.Contains(out.String(), "train2017\t128\t929\t10") {
		t.Errorf("table:\n%s", out.String())
	}
	sheet := filepath.Join(t.TempDir(), "sub", "sheet.png")
	if rc := run([]string{"browse", dir, "--count", "4", "--short", "200", "--flip", "0.5", "--jitter", "0.3", "--out", sheet}, &out, &errs); rc != 0 {
		t.Fatalf("status %d: %s", rc, errs.String())
	}
	if st, err := os.Stat(sheet); err != nil || st.Size() < 10000 {
		t.Errorf("sheet: %v", err)
	}
}

func TestRealLabels(t *testing.T) {
	dir := testdata.Shared(t, "cityscapes")
	var out, errs bytes.Buffer
	if rc := run([]string{"check", dir}, &out, &errs); rc != 0 {
		t.Fatalf("status %d: %s%s", rc, out.String(), errs.String())
	}
	// Five training frames and one for validation of 2048x1024; the README beside them.
	for _, want := range []string{"train\tlabel ids\t5\t0\t10485760\t19\t", "val\tlabel ids\t1\t0\t2097152\t19\t", "\n0\troad\t"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	sheet := filepath.Join(t.TempDir(), "sheet.png")
	args := []string{"browse", dir, "--split", "train", "--count", "3", "--short", "256", "--scale", "0.5,2", "--crop", "256,256", "--flip", "0.5", "--photometric", "--out", sheet}
	if rc := run(args, &out, &errs); rc != 0 {
		t.Fatalf("status %d: %s", rc, errs.String())
	}
	if st, err := os.Stat(sheet); err != nil || st.Size() < 10000 {
		t.Errorf("sheet: %v", err)
	}
}

// ImageNet's validation images as they come: one folder, bare numbers by the kit's ids.
func TestFlatClasses(t *testing.T) {
	dir := t.TempDir()
	pix := image.NewRGBA(image.Rect(0, 0, 8, 8))
	for i, name := range []string{"train/n01/a.png", "train/n02/b.png", "val/1.png", "val/2.png"} {
		pix.Pix[i] = 200
		path := filepath.Join(dir, name)
		var b bytes.Buffer
		if err := errors.Join(png.Encode(&b, pix), os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, b.Bytes(), 0o666)); err != nil {
			t.Fatal(err)
		}
	}
	truth, ids := filepath.Join(dir, "truth.txt"), filepath.Join(dir, "map_clsloc.txt")
	if err := errors.Join(os.WriteFile(truth, []byte("2\n1\n"), 0o666), os.WriteFile(ids, []byte("n02 1 b\nn01 2 a\n"), 0o666)); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	if rc := run([]string{"check", dir, "--ground-truth", truth, "--ids", ids}, &out, &errs); rc != 0 || !strings.Contains(out.String(), "val\t2\t2\t1\t1\t0\n") {
		t.Errorf("status %d:\n%s%s", rc, out.String(), errs.String())
	}
	if rc := run([]string{"check", dir, "--ground-truth", truth}, &out, &errs); rc == 0 || !strings.Contains(out.String()+errs.String(), "--ids") {
		t.Errorf("numbers without their meaning: status %d:\n%s%s", rc, out.String(), errs.String())
	}
	for _, args := range [][]string{{"check", dir, "--ids", ids}, {"check", "--ground-truth", truth}} {
		if rc := run(args, &out, &errs); rc != 2 {
			t.Errorf("%v: status %d", args, rc)
		}
	}
}

func TestRealClasses(t *testing.T) {
	dir := testdata.Shared(t, "cifar10")
	var out, errs bytes.Buffer
	if rc := run([]string{"check", dir, "--classes"}, &out, &errs); rc != 0 {
		t.Fatalf("status %d: %s%s", rc, out.String(), errs.String())
	}
	// Counted with NumPy: see data/cifar.
	for _, want := range []string{"train\t4000\t10\t366\t422\t0\n", "test\t1000\t10\t86\t112\t0\n", "\n6\tfrog\t-\t112\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in:\n%s", want, out.String())
		}
	}
	out.Reset()
	if rc := run([]string{"check", filepath.Join(dir, "cifar10_jpeg_test.tar.gz")}, &out, &errs); rc != 0 || !strings.Contains(out.String(), "test\t10000\t10\t1000\t1000\t0\n") {
		t.Errorf("status %d:\n%s%s", rc, out.String(), errs.String())
	}
	sheet := filepath.Join(t.TempDir(), "sheet.png")
	if rc := run([]string{"browse", dir, "--split", "test", "--count", "6", "--cell", "96", "--out", sheet}, &out, &errs); rc != 0 {
		t.Fatalf("status %d: %s", rc, errs.String())
	}
	if st, err := os.Stat(sheet); err != nil || st.Size() < 10000 {
		t.Errorf("sheet: %v", err)
	}
}

func TestFlags(t *testing.T) {
	for _, c := range []struct {
		args []string
		want checkOptions
	}{
		{nil, checkOptions{examples: 5, location: location{ignore: 255}}},
		{[]string{"d", "--split", "val", "--json", "-", "--headers"}, checkOptions{location: location{dir: "d", split: "val", ignore: 255}, json: "-", fast: true, examples: 5}},
	} {
		var got checkOptions
		cmd := newCheckCmd(func(_ context.Context, o *checkOptions) error { got = *o; return nil })
		cmd.SetArgs(append([]string{}, c.args...))
		if err := cmd.Execute(); err != nil {
			t.Fatal(err)
		}
		got.stdout, got.stderr = nil, nil
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%v: %+v, want %+v", c.args, got, c.want)
		}
	}
}

func TestParseSize(t *testing.T) {
	if h, w, err := parseSize("96x128"); h != 96 || w != 128 || err != nil {
		t.Errorf("%d %d %v", h, w, err)
	}
	for _, s := range []string{"", "96", "x", "96x", "96x128x3", "axb"} {
		if _, _, err := parseSize(s); err == nil {
			t.Errorf("%q: no error", s)
		}
	}
}
