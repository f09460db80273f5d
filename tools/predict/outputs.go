package main

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"manvision/data/coco"
	"manvision/internal/cli"
)

// outputs are the files of --json, --jsonl and --csv. They are written one picture after
// the other, so that nothing has to be held, and get their names when they are closed.
type outputs struct {
	json, jsonl, csv *outFile // nil where not asked for
	form             form     // of json
	lines            *json.Encoder
	table            *csv.Writer
}

// form is what --json writes.
type form interface {
	// add appends what was found on a picture.
	add(found any) error
	// end ends the file; skipped are the files left out.
	end(skipped []error) error
}

// openOutputs begins the files; columns head the table.
func openOutputs(o *options, newForm func(io.Writer) form, columns []string) (*outputs, error) {
	out := &outputs{}
	for _, f := range []struct {
		path string
		to   **outFile
	}{{o.json, &out.json}, {o.jsonl, &out.jsonl}, {o.csv, &out.csv}} {
		if f.path == "" {
			continue
		}
		var err error
		if *f.to, err = createOut(f.path, o.streams.Out); err != nil {
			out.discard()
			return nil, cli.Input(err)
		}
	}
	if out.json != nil {
		out.form = newForm(out.json.w)
	}
	if out.jsonl != nil {
		out.lines = json.NewEncoder(out.jsonl.w)
		out.lines.SetEscapeHTML(false)
	}
	if out.csv != nil {
		out.table = csv.NewWriter(out.csv.w)
		head := []string{"file"}
		if o.video != "" {
			head = append(head, "frame", "seconds")
		}
		if err := out.table.Write(append(head, columns...)); err != nil {
			out.discard()
			return nil, err
		}
	}
	return out, nil
}

// add appends what was found on a picture: record to the JSON files, rows to the table.
// listed, if not nil, is added to --json instead of record.
func (out *outputs) add(s *subject, record, listed any, rows [][]string) error {
	var err error
	if out.form != nil {
		if listed == nil {
			listed = record
		}
		err = out.form.add(listed)
	}
	if err == nil && out.lines != nil {
		err = out.lines.Encode(record)
	}
	if err != nil || out.table == nil {
		return err
	}
	head := []string{s.file}
	if s.frame >= 0 {
		head = append(head, strconv.Itoa(s.frame), number(s.seconds))
	}
	for _, row := range rows {
		if err := out.table.Write(append(head[:len(head):len(head)], row...)); err != nil {
			return err
		}
	}
	return nil
}

// number writes a number with all its digits.
func number(v float64) string { return strconv.FormatFloat(v, 'g', -1, 64) }

// close ends the files and gives them their names, also where not all was looked at:
// what was found is kept.
func (out *outputs) close(skipped []error) error {
	var errs []error
	if out.form != nil {
		errs = append(errs, out.form.end(skipped))
	}
	if out.table != nil {
		out.table.Flush()
		errs = append(errs, out.table.Error())
	}
	for _, f := range []*outFile{out.json, out.jsonl, out.csv} {
		if f != nil {
			errs = append(errs, f.close())
		}
	}
	return errors.Join(errs...)
}

// discard removes what was begun.
func (out *outputs) discard() {
	for _, f := range []*outFile{out.json, out.jsonl, out.csv} {
		if f != nil && f.f != nil {
			f.f.Close()
			os.Remove(f.f.Name())
		}
	}
}

// outFile is a file that gets its name when it is whole, or stdout.
type outFile struct {
	path string
	f    *os.File // nil: stdout
	w    *bufio.Writer
}

func createOut(path string, stdout io.Writer) (*outFile, error) {
	if path == "-" {
		return &outFile{path: path, w: bufio.NewWriter(stdout)}, nil
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return &outFile{path: path, f: f, w: bufio.NewWriterSize(f, 1<<16)}, nil
}

func (o *outFile) close() error {
	err := o.w.Flush()
	if o.f == nil {
		return err
	}
	if err == nil {
		err = errors.Join(o.f.Chmod(0o644), o.f.Sync())
	}
	if err = errors.Join(err, o.f.Close()); err == nil {
		err = os.Rename(o.f.Name(), o.path)
	}
	if err != nil {
		os.Remove(o.f.Name())
		return fmt.Errorf("write %s: %w", o.path, err)
	}
	return nil
}

// results is COCO's result form.
type results struct{ w *coco.ResultWriter }

func newResults(out io.Writer) form { return &results{coco.NewResultWriter(out)} }

// add implements form.
func (r *results) add(found any) error { return r.w.Write(found.([]coco.Result)...) }

// end implements form.
func (r *results) end([]error) error { return r.w.Close() }

// list is {"images": [...], "skipped": [...]}.
type list struct {
	out io.Writer
	n   int
}

func newList(out io.Writer) form { return &list{out: out} }

// add implements form.
func (l *list) add(found any) error {
	b, err := json.MarshalIndent(found, "    ", "  ")
	if err != nil {
		return err
	}
	before := "{\n  \"images\": [\n    "
	if l.n > 0 {
		before = ",\n    "
	}
	l.n++
	_, err = fmt.Fprintf(l.out, "%s%s", before, b)
	return err
}

// end implements form.
func (l *list) end(skipped []error) error {
	texts := []string{}
	for _, err := range skipped {
		texts = append(texts, err.Error())
	}
	b, err := json.MarshalIndent(texts, "  ", "  ")
	if err != nil {
		return err
	}
	before := "\n  ]"
	if l.n == 0 {
		before = "{\n  \"images\": []"
	}
	_, err = fmt.Fprintf(l.out, "%s,\n  \"skipped\": %s\n}\n", before, b)
	return err
}
