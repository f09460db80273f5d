package main

import (
	"context"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/spf13/cobra"

	"manvision/data/cityscapes"
	"manvision/data/classes"
	"manvision/data/labelmap"
	"manvision/data/shapes"
)

// location is where a command finds a data set: a folder in a layout that is known,
// or files and folders named one by one.
type location struct {
	dir, split          string
	annotations, images string
	labels              string
	names               []string
	ignore              int
	truth, ids          string
}

func (l *location) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&l.split, "split", "", "part: NAME of instances_NAME.json, of CityScapes' folders or of class folders; train, test")
	f.StringVar(&l.annotations, "annotations", "", "instances file, instead of DIR")
	f.StringVar(&l.images, "images", "", "image folder, instead of DIR/NAME")
	f.StringVar(&l.labels, "labels", "", "folder of label maps, PNGs of class indices named as the images, beside --images")
	f.StringSliceVar(&l.names, "names", nil, "with --labels: names of the classes in the order of their values, from 0")
	f.StringVar(&l.truth, "ground-truth", "", "classes of ImageNet's validation images where they lie in one folder, DIR/val or that of --split")
	f.StringVar(&l.ids, "ids", "", "with --ground-truth of bare numbers: file of the class folders in their order, map_clsloc.txt")
	f.IntVar(&l.ignore, "ignore", labelmap.Ignore, "with --labels: value of pixels that count nothing, -1 if there is none")
}

// layouts is what the commands say of DIR.
const layouts = `DIR is a data set in COCO's layout (annotations/instances_NAME.json and the image
folders NAME), in CityScapes' (leftImg8bit/NAME/CITY and gtFine/NAME/CITY), or what
'data shapes' wrote, whose label maps are the parts labels/NAME; or images with one
class each: class folders (NAME/CLASS/IMAGE or CLASS/IMAGE), or the files of CIFAR-10,
CIFAR-100 (a folder or .tar.gz), STL-10 or SVHN. Other label maps are named with
--images, --labels and --names.`

// part is one part of a data set: images with boxes, with label maps or with one
// class each.
type part struct {
	name        string
	annotations string // instances file of boxes
	images      string
	maps        *labelMaps                   // label maps instead
	set         func() (*classes.Set, error) // images with one class each instead
}

// labelMaps are the label maps of a part.
type labelMaps struct {
	scan  func() (*labelmap.Set, error)
	check func(ctx context.Context, o labelmap.CheckOptions) (*labelmap.Report, error)
}

func scanned(scan func() (*labelmap.Set, error)) *labelMaps {
	return &labelMaps{scan: scan, check: func(ctx context.Context, o labelmap.CheckOptions) (*labelmap.Report, error) {
		set, err := scan()
		if err != nil {
			return nil, err
		}
		return labelmap.Check(ctx, set, o)
	}}
}

// parts lists the parts of the data set, or the one that --split names. Explicit
// flags override the layout.
func (l *location) parts() ([]part, error) {
	switch {
	case l.labels != "":
		return l.labelFolder()
	case l.dir == "" && l.annotations == "":
		return nil, usagef("name a data set folder, or --annotations and --images, or --labels and --images")
	case l.truth != "":
		return l.flatFolder()
	case l.ids != "":
		return nil, usagef("--ids is for --ground-truth, a file of class numbers")
	case len(l.names) > 0:
		return nil, usagef("--names is for --labels, a folder of label maps")
	case l.annotations != "" && l.images == "":
		return nil, usagef("--annotations needs --images, the folder the file's names are in")
	case l.annotations != "":
		return []part{{name: nameOf(l.annotations), annotations: l.annotations, images: l.images}}, nil
	}
	if _, err := os.Stat(l.dir); err != nil {
		return nil, usageError{err}
	}
	all := append(l.city(), l.coco()...)
	if len(all) == 0 {
		var err error
		if all, err = l.classified(); err != nil {
			return nil, err
		}
	}
	if len(all) == 0 {
		return nil, usagef("%s has no annotations/instances_*.json, no leftImg8bit, no class folders and no file of CIFAR, STL-10 or SVHN; name the files with --annotations, or --labels, and --images", l.dir)
	}
	var chosen []part
	var names []string
	for _, p := range all {
		names = append(names, p.name)
		if l.split == "" || l.split == p.name {
			chosen = append(chosen, p)
		}
	}
	if len(chosen) == 0 {
		return nil, usagef("%s has no part %q; it has %s", l.dir, l.split, strings.Join(names, ", "))
	}
	if l.images != "" {
		if len(chosen) > 1 {
			return nil, usagef("--images is for one part; choose it with --split: %s", strings.Join(names, ", "))
		}
		if chosen[0].maps != nil || chosen[0].set != nil {
			return nil, usagef("--images is for boxes or --labels; the images of %s are where its layout has them", chosen[0].name)
		}
		chosen[0].images = l.images
	}
	return chosen, nil
}

