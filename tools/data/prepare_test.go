package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"manvision/internal/fetch"
)

// member is a file of an archive that a test makes.
type member struct {
	name string
	data []byte
}

func jpegOf(t *testing.T, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewRGBA(image.Rect(0, 0, w, h)), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngOf(t *testing.T, img image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, img); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipFile(t *testing.T, path string, members []member) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for _, m := range members {
		w, err := z.Create(m.name)
		if err == nil {
			_, err = w.Write(m.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(z.Close(), os.WriteFile(path, b.Bytes(), 0o666)); err != nil {
		t.Fatal(err)
	}
	return path
}

func tarFile(t *testing.T, path string, members []member) string {
	t.Helper()
	var b bytes.Buffer
	g := gzip.NewWriter(&b)
	w := tar.NewWriter(g)
	for _, m := range members {
		err := w.WriteHeader(&tar.Header{Name: m.name, Size: int64(len(m.data)), Mode: 0o644})
		if err == nil {
			_, err = w.Write(m.data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), g.Close(), os.WriteFile(path, b.Bytes(), 0o666)); err != nil {
		t.Fatal(err)
	}
	return path
}

// instances is an annotation file of images of 32x24 pixels, with a box each.
func instances(names ...string) []byte {
	var images, boxes []string
	for i, n := range names {
		images = append(images, fmt.Sprintf(`{"id": %d, "file_name": %q, "width": 32, "height": 24}`, i+1, n))
		boxes = append(boxes, fmt.Sprintf(`{"id": %d, "image_id": %d, "category_id": 1, "bbox": [1, 1, 9, 9], "area": 81, "iscrowd": 0}`, i+1, i+1))
	}
	return fmt.Appendf(nil, `{"images": [%s], "annotations": [%s], "categories": [{"id": 1, "name": "a"}]}`, strings.Join(images, ","), strings.Join(boxes, ","))
}

// do runs the program and compares its exit status.
func do(t *testing.T, want int, args ...string) (stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	if rc := run(args, &out, &errs); rc != want {
		t.Fatalf("%v: exit %d, want %d\n%s%s", args, rc, want, out.String(), errs.String())
	}
	return out.String(), errs.String()
}

func contains(t *testing.T, text string, wants ...string) {
	t.Helper()
	for _, w := range wants {
		if !strings.Contains(text, w) {
			t.Errorf("no %q in:\n%s", w, text)
		}
	}
}

// COCO from a server of the test's own: fetched, continued, unpacked, looked at.
func TestCOCO(t *testing.T) {
	dir := t.TempDir()
	picture := jpegOf(t, 32, 24)
	zipped, err := os.ReadFile(zipFile(t, filepath.Join(dir, "served.zip"), []member{{"val2017/000001.jpg", picture}, {"val2017/000002.jpg", picture}, {"README.txt", []byte("x")}}))
	if err != nil {
		t.Fatal(err)
	}
	var ranges []string
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		w.Header().Set("ETag", `"v1"`)
		if len(ranges) == 1 { // breaks off
			w.Header().Set("Content-Length", fmt.Sprint(len(zipped)))
			w.Write(zipped[:len(zipped)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(zipped))
	}))
	defer s.Close()
	root := filepath.Join(dir, "coco")
	line := []string{"download", "coco", "--part", "val2017", "--url", s.URL + "/mirror/x.zip", root}
	_, text := do(t, 1, line...)
	contains(t, text, "CC BY 4.0", "Flickr", "No log-in is needed", "run it again to go on")
	out, text := do(t, 0, append(line, "--json", filepath.Join(dir, "got.json"))...)
	file := filepath.Join(root, "val2017.zip")
	if out != file+"\n" || len(ranges) != 2 || !strings.HasPrefix(ranges[1], "bytes=") {
		t.Errorf("printed %q, ranges %q", out, ranges)
	}
	contains(t, text, "not checked, no sum is published; its SHA-256 is ", "next: data prepare coco --archive "+file)
	var got []fetched
	b, err := os.ReadFile(filepath.Join(dir, "got.json"))
	if err == nil {
		err = json.Unmarshal(b, &got)
	}
	if err != nil || len(got) != 1 || got[0].Bytes != int64(len(zipped)) || !got[0].Fetched || got[0].Checked != "" || len(got[0].Sum) != 64 {
		t.Errorf("%+v, %v", got, err)
	}
	_, text = do(t, 0, append(line, "--sha256", got[0].Sum)...)
	contains(t, text, "is there already; its SHA-256 is right")
	_, text = do(t, 1, append(line, "--sha256", strings.Repeat("0", 64))...)
	contains(t, text, "its SHA-256 begins with")

	// Images alone, then with their annotations, of which one has no image.
	out, _ = do(t, 0, "prepare", "coco", "--archive", file, root)
	contains(t, out, "val2017\t2\t0\t5000\tno labels\n", "train2017\t0\t0\t118287\tnot there\n", "missing: annotations_trainval2017.zip\n")
	if strings.Contains(out, "next:") {
		t.Errorf("goes on with:\n%s", out)
	}
	labels := zipFile(t, filepath.Join(dir, "labels.zip"), []member{{"annotations/instances_val2017.json", instances("000001.jpg", "000002.jpg", "000003.jpg")}})
	out, text = do(t, 1, "prepare", "coco", "--archive", file, "--archive", labels, root)
	contains(t, out, "val2017\t2\t3\t5000\tfaulty\n", "error: missing image: 1", "000003.jpg")
	contains(t, text, "0 files written, 2 there already, 1 of other kinds left out", "errors found")
	labels = zipFile(t, labels, []member{{"annotations/instances_val2017.json", instances("000001.jpg", "000002.jpg")}})
	_, text = do(t, 1, "prepare", "coco", "--archive", labels, root)
	contains(t, text, "instances_val2017.json is there and is not the file in", "(--replace)")
	out, _ = do(t, 0, "prepare", "coco", "--archive", labels, "--replace", root)
	contains(t, out, "val2017\t2\t2\t5000\tfewer than published\n", "next: bin/data check "+root+"\n", "next: bin/eval --arch retinanet_resnet50_fpn ")
	do(t, 0, "check", root, "--split", "val2017")
	// A size that the file contradicts.
	if err := os.WriteFile(filepath.Join(root, "val2017", "000002.jpg"), jpegOf(t, 32, 25), 0o666); err != nil {
		t.Fatal(err)
	}
	out, _ = do(t, 1, "prepare", "coco", root, "--json", "-")
	var p preparation
	if err := json.Unmarshal([]byte(out), &p); err != nil || p.Errors != 1 || len(p.Parts) != 2 || p.Parts[1].State != faulty || len(p.Next) != 0 {
		t.Errorf("%+v, %v", p, err)
	}
}

func TestCityscapes(t *testing.T) {
	dir := t.TempDir()
	root := filepath.Join(dir, "city")
	picture, label := pngOf(t, image.NewRGBA(image.Rect(0, 0, 32, 16))), pngOf(t, image.NewGray(image.Rect(0, 0, 32, 16)))
	var images, labels []member
	for _, name := range []string{"train/aachen/aachen_000000_000019", "train/aachen/aachen_000001_000019", "val/ulm/ulm_000000_000019", "test/bonn/bonn_000000_000019"} {
		images = append(images, member{"leftImg8bit/" + name + "_leftImg8bit.png", picture})
		labels = append(labels, member{"gtFine/" + name + "_gtFine_labelIds.png", label})
	}
	images, labels = append(images, member{"license.txt", []byte("x")}), append(labels, member{"license.txt", []byte("y")})
	first := zipFile(t, filepath.Join(dir, "leftImg8bit_trainvaltest.zip"), images)
	second := zipFile(t, filepath.Join(dir, "gtFine_trainvaltest.zip"), labels)
	out, _ := do(t, 0, "prepare", "cityscapes", "--archive", first, root)
	contains(t, out, "train\t2\t0\t2975\tno labels\n", "missing: gtFine_trainvaltest.zip\n")
	out, text := do(t, 0, "prepare", "cityscapes", "--archive", first, "--archive", second, root)
	contains(t, out, "train\t2\t2\t2975\tfewer than published\n", "val\t1\t1\t500\t", "test\t1\t1\t1525\t", "next: bin/train --config configs/segmentation/deeplabv3_r50_manpp_k4.yaml --set data.root="+root+"\n")
	contains(t, text, first+": 0 files written, 4 there already, 1 of other kinds left out")
	if err := os.Remove(filepath.Join(root, "gtFine", "val", "ulm", "ulm_000000_000019_gtFine_labelIds.png")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "gtFine", "train", "aachen", "aachen_000001_000019_gtFine_labelIds.png")); err != nil {
		t.Fatal(err)
	}
	out, _ = do(t, 1, "prepare", "cityscapes", root)
	contains(t, out, "train\t2\t1\t2975\tfaulty\n", "val\t1\t0\t500\tno labels\n", "aachen_000001_000019")
}

func TestCIFAR(t *testing.T) {
	dir := t.TempDir()
	record := append([]byte{3}, make([]byte, 3072)...)
	archive := tarFile(t, filepath.Join(dir, "cifar-10-binary.tar.gz"), []member{
		{"cifar-10-batches-bin/data_batch_1.some.bin", slices.Concat(record, record)}, {"cifar-10-batches-bin/test_batch.some.bin", record},
		{"cifar-10-batches-bin/readme.html", []byte("x")}, {"cifar-10-batches-bin/._readme.html", []byte("x")}})
	b, err := os.ReadFile(archive)
	if err != nil {
		t.Fatal(err)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	}))
	defer s.Close()
	root := filepath.Join(dir, "root")
	// Not what the page of CIFAR gives the MD5 of: nothing is left.
	_, text := do(t, 1, "download", "cifar10", "--url", s.URL+"/x", root)
	contains(t, text, "cite A. Krizhevsky", "its MD5 begins with", "expected c32a1d4ab5d03f1284b67883e8d87530", "is removed, try again")
	if left, _ := os.ReadDir(root); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	_, text = do(t, 0, "download", "cifar10", "--url", s.URL+"/x", "--md5", fmt.Sprintf("%x", md5.Sum(b)), root)
	contains(t, text, "its MD5 is right")
	out, text := do(t, 0, "prepare", "cifar10", "--archive", filepath.Join(root, "cifar-10-binary.tar.gz"), root)
	contains(t, out, "train\t2\t2\t50000\tfewer than published\n", "test\t1\t1\t10000\t", "next: bin/train --config configs/classification/cifar10_resnet32_manpp_k16_full.yaml --set data.root="+root)
	contains(t, text, "3 files written, 0 there already, 1 of other kinds left out")
	out, _ = do(t, 1, "prepare", "cifar100", root)
	contains(t, out, "holds 10 classes (airplane, automobile, bird, ...), CIFAR-100 has 100")
	_, text = do(t, 2, "prepare", "cifar100", "--archive", archive, t.TempDir())
	contains(t, text, "none of its 4 files was expected", "files of CIFAR-100 are called cifar-100-binary/*.bin")
}

