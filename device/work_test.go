package device

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"strings"
	"testing"
)

// bytesOf is what device/cpu stores: floats and labels of 4 bytes, a bit or window
// index in 1, bf16 in 2.
func bytesOf(d Desc) float64 {
	n := float64(d.Elems())
	if d.DType == Bits || d.DType == Window {
		return n
	}
	if d.DType == BF16 {
		return 2 * n
	}
	return 4 * n
}

// All figures are computed by hand from the definitions in the descriptors' comments.
func TestWork(t *testing.T) {
	conv := Conv{N: 2, H: 4, W: 4, IC: 3, OC: 5, KH: 3, KW: 3, SH: 1, SW: 1, PH: 1, PW: 1, DH: 1, DW: 1, Groups: 1, Bias: true, ReLU: true}
	point := Conv{N: 1, H: 4, W: 6, IC: 2, OC: 3, KH: 1, KW: 1, SH: 2, SW: 2, DH: 1, DW: 1, Groups: 1}
	bn := BatchNorm{N: 2, H: 3, W: 1, C: 4, Eps: 1e-5, ReLU: true}
	pool := Pool{N: 1, H: 4, W: 4, C: 2, KH: 2, KW: 2, SH: 2, SW: 2}
	resize := Resize{N: 1, H: 2, W: 2, C: 3, OH: 4, OW: 4, Mode: Bilinear}
	lin := Linear{M: 2, K: 3, N: 5, Bias: true}
	pce := PixelCrossEntropy{N: 1, H: 2, W: 2, C: 3, OH: 4, OW: 4}
	att := Attention{N: 2, T: 3, Heads: 2, Dim: 4, Scale: 0.5}
	ten := dense(10)
	for _, c := range []struct {
		op           Op
		flops, bytes float64
	}{
		// 2·(2·4·4·5 outputs)·27 products, 160 biases, 160 ReLUs; x 96, w 135, b 5, y 160.
		{conv, 8640 + 320, 4 * (96 + 135 + 5 + 160)},
		{ConvBackwardData{conv}, 8640, 4 * (160 + 135 + 96)},
		{ConvBackwardWeights{conv}, 8640 + 160, 4 * (96 + 160 + 135 + 5)},
		// 2x3 outputs of 3 channels by 2 products; a quarter of x's 48, w 6, y 18.
		{point, 72, 4 * (12 + 6 + 18)},
		// 24 elements: x, y; γ, β, mean, var of 4; 24 mask bytes.
		{bn, 24 * 7, 4*(24+24+16) + 24},
		{BatchNorm{N: 2, H: 3, W: 1, C: 4, Eps: 1e-5, Global: true}, 24 * 2, 4 * (24 + 24 + 16)},
		// x, y and z; γ, β, mean, var.
		{BatchNorm{N: 2, H: 3, W: 1, C: 4, Eps: 1e-5, ReLU: true, Sum: true}, 24 * 8, 4 * (24*3 + 16)},
		{BatchNormBackward{bn}, 24 * 10, 4*(24*3+4*5) + 24},
		{RunningStats{C: 4, Rows: 6}, 28, 4 * 4 * 6},
		{FoldNorm{Filter: Desc{Layout: Filter, Shape: []int{4, 3, 1, 1}}, Eps: 1e-5}, 12 + 24, 4 * (12 + 16 + 12 + 4)},
		{ReLU{10}, 10, 80},
		{ReLUBackward{Size: 10}, 10, 120},
		{ReLUBackward{Size: 10, Sum: true}, 20, 160},
		{MaxPool{pool}, 32, 4*(32+8) + 8},
		{MaxPoolBackward{pool}, 8, 8 + 4*(8+32)},
		{AvgPool{Pool: pool}, 32, 4 * 40},
		{AvgPoolBackward{Pool: pool}, 32, 4 * 40},
		{GlobalAvgPool{2, 3, 3, 4}, 72, 4 * (72 + 8)},
		{GlobalAvgPoolBackward{2, 3, 3, 4}, 8, 4 * (72 + 8)},
		{Add{Of: ten, ReLU: true}, 20, 120},
		{Fuse{10}, 30, 4 * 31},
		{FuseBackward{10}, 50, 4 * (1 + 50 + 1)},
		{resize, 48 * 7, 4 * (12 + 48)},
		{ResizeBackward{resize}, 48 * 8, 4 * (12 + 48)},
		{Resize{N: 1, H: 2, W: 2, C: 3, OH: 4, OW: 4}, 0, 4 * (12 + 48)},
		{Concat{Outer: 2, Sizes: []int{3, 4}}, 0, 4 * 28},
		{Slice{Outer: 2, Total: 7, From: 1, Size: 3}, 0, 4 * 12},
		{SliceBackward{Slice{Outer: 2, Total: 7, From: 1, Size: 3}}, 0, 4 * (6 + 14)},
		{lin, 60 + 10, 4 * (6 + 15 + 5 + 10)},
		{LinearBackwardData{lin}, 60, 4 * (10 + 15 + 6)},
		{LinearBackwardWeights{lin}, 70, 4 * (6 + 10 + 15 + 5)},
		{Fill{Of: ten}, 0, 40},
		{FocalLoss{Rows: 4, Classes: 3}, 120, 4 * (12 + 4 + 1 + 1)},
		{FocalLossBackward{FocalLoss{Rows: 4, Classes: 3}}, 168, 4 * (12 + 4 + 1 + 1 + 12)},
		{SmoothL1{Rows: 2, Dim: 4}, 40, 4 * (8 + 8 + 2 + 1 + 1)},
		{SmoothL1Backward{SmoothL1{Rows: 2, Dim: 4}}, 24, 4 * (8 + 8 + 2 + 1 + 1 + 8)},
		{CrossEntropy{Rows: 2, Classes: 5}, 40, 4 * (10 + 2 + 1)},
		{CrossEntropyBackward{CrossEntropy{Rows: 2, Classes: 5}}, 60, 4 * (10 + 2 + 1 + 10)},
		{pce, 48 * 11, 4 * (12 + 16 + 1 + 2)},
		{PixelCrossEntropyBackward{pce}, 48 * 21, 4 * (12 + 16 + 2 + 1 + 12)},
		{SigmoidBCE{Size: 10}, 60, 84},
		{SigmoidBCEBackward{SigmoidBCE{Size: 10}}, 50, 4 * (10 + 10 + 1 + 10)},
		{SoftCrossEntropy{Rows: 2, Classes: 5}, 60, 84},
		{SoftCrossEntropyBackward{SoftCrossEntropy{Rows: 2, Classes: 5}}, 60, 4 * 31},
		{SupCon{Rows: 2, Dim: 3}, 18 + 24 + 20, 4 * (6 + 2 + 1)},
		{SupConBackward{SupCon{Rows: 2, Dim: 3}}, 48 + 48 + 28, 4 * (6 + 2 + 1 + 6)},
		{Similarity{N: 2, Cells: 3, C: 4}, 96 + 32 + 12, 4 * (24 + 2 + 1)},
		{SimilarityBackward{Similarity{N: 2, Cells: 3, C: 4}}, 168 + 64 + 20, 4 * (24 + 2 + 1 + 24)},
		{Dropout{Size: 10}, 10, 84},
		{LayerNorm{Rows: 2, C: 5}, 80, 4 * 30},
		{LayerNormBackward{LayerNorm{Rows: 2, C: 5}}, 170, 4 * (10 + 10 + 5 + 10 + 5 + 5)},
		{GELU{10}, 50, 80},
		{GELUBackward{10}, 90, 120},
		// 2·2·9 weights; qkv 2·3·3·8 = 144, y 48.
		{att, 36 * 22, 4 * (144 + 48)},
		{AttentionBackward{att}, 36 * 50, 4 * (144 + 48 + 144)},
		{Tokens{N: 2, Patches: 3, D: 5}, 40, 4 * (30 + 5 + 20 + 40)},
		{TokensBackward{Tokens{N: 2, Patches: 3, D: 5}}, 40, 4 * (30 + 5 + 20 + 40)},
		{Average{Of: ten}, 30, 120},
		// g read; p and v read and written; five numbers.
		{SGD{Of: ten, Momentum: 0.9}, 70, 4 * (50 + 5)},
		{SGD{Of: ten}, 50, 4 * (30 + 5)},
		{AdamW{Of: ten}, 150, 4 * (70 + 5)},
		{EMA{Of: ten}, 30, 120},
		{SquaredNorm{ten}, 20, 48},
		{Together{[]Op{SGD{Of: ten}, EMA{Of: dense(3)}}}, 59, 4*(30+5) + 36},
		{Cast{Size: 10, From: Float, To: BF16}, 0, 60},
		{Mixed{Of: point, In: []bool{true, false}, Out: []bool{true}}, 72, 2*12 + 4*6 + 2*18},
		{SquaredDistance{ten}, 30, 88},
	} {
		w, known := WorkOf(c.op, bytesOf)
		if !known || w.FLOPs != c.flops || w.Bytes != c.bytes {
			t.Errorf("%s: %v FLOPs, %v bytes (known: %v); want %v, %v", c.op.Kind(), w.FLOPs, w.Bytes, known, c.flops, c.bytes)
		}
	}
}

