package cityeval

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"manvision/data/labelmap"
)

// Pair is a ground truth with its prediction.
type Pair struct {
	Key       string // CITY_SEQUENCE_FRAME
	Truth     string // label ids
	Instances string // instance ids, "" if there is no such file
	Pred      string
}

// Find pairs the ground truth in and below a folder (*_gtFine_labelIds.png or, if
// there is none, *_labelIds.png) with the predictions in and below another. As in
// the official script, a PNG whose name starts with CITY_SEQUENCE_FRAME is the
// prediction for that frame; the data set's own files (gtFine, gtCoarse,
// leftImg8bit) yield to others.
//
// truth may be the data set's folder, gtFine, a split's or a city's folder, or
// any flat one. Where it holds several splits, those count of which there is a
// prediction; they are returned. The error joins one [*labelmap.InputError] for
// each frame whose prediction is missing or ambiguous.
func Find(truth, pred string) (pairs []Pair, splits []string, err error) {
	if st, e := os.Stat(filepath.Join(truth, "gtFine")); e == nil && st.IsDir() {
		truth = filepath.Join(truth, "gtFine")
	}
	all, err := list(truth)
	if err != nil {
		return nil, nil, err
	}
	suffix := "_gtFine_labelIds.png"
	if !hasSuffix(all, suffix) {
		suffix = "_labelIds.png"
	}
	seen := map[string]string{}
	var bad problems
	for _, path := range all {
		key, ok := strings.CutSuffix(filepath.Base(path), suffix)
		if !ok {
			continue
		}
		if suffix == "_labelIds.png" {
			key = strings.TrimSuffix(key, "_gtCoarse")
		}
		if other, ok := seen[key]; ok {
			bad.add(path, labelmap.Ambiguous, "a second ground truth for the frame of "+other)
			continue
		}
		seen[key] = path
		p := Pair{Key: key, Truth: path, Instances: strings.TrimSuffix(path, "labelIds.png") + "instanceIds.png"}
		if _, err := os.Stat(p.Instances); errors.Is(err, fs.ErrNotExist) {
			p.Instances = ""
		}
		pairs = append(pairs, p)
	}
	if len(pairs) == 0 {
		return nil, nil, &labelmap.InputError{Path: truth, Kind: labelmap.NoFiles, Problem: "no ground truth in or below the folder (CITY_SEQUENCE_FRAME_gtFine_labelIds.png)"}
	}
	candidates, err := list(pred)
	if err != nil {
		return nil, nil, err
	}
	predictions := newIndex(candidates)
	pairs, splits = choose(truth, pairs, predictions)
	sort.Slice(pairs, func(i, j int) bool { return pairs[i].Key < pairs[j].Key })
	for i := range pairs {
		p := &pairs[i]
		found := predictions.of(*p)
		switch len(found) {
		case 0:
			bad.add(p.Truth, labelmap.MissingLabel, fmt.Sprintf("no prediction: there is no %s*.png in or below %s", p.Key, pred))
		case 1:
			p.Pred = found[0]
		default:
			bad.add(p.Truth, labelmap.Ambiguous, fmt.Sprintf("%d predictions: %s, %s", len(found), found[0], found[1]))
		}
	}
	if err := bad.err(); err != nil {
		return nil, nil, err
	}
	return pairs, splits, nil
}

// choose leaves out splits without a single prediction, where there are several.
func choose(root string, pairs []Pair, predictions *index) (kept []Pair, splits []string) {
	split := func(p Pair) string {
		rel, err := filepath.Rel(root, p.Truth)
		if first, rest, ok := strings.Cut(filepath.ToSlash(rel), "/"); err == nil && ok && strings.Contains(rest, "/") {
			return first
		}
		return "" // flat, or cities only
	}
	has := map[string]bool{}
	for _, p := range pairs {
		s := split(p)
		has[s] = has[s] || len(predictions.of(p)) > 0
	}
	for s, ok := range has {
		if ok && s != "" {
			splits = append(splits, s)
		}
	}
	sort.Strings(splits)
	if len(splits) == 0 {
		return pairs, nil
	}
	for _, p := range pairs {
		if has[split(p)] {
			kept = append(kept, p)
		}
	}
	return kept, splits
}