func TestDataSetUsage(t *testing.T) {
	for line, want := range map[string]string{
		"download coco":                                    "name the folder",
		"download coco a b":                                "--help",
		"download coco --part test2017 a":                  `--part "test2017" is no part of COCO 2017`,
		"download coco --url http://x a":                   "choose it with --part",
		"download cifar10 --url ftp://x a":                 "no http or https address",
		"download cifar10 --md5 12 a":                      `"12" is no MD5, which has 32 hexadecimal digits`,
		"download cifar10 --md5 x --sha256 y a":            "not both",
		"download cifar10 --limit 0 a":                     "--limit 0",
		"download cityscapes a":                            "registration at https://www.cityscapes-dataset.com",
		"download imagenet a":                              "unknown command",
		"prepare":                                          "name the data set",
		"prepare coco":                                     "--help",
		"prepare coco nowhere":                             "no such folder",
		"prepare coco --archive nowhere.zip a":             "nowhere.zip",
		"prepare cifar10 --archive prepare_test.go folder": "no .zip, .tar.gz",
	} {
		_, text := do(t, 2, strings.Fields(line)...)
		contains(t, text, want)
	}
	out, _ := do(t, 0, "download", "coco", "--list")
	contains(t, out, "train2017.zip\t18 GB\thttp://images.cocodataset.org/zips/train2017.zip\tnone published\n")
	for i := range datasets {
		for _, a := range datasets[i].archives {
			if a.sum.Hex == "" {
				continue
			}
			if _, err := fetch.ParseSum(a.sum.Kind, a.sum.Hex); err != nil {
				t.Error(a.file, err)
			}
		}
	}
}
