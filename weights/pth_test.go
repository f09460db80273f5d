package weights

import (
	"bytes"
	"encoding/json"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"manvision/internal/testdata"
)

// stored is a tensor as testdata/gen_pth.py (PyTorch 1.13) describes it.
type stored struct {
	DType  string
	Shape  []int
	Values []any
}

func (s stored) tensor(t *testing.T, name string) Tensor {
	out := Tensor{Name: name, Shape: s.Shape}
	switch s.DType {
	case "torch.float32", "torch.float16", "torch.bfloat16":
		out.Data = []float32{}
	case "torch.float64":
		out.F64 = []float64{}
	default:
		out.I64 = []int64{}
	}
	for _, v := range s.Values {
		var x float64
		switch v := v.(type) {
		case string:
			x = math.Inf(1)
		case json.Number:
			if out.I64 != nil {
				n, err := v.Int64()
				if err != nil {
					t.Fatal(err)
				}
				out.I64 = append(out.I64, n)
				continue
			}
			var err error
			if x, err = v.Float64(); err != nil {
				t.Fatal(err)
			}
		}
		if out.Data != nil {
			out.Data = append(out.Data, float32(x))
		} else {
			out.F64 = append(out.F64, x)
		}
	}
	return out
}

func readStored(t *testing.T) map[string]map[string]stored {
	t.Helper()
	b, err := os.ReadFile("testdata/pth.json")
	if err != nil {
		t.Fatal(err)
	}
	var out map[string]map[string]stored
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber()
	if err := dec.Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

func same(t *testing.T, f *File, want map[string]stored, rename func(string) string) {
	t.Helper()
	if len(f.Tensors()) != len(want) {
		t.Errorf("%d tensors, want %d", len(f.Tensors()), len(want))
	}
	for name, s := range want {
		got, err := f.Read(rename(name))
		if err != nil {
			t.Error(err)
			continue
		}
		got.Name = name
		if d := cmp.Diff(s.tensor(t, name), got); d != "" {
			t.Error(d)
		}
	}
}

func identity(s string) string { return s }

// Every element type and kind of view, in both forms and three pickle protocols.
func TestReadsPyTorch(t *testing.T) {
	want := readStored(t)["types"]
	files, err := filepath.Glob("testdata/types_*.pth")
	if err != nil || len(files) != 6 {
		t.Fatal(files, err)
	}
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			f, err := Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			same(t, f, want, identity)
			if wantForm := map[bool]string{true: "PyTorch zip", false: "PyTorch legacy"}[strings.Contains(path, "zip")]; f.Format() != wantForm || f.Key() != "" || len(f.Others()) != 0 {
				t.Error(f.Format(), f.Key(), f.Others())
			}
			if i, _ := f.Info("bf16"); i.DType != BF16 || i.Bytes() != 8 {
				t.Error(i)
			}
		})
	}
}

func TestReadsCheckpoints(t *testing.T) {
	want := readStored(t)["module"]
	for _, form := range []string{"zip", "legacy"} {
		path := "testdata/checkpoint_" + form + ".pth"
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		same(t, f, want, func(s string) string { return "module." + s })
		if f.Key() != "state_dict" || !slices.Equal(f.Others(), []string{"model_ema", ""}) {
			t.Error(f.Key(), f.Others())
		}
		if d := cmp.Diff(map[string]string{"pytorch.epoch": "90", "pytorch.arch": "net"}, f.Metadata()); d != "" {
			t.Error(d)
		}
		e, err := OpenKey(path, "model_ema")
		if err != nil {
			t.Fatal(err)
		}
		defer e.Close()
		a, err := f.Read("module.bn.weight")
		b, err2 := e.Read("bn.weight")
		if err != nil || err2 != nil || b.Data[0] != a.Data[0]+1 {
			t.Error(a, b, err, err2)
		}
		if _, err := OpenKey(path, "gone"); err == nil || !strings.Contains(err.Error(), `no state_dict under "gone"; it has [`) {
			t.Error(err)
		}
		if _, err := Load(path); err == nil || !strings.Contains(err.Error(), "use the file as model.pretrained") {
			t.Error(err)
		}
	}
	if _, err := OpenKey("testdata/types.safetensors", "x"); err == nil || !strings.Contains(err.Error(), "only PyTorch files") {
		t.Error(err)
	}
	// A model saved whole: its tensors without its program.
	f, err := Open("testdata/module_zip.pth")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	same(t, f, want, identity)
}

