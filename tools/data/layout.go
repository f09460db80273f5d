package main

import (
	"os"
	"path/filepath"
	"sort"
	"strings"
)

// part is one annotation file with its image folder.
type part struct {
	name        string // as in instances_NAME.json
	annotations string
	images      string
}

// findParts resolves a data set folder in COCO's layout, annotations/
// instances_NAME.json beside the image folder NAME, or an explicit pair. Explicit
// flags override the layout.
func findParts(dir, split, annotations, images string) ([]part, error) {
	if dir == "" && annotations == "" {
		return nil, usagef("name a data set folder, or --annotations and --images")
	}
	if annotations != "" {
		if images == "" {
			return nil, usagef("--annotations needs --images, the folder the file's names are in")
		}
		return []part{{name: nameOf(annotations), annotations: annotations, images: images}}, nil
	}
	files, err := filepath.Glob(filepath.Join(dir, "annotations", "instances_*.json"))
	if err != nil {
		return nil, usagef("%s: %w", dir, err)
	}
	sort.Strings(files)
	var parts []part
	var names []string
	for _, f := range files {
		name := nameOf(f)
		names = append(names, name)
		if split != "" && split != name {
			continue
		}
		folder := images
		if folder == "" {
			folder = filepath.Join(dir, name)
		}
		parts = append(parts, part{name, f, folder})
	}
	if len(parts) == 0 {
		if _, err := os.Stat(dir); err != nil {
			return nil, usageError{err}
		}
		if len(names) > 0 {
			return nil, usagef("%s has no part %q; it has %s", dir, split, strings.Join(names, ", "))
		}
		return nil, usagef("%s has no annotations/instances_*.json; name the file with --annotations", dir)
	}
	if images != "" && len(parts) > 1 {
		return nil, usagef("--images is for one part; choose it with --split: %s", strings.Join(names, ", "))
	}
	return parts, nil
}

func nameOf(annotations string) string {
	base := strings.TrimSuffix(filepath.Base(annotations), filepath.Ext(annotations))
	return strings.TrimPrefix(base, "instances_")
}