// A 4-wide side padded by 1 has 3·4−2 = 10 taps on the map, so the 3x3 case 100 of 144;
// Winograd's quarter of 8640 is less than 8640·100/144. The taps −2..2 of the 5x5 meet
// 1+2+3+2+1 = 9 inputs a side.
func TestLeastWork(t *testing.T) {
	three := Conv{N: 2, H: 4, W: 4, IC: 3, OC: 5, KH: 3, KW: 3, SH: 1, SW: 1, PH: 1, PW: 1, DH: 1, DW: 1, Groups: 1, Bias: true}
	five := Conv{N: 1, H: 3, W: 3, IC: 2, OC: 2, KH: 5, KW: 5, SH: 1, SW: 1, PH: 2, PW: 2, DH: 1, DW: 1, Groups: 1}
	grouped := Conv{N: 1, H: 4, W: 4, IC: 4, OC: 4, KH: 3, KW: 3, SH: 1, SW: 1, PH: 1, PW: 1, DH: 1, DW: 1, Groups: 2}
	wide := Conv{N: 1, H: 4, W: 4, IC: 1, OC: 1, KH: 3, KW: 3, SH: 1, SW: 1, PH: 6, PW: 6, DH: 6, DW: 6, Groups: 1}
	for _, c := range []struct {
		op   Op
		want float64
	}{
		{three, 2160 + 160},
		{ConvBackwardData{three}, 2160},
		{five, 2 * 81 * 4},
		{grouped, 2 * 100 * 4 * 2},
		{wide, 2 * 16}, // the middle tap alone; a quarter of 2·16·9 would be 72
		{ReLU{7}, 7},
	} {
		if w, _ := WorkOf(c.op, bytesOf); w.Least != c.want {
			t.Errorf("%s %+v: at least %v, want %v", c.op.Kind(), c.op, w.Least, c.want)
		}
	}
}

