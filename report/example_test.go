package report_test

import (
	"fmt"
	"log"
	"os"
	"strings"

	"manvision/report"
)

// A table for people; with false it is lines of tab-separated cells for programs.
func ExampleTable() {
	t := report.NewTable("class", "AP")
	t.Row("dog", 0.5)
	t.Row("zebra", 0.75)
	if err := t.Write(os.Stdout, true); err != nil {
		log.Fatal(err)
	}
	// Output:
	// class     AP
	// -----  -----
	// dog    0.500
	// zebra  0.750
}

// Curves of a run's log; an empty cell is a gap.
func ExampleReadCSV() {
	const text = "step,loss,lr\n10,2.5,0.1\n20,,0.1\n30,1.5,0.05\n"
	series, err := report.ReadCSV(strings.NewReader(text), "step", "loss")
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range series {
		fmt.Println(s.Name, s.X, s.Y)
	}
	// Output: loss [10 20 30] [2.5 NaN 1.5]
}
