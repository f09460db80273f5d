package devicetest

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"reflect"
	"strconv"
	"testing"

	"manvision/device"
	"manvision/device/ref"
)

// stored is a tensor of testdata/pytorch.json; see gen_pytorch.py.
type stored struct {
	F []float64
	I []int32
	B []uint16 // bytes; encoding/json reads []byte as base64
}

func (s stored) data() any {
	switch {
	case s.F != nil:
		return s.F
	case s.I != nil:
		return s.I
	}
	b := make([]byte, len(s.B))
	for i, v := range s.B {
		b[i] = byte(v)
	}
	return b
}

// kinds lists every operation by kind.
func kinds() map[string]device.Op {
	m := map[string]device.Op{}
	for _, op := range []device.Op{
		device.Conv{}, device.ConvBackwardData{}, device.ConvBackwardWeights{}, device.Linear{}, device.LinearBackwardData{}, device.LinearBackwardWeights{},
		device.BatchNorm{}, device.BatchNormBackward{}, device.RunningStats{}, device.FoldNorm{}, device.ReLU{}, device.ReLUBackward{}, device.MaxPool{}, device.MaxPoolBackward{},
		device.AvgPool{}, device.AvgPoolBackward{}, device.GlobalAvgPool{}, device.GlobalAvgPoolBackward{}, device.Add{}, device.Fuse{}, device.FuseBackward{},
		device.Resize{}, device.ResizeBackward{}, device.Concat{}, device.Slice{}, device.SliceBackward{}, device.Fill{},
		device.FocalLoss{}, device.FocalLossBackward{}, device.SmoothL1{}, device.SmoothL1Backward{}, device.CrossEntropy{}, device.CrossEntropyBackward{},
		device.PixelCrossEntropy{}, device.PixelCrossEntropyBackward{}, device.SigmoidBCE{}, device.SigmoidBCEBackward{}, device.Dropout{},
		device.SoftCrossEntropy{}, device.SoftCrossEntropyBackward{}, device.SupCon{}, device.SupConBackward{}, device.Similarity{}, device.SimilarityBackward{},
		device.LayerNorm{}, device.LayerNormBackward{}, device.GELU{}, device.GELUBackward{}, device.Attention{}, device.AttentionBackward{},
		device.Tokens{}, device.TokensBackward{}, device.Average{},
		device.SGD{}, device.AdamW{}, device.EMA{}, device.SquaredNorm{}, device.SquaredDistance{},
	} {
		m[op.Kind()] = op
	}
	return m
}

// TestRefPyTorch compares the reference with PyTorch 1.13 (torchvision 0.14 for
// the focal loss) in float64 on every operation: testdata/pytorch.json, made by
// testdata/gen_pytorch.py. Both work in float64, so 1e-12 of the largest
// magnitude (at least 1) leaves room for other orders of summation only. Masks and
// winners must be equal.
func TestRefPyTorch(t *testing.T) {
	const accepted = 1e-12
	text, err := os.ReadFile("testdata/pytorch.json")
	if err != nil {
		t.Fatal(err)
	}
	var cases []struct {
		Kind  string
		Op    json.RawMessage
		Steps [][]stored
		Start map[string]stored
		Out   []stored
	}
	if err := json.Unmarshal(text, &cases); err != nil {
		t.Fatal(err)
	}
	known, seen := kinds(), map[string]bool{}
	for i, c := range cases {
		t.Run(fmt.Sprintf("%d %s", i, c.Kind), func(t *testing.T) {
			if known[c.Kind] == nil {
				t.Fatalf("unknown kind %q", c.Kind)
			}
			seen[c.Kind] = true
			p := reflect.New(reflect.TypeOf(known[c.Kind]))
			if err := json.Unmarshal(c.Op, p.Interface()); err != nil {
				t.Fatal(err)
			}
			op := p.Elem().Interface().(device.Op)
			out := make([]any, len(op.Outputs()))
			for o := range out {
				if s, ok := c.Start[strconv.Itoa(o)]; ok {
					out[o] = s.data()
				}
			}
			for _, step := range c.Steps {
				in := make([]any, len(step))
				for j, s := range step {
					in[j] = s.data()
					if n := reflect.ValueOf(in[j]).Len(); n != op.Inputs()[j].Elems() {
						t.Fatalf("input %d has %d elements, want %v", j, n, op.Inputs()[j])
					}
				}
				execute(t, ref.New(), op, in, out)
			}
			for o, s := range c.Out {
				want := s.data()
				if reflect.ValueOf(want).Len() != reflect.ValueOf(out[o]).Len() {
					t.Fatalf("output %d has %d elements, want %d", o, reflect.ValueOf(out[o]).Len(), reflect.ValueOf(want).Len())
				}
				numbers, ok := want.([]float64)
				if !ok {
					if !reflect.DeepEqual(out[o], want) {
						t.Errorf("output %d: %v, want %v", o, out[o], want)
					}
					continue
				}
				scale := 1.0
				for _, v := range numbers {
					scale = math.Max(scale, math.Abs(v))
				}
				for j, v := range numbers {
					if got := out[o].([]float64)[j]; !(math.Abs(got-v) <= accepted*scale) {
						t.Errorf("output %d, element %d: %v, want %v", o, j, got, v)
					}
				}
			}
		})
	}
	for kind := range known {
		if !seen[kind] {
			t.Errorf("no case of kind %q", kind)
		}
	}
}

// TestAllKinds checks that the suite leaves no operation out.
func TestAllKinds(t *testing.T) {
	covered := map[string]bool{}
	for _, c := range Cases() {
		covered[c.Op.Kind()] = true
	}
	for kind := range kinds() {
		if !covered[kind] {
			t.Errorf("the suite has no case of kind %q", kind)
		}
	}
}
