package topk

import (
	"strings"
	"testing"
)

// Three images of classes a (right, wrong) and b (right), none of c.
func TestTables(t *testing.T) {
	e := New([]string{"a", "b", "c"})
	if err := e.Process([]float32{2, 1, 0, 0, 1, 0, 0, 3, 1}, []int32{0, 0, 1}); err != nil {
		t.Fatal(err)
	}
	s := e.Evaluate()
	if got := s.Table(); !strings.Contains(got, "3 images; 2 of 3 classes present") || !strings.Contains(got, "top1           0.6667  share of images") {
		t.Error(got)
	}
	if got := s.ClassTable(); !strings.Contains(got, "  a     0.5000 1.0000        2          1\n") || !strings.Contains(got, "  c          -      -        0          0\n") {
		t.Errorf("%s", got)
	}
	var b strings.Builder
	if err := s.WritePlain(&b, true); err != nil || !strings.HasPrefix(b.String(), "top1\t0.6666666666666666\ntop5\t1\n") || !strings.HasSuffix(b.String(), "class\t0\ta\t0.5\t1\nclass\t1\tb\t1\t1\nclass\t2\tc\tabsent\n") {
		t.Errorf("%v: %s", err, b.String())
	}
	if got := New([]string{"a"}).Evaluate().Table(); !strings.Contains(got, "top1                -") {
		t.Error(got)
	}
}
