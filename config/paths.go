package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// resolvePath returns p relative to dir, unless p is absolute.
func resolvePath(p, dir string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(dir, p)
}

// absolute makes the paths of the recipe absolute: relative to the file that
// states them; to the current folder where a flag does; to the recipe's folder
// where the default does.
func (c *Config) absolute(recipeDir string) error {
	for _, p := range []struct {
		key  string
		path *string
	}{
		{"output", &c.Output},
		{"model.pretrained", &c.Model.Pretrained},
		{"data.root", &c.Data.Root},
	} {
		if *p.path == "" {
			continue
		}
		dir := recipeDir
		switch s := c.sources[p.key]; {
		case s.Flag != "":
			dir = "."
		case s.File != "":
			dir = filepath.Dir(s.File)
		}
		abs, err := filepath.Abs(resolvePath(*p.path, dir))
		if err != nil {
			return fmt.Errorf("config: %s: %w", p.key, err)
		}
		*p.path = abs
	}
	return nil
}

// CheckPaths says which files that the recipe reads are missing, with the
// absolute path that was tried and the line that names it. The parts of a
// procedural data set are not looked for: they are written on demand.
func (c *Config) CheckPaths() error {
	var faults []error
	look := func(key, path string, dir bool) {
		info, err := os.Stat(path)
		problem := ""
		switch {
		case err != nil:
			problem = cause(err).Error()
		case dir && !info.IsDir():
			problem = "not a folder"
		case !dir && info.IsDir():
			problem = "a folder, not a file"
		default:
			return
		}
		faults = append(faults, &Error{c.sources[key], fmt.Sprintf("%s: %s: %s", key, path, problem)})
	}
	if c.Model.Pretrained != "" {
		look("model.pretrained", c.Model.Pretrained, false)
	}
	if c.Data.Format != "shapes" {
		before := len(faults)
		if c.Data.Root == "" {
			return errors.Join(append(faults, &Error{c.sources["data.root"], "data.root is empty; set it to the data set's folder (--set data.root=FOLDER)"})...)
		}
		// CIFAR may come as an archive.
		if !strings.HasPrefix(c.Data.Format, "cifar") {
			look("data.root", c.Data.Root, true)
		} else if _, err := os.Stat(c.Data.Root); err != nil {
			look("data.root", c.Data.Root, true)
		}
		rootFound := len(faults) == before
		if rootFound && c.Data.Format == "imagenet" {
			k := c.Data.Classification
			for _, p := range []struct{ key, file string }{{"ground_truth", k.GroundTruth}, {"ids", k.IDs}, {"names", k.Names}} {
				if p.file != "" {
					look("data.classification."+p.key, c.Data.Path(p.file), false)
				}
			}
		}
		if rootFound {
			for _, p := range []struct {
				key string
				Split
			}{{"data.train", c.Data.Train}, {"data.val", c.Data.Val}} {
				images := slices.Contains([]string{"coco", "folders"}, c.Data.Format)
				if images {
					look(p.key+".images", c.Data.Path(p.Images), true)
				}
				if images && c.Task != "classification" {
					look(p.key+".annotations", c.Data.Path(p.Annotations), c.Data.Format == "folders")
				}
			}
		}
	}
	return errors.Join(faults...)
}