func TestRefusesOddTensors(t *testing.T) {
	for path, want := range map[string]map[string]string{
		"testdata/odd_zip.pth":    {"quantised": "is quantised; save it with .dequantize()", "complex": "complex elements", "sparse": "is sparse"},
		"testdata/odd_legacy.pth": {"quantised": "is quantised", "complex": "complex elements"},
	} {
		f, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if x, err := f.Read("w"); err != nil || !slices.Equal(x.Data, []float32{1, 2}) {
			t.Error(x, err)
		}
		for name, text := range want {
			if _, err := f.Read(name); err == nil || !strings.Contains(err.Error(), text) || !strings.Contains(err.Error(), name) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, _, err := ReadAll(path); err == nil {
			t.Error("all of it is read")
		}
	}
}

// The real network in its three forms: equal bit for bit.
func TestThreeFormsOfRealWeights(t *testing.T) {
	var first map[string]Tensor
	for _, c := range []struct{ file, form, key string }{
		{"resnet20-12fca82f.derived.safetensors", "safetensors", ""},
		{"resnet20-12fca82f.derived-zip.pth", "PyTorch zip", ""},
		{"resnet20-12fca82f.th", "PyTorch legacy", "state_dict"},
	} {
		f, err := Open(testdata.Shared(t, "cifar10-resnet20/"+c.file))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Format() != c.form || f.Key() != c.key {
			t.Error(c.file, f.Format(), f.Key())
		}
		all, params := map[string]Tensor{}, 0
		for _, i := range f.Tensors() {
			x, err := f.Read(i.Name)
			if err != nil {
				t.Fatal(err)
			}
			x.Name = strings.TrimPrefix(i.Name, "module.")
			all[x.Name] = x
			if !strings.Contains(x.Name, "running_") && !strings.Contains(x.Name, "num_batches") {
				params += x.Len()
			}
		}
		if params != 269722 { // data/README
			t.Errorf("%s: %d parameters", c.file, params)
		}
		if first == nil {
			first = all
			continue
		}
		if len(all) != len(first) {
			t.Errorf("%s: %d tensors, want %d", c.file, len(all), len(first))
		}
		for name, x := range first {
			y := all[name]
			if !slices.Equal(x.Shape, y.Shape) || x.Len() != y.Len() {
				t.Fatalf("%s: %s has shape %v, want %v", c.file, name, y.Shape, x.Shape)
			}
			for i := range x.Data {
				if math.Float32bits(x.Data[i]) != math.Float32bits(y.Data[i]) {
					t.Fatalf("%s: %s[%d] = %g, want %g", c.file, name, i, y.Data[i], x.Data[i])
				}
			}
		}
	}
}

// Shapes of pickles that PyTorch 1.13 does not write: version 3 tensors and the
// byte order of later ones, parts of storages and classes with source code of
// earlier ones, dicts of pairs of Python 2.
func TestReadsOtherVersions(t *testing.T) {
	untyped := pTuple(pStr("storage"), pGlobal("torch.storage", "UntypedStorage"), pStr("0"), pStr("cpu"), pInt(16)) + "Q"
	v3 := func(dtype string) string {
		return pGlobal("torch._utils", "_rebuild_tensor_v3") + pTuple(untyped, pInt(1), pInts(2), pInts(1), "\x89", pGlobal("collections", "OrderedDict")+")R", pGlobal("torch", dtype), "}") + "R"
	}
	pairs := pGlobal("collections", "OrderedDict") + pTuple("]("+"]("+pStr("w")+goodTensor+"e"+"e") + "R"
	part := pTensor(pTuple(pStr("storage"), pGlobal("torch", "FloatStorage"), pStr("0"), pStr("cpu"), pInt(4), pTuple(pStr("1"), pInt(1), pInt(2)))+"Q", 1, pInts(1), pInts(1))
	module := pTuple(pStr("module"), pGlobal("models.net", "Net"), pStr("net.py"), pStr("class Net: pass")) + "Q)\x81" +
		pDict(pStr("_parameters"), pDict(pStr("w"), goodTensor, pStr("none"), "N"), pStr("_buffers"), "}", pStr("_modules"), pDict(pStr("sub"), pGlobal("models.net", "Sub")+")\x81"+pDict(pStr("_parameters"), pDict(pStr("v"), goodTensor), pStr("_buffers"), "}")+"b")) + "b"
	numbers := number64(4) + "\x00\x00\x80\x3f\x00\x00\x00\x40\x00\x00\x40\x40\x00\x00\x80\x40" // 1 2 3 4
	keys := "](" + pStr("0") + "e"
	archive := makeZip([]zipPart{
		{name: "m/data.pkl", data: "\x80\x02" + pDict(pStr("i"), v3("int32"), pStr("odd"), v3("float8_e4m3fn")) + "."},
		{name: "m/.format_version", data: "1"}, {name: "m/byteorder", data: "little"},
		{name: "m/data/0", data: "\x00\x00\x00\x00\x05\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00"},
		{name: "m/.data/serialization_id", data: "12"},
	}, nil)
	for name, c := range map[string]struct {
		b    []byte
		want []Tensor
	}{
		"version 3":       {archive, []Tensor{{Name: "i", Shape: []int{2}, I64: []int64{5, -1}}}},
		"pairs":           {legacyFile(pairs, keys, numbers), []Tensor{{Name: "w", Shape: []int{2, 2}, Data: []float32{1, 2, 3, 4}}}},
		"part of storage": {legacyFile(pDict(pStr("p"), part), keys, numbers), []Tensor{{Name: "p", Shape: []int{1}, Data: []float32{3}}}},
		"whole model":     {legacyFile(module, keys, numbers), []Tensor{{Name: "w", Shape: []int{2, 2}, Data: []float32{1, 2, 3, 4}}, {Name: "sub.v", Shape: []int{2, 2}, Data: []float32{1, 2, 3, 4}}}},
	} {
		f, err := NewFile(bytes.NewReader(c.b), int64(len(c.b)), name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, want := range c.want {
			got, err := f.Read(want.Name)
			if d := cmp.Diff(want, got); err != nil || d != "" {
				t.Errorf("%s: %v %s", name, err, d)
			}
		}
		if _, err := f.Read("odd"); name == "version 3" && (err == nil || !strings.Contains(err.Error(), "torch.float8_e4m3fn")) {
			t.Error(err)
		}
	}
}
