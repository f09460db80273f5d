package report

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
	"golang.org/x/term"
)

// Table is a text table: columns aligned on a terminal, tab-separated lines when
// piped, so that cut and awk can read them.
type Table struct {
	header []string
	rows   [][]string
	right  []bool // columns of numbers only
}

// NewTable returns a table with the given column names.
func NewTable(header ...string) *Table {
	t := &Table{}
	for _, h := range header {
		t.header, t.right = append(t.header, clean(h)), append(t.right, true)
	}
	return t
}

// Row adds a row. Floats get three decimals (fmt.Sprintf a string for another
// form); missing cells are empty, cells beyond the header open columns without
// a name. A column in which every filled cell is a number is aligned right.
func (t *Table) Row(cells ...any) {
	row := make([]string, len(cells))
	for i, c := range cells {
		switch v := c.(type) {
		case float64:
			row[i] = strconv.FormatFloat(v, 'f', 3, 64)
		case float32:
			row[i] = strconv.FormatFloat(float64(v), 'f', 3, 32)
		default:
			row[i] = fmt.Sprint(c)
		}
		row[i] = clean(row[i])
		for len(t.header) <= i {
			t.header, t.right = append(t.header, ""), append(t.right, true)
		}
		if row[i] != "" && !isNumber(row[i]) {
			t.right[i] = false
		}
	}
	t.rows = append(t.rows, row)
}

// clean turns control characters into spaces: a tab would open a column, a line
// break a row, and an escape sequence could do anything to a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
}

// isNumber also takes what stands for a missing number, and units in which
// tables of one kind agree ("12.5%").
func isNumber(s string) bool {
	if s == "-" {
		return true
	}
	_, err := strconv.ParseFloat(strings.TrimSuffix(s, "%"), 64)
	return err == nil
}

// Write prints the table. On a terminal columns are two spaces apart under a
// ruled header; otherwise cells are separated by tabs, the header first.
func (t *Table) Write(w io.Writer, terminal bool) error {
	out := bufio.NewWriter(w)
	if terminal {
		t.writeAligned(out)
	} else {
		for _, row := range append([][]string{t.header}, t.rows...) {
			fmt.Fprintln(out, strings.Join(t.padded(row), "\t"))
		}
	}
	return out.Flush()
}

// padded returns the row with one cell per column.
func (t *Table) padded(row []string) []string {
	return append(row[:len(row):len(row)], make([]string, len(t.header)-len(row))...)
}

func (t *Table) writeAligned(out *bufio.Writer) {
	width := make([]int, len(t.header))
	rule := make([]string, len(t.header))
	for _, row := range append([][]string{t.header}, t.rows...) {
		for i, c := range row {
			width[i] = max(width[i], uniseg.StringWidth(c))
		}
	}
	for i, w := range width {
		rule[i] = strings.Repeat("-", w)
	}
	for _, row := range append([][]string{t.header, rule}, t.rows...) {
		var line strings.Builder
		for i, c := range t.padded(row) {
			if i > 0 {
				line.WriteString("  ")
			}
			pad := strings.Repeat(" ", width[i]-uniseg.StringWidth(c))
			if t.right[i] {
				line.WriteString(pad + c)
			} else {
				line.WriteString(c + pad)
			}
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
}

// IsTerminal says whether w is a terminal.
func IsTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