// index finds PNG files by the start of their names.
type index struct{ names, paths []string } // sorted by name

func newIndex(paths []string) *index {
	x := &index{paths: paths}
	sort.Slice(paths, func(i, j int) bool { return filepath.Base(paths[i]) < filepath.Base(paths[j]) })
	for _, p := range paths {
		x.names = append(x.names, filepath.Base(p))
	}
	return x
}

// of returns the predictions for a frame. Label ids of the data set itself serve
// where there is nothing else, but never the ground truth as its own prediction;
// then files that are called as the images are, which predictions often are.
func (x *index) of(p Pair) (found []string) {
	var own, images []string
	for i := sort.SearchStrings(x.names, p.Key); i < len(x.names) && strings.HasPrefix(x.names[i], p.Key); i++ {
		rest := x.names[i][len(p.Key):]
		if c := rest[0]; c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' {
			continue // another frame, whose number is longer
		}
		switch {
		case strings.HasPrefix(rest, "_leftImg8bit."):
			images = append(images, x.paths[i])
		case !strings.HasPrefix(rest, "_gtFine_") && !strings.HasPrefix(rest, "_gtCoarse_"):
			found = append(found, x.paths[i])
		case strings.HasSuffix(rest, "_labelIds.png") && !sameFile(x.paths[i], p.Truth):
			own = append(own, x.paths[i])
		}
	}
	for _, list := range [][]string{found, own} {
		if len(list) > 0 {
			return list
		}
	}
	return images
}

func sameFile(a, b string) bool {
	sa, err := os.Stat(a)
	if err != nil {
		return false
	}
	sb, err := os.Stat(b)
	return err == nil && os.SameFile(sa, sb)
}

// list returns the PNG files in and below a folder; links to folders are followed.
func list(root string) (files []string, err error) {
	const deepest = 8 // links may lead in circles
	var walk func(dir string, depth int) error
	walk = func(dir string, depth int) error {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			path := filepath.Join(dir, e.Name())
			if strings.HasPrefix(e.Name(), ".") {
				continue
			}
			isDir := e.IsDir()
			if e.Type()&fs.ModeSymlink != 0 {
				st, err := os.Stat(path)
				isDir = err == nil && st.IsDir()
			}
			switch {
			case isDir && depth < deepest:
				if err := walk(path, depth+1); err != nil {
					return err
				}
			case !isDir && strings.HasSuffix(e.Name(), ".png"):
				files = append(files, path)
			}
		}
		return nil
	}
	if err := walk(root, 0); err != nil {
		return nil, folderError(root, err)
	}
	return files, nil
}

func folderError(root string, err error) error {
	problem := "the folder cannot be read: " + err.Error()
	if st, e := os.Stat(root); errors.Is(e, fs.ErrNotExist) {
		problem = "there is no such folder"
	} else if e == nil && !st.IsDir() {
		problem = "not a folder"
	}
	return &labelmap.InputError{Path: root, Kind: labelmap.NoFiles, Problem: problem, Err: err}
}

func hasSuffix(paths []string, suffix string) bool {
	for _, p := range paths {
		if strings.HasSuffix(p, suffix) {
			return true
		}
	}
	return false
}

// problems collects what is wrong with single files.
type problems struct {
	list []*labelmap.InputError
}

func (p *problems) add(path string, kind labelmap.Kind, problem string) {
	p.list = append(p.list, &labelmap.InputError{Path: path, Kind: kind, Problem: problem})
}

// err joins the problems, a line each; of many, the first and their number.
func (p *problems) err() error {
	const shown = 20
	var lines []error
	for i, e := range p.list {
		if i == shown {
			lines = append(lines, &labelmap.InputError{Kind: e.Kind, Problem: fmt.Sprintf("and %d files more", len(p.list)-shown)})
			break
		}
		lines = append(lines, e)
	}
	return errors.Join(lines...)
}