// labelFolder is the part that --labels names.
func (l *location) labelFolder() ([]part, error) {
	switch {
	case l.dir != "" || l.annotations != "" || l.split != "":
		return nil, usagef("--labels goes with --images and --names only")
	case l.images == "":
		return nil, usagef("--labels needs --images, the folder of the images of the same names")
	case len(l.names) == 0:
		return nil, usagef("--labels needs --names, the classes in the order of their values: --names background,cat,dog")
	}
	classes := make([]labelmap.Class, len(l.names))
	for i, name := range l.names {
		classes[i].Name = name
	}
	return []part{{name: filepath.Base(l.labels), maps: scanned(func() (*labelmap.Set, error) {
		return labelmap.ScanFolders(l.images, l.labels, classes, l.ignore)
	})}}, nil
}

// city lists the splits of CityScapes' layout; none where the folder is not in it. The
// test split is last, and only there when asked for: its labels are not public.
func (l *location) city() []part {
	seen := map[string]bool{}
	for _, top := range []string{"leftImg8bit", "gtFine"} {
		entries, err := os.ReadDir(filepath.Join(l.dir, top))
		for _, e := range entries {
			seen[e.Name()] = err == nil && !strings.HasPrefix(e.Name(), ".")
		}
	}
	var names []string
	for name, ok := range seen {
		if ok && (name != "test" || l.split == "test") {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	var parts []part
	for _, name := range names {
		o := cityscapes.Options{}
		parts = append(parts, part{name: name, maps: &labelMaps{
			scan: func() (*labelmap.Set, error) { return cityscapes.Scan(l.dir, name, o) },
			check: func(ctx context.Context, c labelmap.CheckOptions) (*labelmap.Report, error) {
				return cityscapes.Check(ctx, l.dir, name, o, c)
			},
		}})
	}
	return parts
}

// coco lists the parts of COCO's layout and their label maps.
func (l *location) coco() []part {
	// The pattern is always a good one; a folder's own name is not part of it.
	files, _ := filepath.Glob(filepath.Join(escapeGlob(l.dir), "annotations", "instances_*.json"))
	sort.Strings(files)
	var parts, maps []part
	for _, f := range files {
		name := nameOf(f)
		parts = append(parts, part{name: name, annotations: f, images: filepath.Join(l.dir, name)})
		if shapes.HasLabels(l.dir, name) {
			maps = append(maps, part{name: "labels/" + name, maps: scanned(func() (*labelmap.Set, error) {
				return labelmap.ScanFolders(shapes.ImageDir(l.dir, name), shapes.LabelDir(l.dir, name), shapes.LabelClasses(), -1)
			})})
		}
	}
	return append(parts, maps...)
}

// escapeGlob makes a path stand for itself in a pattern.
func escapeGlob(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}

func nameOf(annotations string) string {
	base := strings.TrimSuffix(filepath.Base(annotations), filepath.Ext(annotations))
	return strings.TrimPrefix(base, "instances_")
}
