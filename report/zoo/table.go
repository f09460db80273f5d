package zoo

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"manvision/report/progress"
)

// Names of the strategies in the table.
var strategies = map[string]string{
	"e2e": "end to end", "manpp": "MAN++", "man": "MAN", "greedy": "greedy", "dgl": "DGL",
	"predsim": "PredSim", "infopro": "InfoPro", "auglocal": "AugLocal", "mlaan": "MLAAN",
}

// head is the page above the tables.
const head = `# Model zoo

Trainings that were run, as their run folders recorded them. The weights are not in the
repository; the hash tells whether a file is the one that was measured. The same commit,
seed, threads and kind of processor give the same weights again, in a file with another
hash where the folder is another: it also holds the resolved recipe.

This page is made of the records in %s by

    bin/report zoo

and a run is added to it, once it has ended, by

    bin/report zoo RUN

Time is of the whole run with evaluations and checkpoints. Planned memory is what
` + "`--plan`" + ` foresees; allocated the most that a step and an evaluation took; resident how far
the process grew at most, decoded images included. Metrics are those of the checkpoint
that the hash belongs to, in percent, measured on the held-out images.
`

// Markdown writes the page: a table for each task, then the commands, hashes and
// machines. records names the folder that the records lie in.
func Markdown(list []*Record, records string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, head, "`"+records+"`")
	for i, r := range list {
		if i == 0 || list[i-1].Task != r.Task {
			var same []*Record
			for _, o := range list[i:] {
				if o.Task == r.Task {
					same = append(same, o)
				}
			}
			table(&b, same)
		}
	}
	if len(list) == 0 {
		b.WriteString("\nNo run has been recorded yet.\n")
		return b.Bytes()
	}
	b.WriteString("\n## Commands, weights and machines\n")
	for _, r := range list {
		details(&b, r)
	}
	return b.Bytes()
}

func table(b *bytes.Buffer, list []*Record) {
	task := list[0].Task
	fmt.Fprintf(b, "\n## %s%s\n\n", strings.ToUpper(task[:1]), task[1:])
	columns := []string{"recipe", "training", "network", "data: training, held out", "steps", "time"}
	var keys []string
	for _, h := range headline {
		for _, r := range list {
			if _, ok := r.Metrics[h.key]; ok {
				keys, columns = append(keys, h.key), append(columns, h.title)
				break
			}
		}
	}
	columns = append(columns, "planned", "allocated", "resident", "weights")
	row(b, columns)
	b.WriteString(strings.Repeat("|---", len(columns)) + "|\n")
	for _, r := range list {
		cells := []string{r.link(), r.how(), r.network(), fmt.Sprintf("%s: %s, %s", r.Data, count(int64(r.TrainImages)), count(int64(r.ValImages))),
			fmt.Sprintf("%s × %d", count(r.Steps), r.Batch), r.time()}
		for _, k := range keys {
			cell := "–"
			if v, ok := r.Metrics[k]; ok {
				cell = fmt.Sprintf("%.1f", 100*v)
			}
			cells = append(cells, cell)
		}
		row(b, append(cells, size(r.Planned), size(r.Allocated), size(r.Resident), fmt.Sprintf("[`%s`](#%s)", r.Weights.SHA256[:12], anchor(r.Name))))
	}
}

func details(b *bytes.Buffer, r *Record) {
	fmt.Fprintf(b, "\n### %s\n\n    %s\n\n", r.Name, r.Command)
	seed := "seed " + r.Seed
	if r.Precision != "" {
		seed += ", " + r.Precision
	}
	program := ""
	if r.Program != "" {
		program = ", commit " + r.Program
	}
	fmt.Fprintf(b, "- %s, %s%s\n", r.Date, seed, program)
	fmt.Fprintf(b, "- %s, %s (%s) on %s, %s\n", r.Machine.CPU, several(r.Machine.Threads, "thread"), r.Machine.Device, several(r.Machine.Cores, "core"), size(r.Machine.Memory))
	if r.Note != "" {
		fmt.Fprintf(b, "- %s\n", r.Note)
	}
	fmt.Fprintf(b, "- `%s` of step %s, %s bytes, SHA-256 `%s`\n", r.Weights.Name, count(r.Weights.Step), count(r.Weights.Bytes), r.Weights.SHA256)
}

func row(b *bytes.Buffer, cells []string) {
	for _, c := range cells {
		b.WriteString("| " + strings.ReplaceAll(strings.ReplaceAll(c, "|", `\|`), "\n", " ") + " ")
	}
	b.WriteString("|\n")
}

// link names the recipe, and leads to it where it is one of the repository.
func (r *Record) link() string {
	if strings.HasPrefix(r.Recipe, "configs/") {
		name := strings.TrimSuffix(r.Recipe[strings.LastIndexByte(r.Recipe, '/')+1:], ".yaml")
		return fmt.Sprintf("[%s](%s)", name, r.Recipe)
	}
	return r.Recipe
}

func (r *Record) how() string {
	name, ok := strategies[r.Strategy]
	if !ok {
		name = r.Strategy
	}
	if r.Strategy == "e2e" {
		return name
	}
	return fmt.Sprintf("%s, K=%d", name, r.Blocks)
}

func (r *Record) network() string {
	text := r.Backbone
	if r.Width > 0 {
		text += fmt.Sprintf(", width %d", r.Width)
	}
	if r.Head != "" {
		text += ", " + r.Head
	}
	return text
}

func (r *Record) time() string {
	text := progress.Duration(time.Duration(r.Seconds * float64(time.Second)))
	if r.FirstStep > 0 {
		text += fmt.Sprintf(" (from step %s)", count(r.FirstStep))
	}
	return text
}

func several(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func size(n int64) string {
	if n <= 0 {
		return "–"
	}
	return progress.Bytes(n)
}

// count separates a number's digits by commas.
func count(n int64) string {
	s := fmt.Sprint(n)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// anchor is the name by which Markdown readers know a heading.
func anchor(name string) string {
	return strings.Map(func(c rune) rune {
		if c == '.' {
			return -1
		}
		return c
	}, strings.ToLower(name))
}
