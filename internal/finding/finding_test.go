package finding

import (
	"errors"
	"strings"
	"testing"
)

func TestWrite(t *testing.T) {
	list := []Finding{
		New("disk", Note, "", "little is free: %d", 3),
		{Severity: Warning, Kind: "b", Count: 3, Examples: []string{"x", "y"}, Fix: "mend it"},
		{Severity: Error, Kind: "z", Count: 2},
		{Severity: Error, Kind: "a", Count: 1, Examples: []string{"q"}},
	}
	Sort(list)
	var b strings.Builder
	if err := Write(&b, list); err != nil {
		t.Fatal(err)
	}
	want := "error: a: 1\n  q\nerror: z: 2\nwarning: b: 3\n  x\n  y\n  and 1 more\n  fix: mend it\nnote: disk: little is free: 3\n"
	if b.String() != want {
		t.Errorf("%s", b.String())
	}
	if Count(list, Error) != 3 || Count(list, Warning) != 3 || Count(list, Note) != 1 {
		t.Error("counts")
	}
	b.Reset()
	if Write(&b, nil); b.String() != "no findings\n" {
		t.Error(b.String())
	}
	if err := Write(full{}, list); err == nil {
		t.Error("the writer's error is lost")
	}
}

func TestSortBySeverityKeepsOrder(t *testing.T) {
	list := []Finding{{Severity: Note, Kind: "1"}, {Severity: Error, Kind: "3"}, {Severity: Error, Kind: "2"}, {Severity: Warning}}
	SortBySeverity(list)
	if list[0].Kind != "3" || list[1].Kind != "2" || list[2].Severity != Warning || list[3].Kind != "1" {
		t.Errorf("%+v", list)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("full") }
