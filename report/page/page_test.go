package page

import (
	"encoding/json"
	"fmt"
	"image"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"manvision/report"
)

// hostile is a class's name that would run a script, were it not escaped.
const hostile = `</script><script>alert("x")</script><img src=x onerror=alert(1)>'"`

// synthetic writes a run of n log lines and k blocks, and returns its folder.
func synthetic(t *testing.T, name string, n, k int) string {
	t.Helper()
	dir := t.TempDir()
	var log, metrics strings.Builder
	for i := 1; i <= n; i++ {
		l := map[string]any{"step": 10 * i, "loss": 3 / math.Sqrt(float64(i)), "lr": 0.1 * float64(i) / float64(n), "grad_norm": 1 + 1/float64(i), "images_per_second": 100.5, "data_wait": 0.01, "memory": 1 << 28, "seconds": float64(i)}
		var blocks, s, distance, seconds []float64
		for b := range k {
			blocks, seconds = append(blocks, float64(b+1)/float64(i)), append(seconds, 0.01*float64(b+1))
			if b < k-1 {
				s, distance = append(s, 1+0.01*float64(i*b)), append(distance, float64(i*(b+1)))
			}
		}
		l["blocks"], l["s"], l["lb_ema"], l["block_seconds"] = blocks, s, distance, seconds
		b, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		log.Write(append(b, '\n'))
		if i%4 == 0 {
			fmt.Fprintf(&metrics, `{"metrics":{"top1":%g,"top5":0.9,"APl":-1},"step":%d}`+"\n", 0.5+0.001*float64(i), 10*i)
		}
	}
	name2, err := json.Marshal(hostile)
	if err != nil {
		t.Fatal(err)
	}
	result := fmt.Sprintf(`{"name": %q, "status": "done", "step": %d, "metrics": {"top1": 0.5, "per_class": [{"name": "cat", "top1": 0.75, "images": 4}, {"name": %s, "top1": 0.5, "images": 2}],
"confusion": [[3, 1], [1, 1]]}, "seconds": 12.5, "images_per_second": 99, "memory": {"planned": 1048576, "allocated": 1153433, "resident": 2097152},
"outline": {"device": "cpu/onednn", "threads": 2, "blocks": %d, "cuts": ["stem", "layer1"], "input": [8, 32, 32], "steps": %d, "steps_per_epoch": 5,
"memory": {"blocks": [500000, 400000, 300000], "working": 500000, "boundary": 48576, "parameters": 500000}}}`, name, 10*n, name2, k, 10*n)
	recipe := fmt.Sprintf("# written by the run\ntask: classification\nname: %s\noptim:\n  lr: 0.%d\n  betas: [0.9, 0.999]\n", name, k)
	for file, text := range map[string]string{logFile: log.String(), metricsFile: metrics.String(), resultFile: result, configFile: recipe} {
		if err := os.WriteFile(filepath.Join(dir, file), []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func open(t *testing.T, dir string) *Run {
	t.Helper()
	r, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func render(t *testing.T, runs ...*Run) string {
	t.Helper()
	Relabel(runs)
	b, err := Render("A <page> & more", runs)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestPage(t *testing.T) {
	a, b := open(t, synthetic(t, "first", 50, 3)), open(t, synthetic(t, "second", 30, 2))
	a.Galleries = []Gallery{{Title: "Worst images", About: "about", Pictures: []Picture{{Title: hostile, Note: "n", Views: []View{{"ground truth", image.NewRGBA(image.Rect(0, 0, 200, 100))}, {"prediction", image.NewRGBA(image.Rect(0, 0, 8, 8))}}}}}}
	a.Curves = []PR{{Name: "IoU 0.50", Precision: []float64{1, 0.5, 0}}, {Name: "cat", Precision: []float64{1, 1, 0}, Class: true}}
	text := render(t, a, b)
	for _, want := range []string{
		"<title>A &lt;page&gt; &amp; more</title>", "Loss of the last block", "Top-1 accuracy", "Learning rate", "Blocks of first", "Fusion scalar s", "Distance of local block and EMA",
		"Precision by recall, mean of the classes", "Precision by recall at IoU 0.50, by class: first", "data:image/png;base64,", "data:image/jpeg;base64,",
		`<th scope="row">allocated over planned</th><td>1.10</td>`, `<th scope="row">optim.lr</th><td>0.3</td><td>0.2</td>`, "block 2, to layer1", "20.0 ms",
		"prefers-color-scheme: dark", `name="viewport"`, "default-src &#39;none&#39;", "cat called cat: 3 images, 75.0 %",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q", want)
		}
	}
	// Nothing is fetched: no address but those of the data themselves.
	for _, m := range regexp.MustCompile(`(?:src|href|url)\s*[=(]\s*["']?([^"'\s)]+)`).FindAllStringSubmatch(text, -1) {
		if !strings.HasPrefix(m[1], "data:") && !strings.HasPrefix(m[1], "#") && m[1] != "x" {
			t.Errorf("the page refers to %s", m[1])
		}
	}
	if strings.Contains(text, "<img src=x") || strings.Contains(text, "<script>alert") {
		t.Error("a class's name is not escaped")
	}
	if again := render(t, a, b); again != text {
		t.Error("the same runs gave another page")
	}
}

// What a killed run leaves.
func TestDamagedRuns(t *testing.T) {
	dir := synthetic(t, "cut", 20, 3)
	log := filepath.Join(dir, logFile)
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	// Two lines of a resumed run, one that is no JSON, and a last one cut off.
	whole := string(b) + `{"step":190,"loss":9,"blocks":[1,2,9]}` + "\nnonsense\n" + `{"step":200,"loss":8,"blocks":[1,2,8]}` + "\n" + `{"step":210,"lo`
	if err := os.WriteFile(log, []byte(whole), 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(dir, resultFile)); err != nil {
		t.Fatal(err)
	}
	r := open(t, dir)
	if n := len(r.Log); n != 20 || *r.Log[18].Loss != 9 || *r.Log[19].Loss != 8 {
		t.Errorf("%d lines, the last of loss %v", n, *r.Log[n-1].Loss)
	}
	notes := strings.Join(r.Notes, "\n")
	for _, want := range []string{"log.jsonl: 2 lines are left out, the first: line 22 is no JSON", "result.json is missing: the run goes on, or was killed"} {
		if !strings.Contains(notes, want) {
			t.Errorf("no %q in %s", want, notes)
		}
	}
	if text := render(t, r); !strings.Contains(text, "no result") || !strings.Contains(text, "line 22 is no JSON") {
		t.Error("the page does not say it")
	}
	if err := os.WriteFile(log, []byte(string(b)+`{"step":210,"lo`), 0o666); err != nil {
		t.Fatal(err)
	}
	if got := open(t, dir).Notes[0]; got != "log.jsonl: line 21 was cut off; it is left out" {
		t.Error(got)
	}
	if err := os.WriteFile(filepath.Join(dir, resultFile), []byte("{"), 0o666); err != nil {
		t.Fatal(err)
	}
	if notes := strings.Join(open(t, dir).Notes, "\n"); !strings.Contains(notes, "result.json cannot be read and is left out: unexpected end") {
		t.Error(notes)
	}
}

func TestNoRuns(t *testing.T) {
	dir := synthetic(t, "one", 4, 1)
	for path, want := range map[string]string{
		t.TempDir():                 "is no run: it holds none of log.jsonl",
		filepath.Dir(dir):           "runs in it: " + dir,
		filepath.Join(dir, "none"):  "no such run",
		filepath.Join(dir, logFile): "is a file; name the run's folder",
	} {
		if _, err := Open(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
	}
	if _, err := Render("x", nil); err == nil {
		t.Error("a page of no runs")
	}
}

// An empty run still makes a page, and equal names get others.
func TestLabels(t *testing.T) {
	empty := t.TempDir()
	if err := os.WriteFile(filepath.Join(empty, logFile), nil, 0o666); err != nil {
		t.Fatal(err)
	}
	if text := render(t, open(t, empty)); !strings.Contains(text, filepath.Base(empty)) {
		t.Error("no name")
	}
	root := t.TempDir()
	var runs []*Run
	for _, name := range []string{"a", "b"} {
		to := filepath.Join(root, name)
		if err := os.Rename(synthetic(t, "same", 4, 1), to); err != nil {
			t.Fatal(err)
		}
		runs = append(runs, open(t, to))
	}
	Relabel(runs)
	if runs[0].Label != "a" || runs[1].Label != "b" {
		t.Error(runs[0].Label, runs[1].Label)
	}
	twice := []*Run{open(t, runs[0].Dir), open(t, runs[0].Dir)}
	Relabel(twice)
	if twice[0].Label != "a (1)" || twice[1].Label != "a (2)" {
		t.Error(twice[0].Label, twice[1].Label)
	}
}

// By hand.
func TestTicks(t *testing.T) {
	for _, c := range []struct {
		a    axis
		want string
	}{
		{axis{min: 0, max: 1}, "[0 0.2 0.4 0.6 0.8 1]"},
		{axis{min: -0.3, max: 2.3}, "[0 1 2]"},
		{axis{min: 0, max: 97}, "[0 20 40 60 80]"},
		{axis{min: 0.5, max: 2000, log: true}, "[1 10 100 1000]"},
		{axis{min: 2, max: 20, log: true}, "[2 3 5 7 10 20]"},
	} {
		var got []string
		for _, v := range c.a.ticks(5) {
			got = append(got, short(v))
		}
		if fmt.Sprint(got) != c.want {
			t.Errorf("%+v: %v, want %s", c.a, got, c.want)
		}
	}
	for v, want := range map[float64]string{0: "0", 1.23456: "1.235", -0.5: "−0.5", 12345.6: "12\u202f346", 3e-7: "3.00e−07", 0.0125: "0.0125", math.NaN(): "–"} {
		if got := number(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
	for v, want := range map[float64]string{10000: "10k", 2.5e6: "2.5M", 1e-5: "1e-5", 0.25: "0.25", 2000: "2000"} {
		if got := short(v); got != want {
			t.Errorf("%v: %s, want %s", v, got, want)
		}
	}
}

// A peak of one point in a long run stays.
func TestThin(t *testing.T) {
	var s report.Series
	for i := range 100_000 {
		y := math.Sin(float64(i) / 5000)
		if i == 54_321 {
			y = 40
		}
		s.X, s.Y = append(s.X, float64(i)), append(s.Y, y)
	}
	got := thin(s, maxPoints)
	peak := false
	for i, v := range got.Y {
		peak = peak || v == 40 && got.X[i] == 54_321
		if i > 0 && got.X[i] <= got.X[i-1] {
			t.Fatal("out of order")
		}
	}
	if !peak || len(got.X) > maxPoints+4 || got.X[0] != 0 || got.X[len(got.X)-1] != 99_999 {
		t.Errorf("%d points, peak %v", len(got.X), peak)
	}
	c := chart{title: "c", series: []report.Series{{Name: "gap", X: []float64{1, 2, 3}, Y: []float64{1, math.NaN(), math.Inf(1)}}, {Name: "none"}}}
	if d := c.draw("x"); d == nil || len(d.Rows) != 1 || !strings.Contains(string(d.SVG), `<circle class="dot"`) {
		t.Errorf("%+v", d)
	}
	c.series = c.series[1:]
	if c.draw("x") != nil {
		t.Error("a chart of nothing")
	}
}