// unlisted has no case in flops.
type unlisted struct{ ReLU }

func (unlisted) Kind() string { return "unlisted" }

func TestWorkOfUnknownKind(t *testing.T) {
	if w, known := WorkOf(unlisted{ReLU{10}}, bytesOf); known || w.FLOPs != 0 || w.Bytes != 80 {
		t.Errorf("%+v, known: %v; want 80 bytes and nothing else", w, known)
	}
}

// Every descriptor of this package has its count: flops knows each type that has a
// Kind.
func TestEveryKindIsCounted(t *testing.T) {
	set := token.NewFileSet()
	pkgs, err := parser.ParseDir(set, ".", func(f fs.FileInfo) bool { return !strings.HasSuffix(f.Name(), "_test.go") }, 0)
	if err != nil {
		t.Fatal(err)
	}
	kinds, counted := map[string]bool{}, map[string]bool{}
	for _, f := range pkgs["device"].Files {
		ast.Inspect(f, func(n ast.Node) bool {
			fn, ok := n.(*ast.FuncDecl)
			if !ok {
				return true
			}
			if fn.Name.Name == "Kind" && fn.Recv != nil {
				if id, ok := fn.Recv.List[0].Type.(*ast.Ident); ok {
					kinds[id.Name] = true
				}
			}
			if fn.Name.Name != "flops" {
				return true
			}
			ast.Inspect(fn, func(n ast.Node) bool {
				if c, ok := n.(*ast.CaseClause); ok {
					for _, e := range c.List {
						if id, ok := e.(*ast.Ident); ok {
							counted[id.Name] = true
						}
					}
				}
				return true
			})
			return true
		})
	}
	if len(kinds) < 50 {
		t.Fatalf("found only %d descriptors", len(kinds))
	}
	for k := range kinds {
		if !counted[k] {
			t.Errorf("work.go does not count the operations of %s: add a case to flops, and to traffic where an argument is read and written", k)
		}
	}
}
