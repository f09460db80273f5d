package cifar

import (
	"fmt"
	"io"
	"path"
	"path/filepath"
	"slices"
	"sort"
	"strings"

	"manvision/data/classes"
)

// Bounds on what is read, far above what the data sets need.
const (
	maxImages     = 1 << 20
	maxImage      = 1 << 20   // bytes of one image file
	maxImageBytes = 512 << 20 // of all image files together
)

// collector takes the files of a split one by one, in whatever order an archive
// has them.
type collector struct {
	source string
	split  string
	coarse bool

	parts   []part
	names   map[string][]string // by names file
	images  []encoded
	bytes   int64
	skipped []string
	seen    []string // top folders of images and binary files of the other split, for messages
}

// part is one binary file's images.
type part struct {
	v      *variant
	name   string
	labels [][]uint8 // one list for each label byte
	pixels []uint8
}

// encoded is an image file.
type encoded struct {
	class, name string
	contents    []byte
}

// wanted reports whether a file of that name is read at all.
func (c *collector) wanted(base string) bool {
	if _, split, ok := role(base); ok {
		return split == c.split
	}
	return namesFile(base) != nil
}

func namesFile(base string) *labelByte {
	for i := range variants {
		for k := range variants[i].labels {
			if variants[i].labels[k].names == base {
				return &variants[i].labels[k]
			}
		}
	}
	return nil
}

// member takes a file of size bytes.
func (c *collector) member(name string, size int64, r io.Reader) error {
	base := path.Base(filepath.ToSlash(name))
	shown := name
	if classes.IsArchive(c.source) {
		shown = c.source + ": " + name
	}
	if l := namesFile(base); l != nil {
		text, err := classes.ReadAll(shown, r, classes.MaxNamesFile)
		if err != nil {
			return err
		}
		list, err := classes.ParseNames(shown, text, l.classes)
		if err != nil {
			return err
		}
		if c.names == nil {
			c.names = map[string][]string{}
		}
		c.names[base] = list
		return nil
	}
	if v, split, ok := role(base); ok {
		if split != c.split {
			c.note(base)
			return nil
		}
		p, err := readPart(v, split, shown, base, size, r)
		if err != nil {
			return err
		}
		c.parts = append(c.parts, p)
		return nil
	}
	return c.image(name, shown, size, r)
}

// image takes .../SPLIT/CLASS/IMAGE.
func (c *collector) image(name, shown string, size int64, r io.Reader) error {
	elements := strings.Split(name, "/")
	if len(elements) < 3 {
		c.skipped = append(c.skipped, shown)
		return nil
	}
	at := slices.Index(elements[:len(elements)-2], c.split)
	switch {
	case at < 0:
		c.note(strings.Join(elements[:len(elements)-2], "/") + "/")
		return nil
	case at != len(elements)-3 || !classes.IsImage(name):
		c.skipped = append(c.skipped, shown)
		return nil
	case size > maxImage:
		return &classes.InputError{Path: shown, Offset: -1, Kind: classes.BadSize, Problem: fmt.Sprintf("an image file of %d bytes, more than %d", size, maxImage)}
	case len(c.images) >= maxImages || c.bytes+size > maxImageBytes:
		return &classes.InputError{Path: shown, Offset: -1, Kind: classes.BadSize, Problem: fmt.Sprintf("image %d: more than %d images or %d bytes", len(c.images)+1, maxImages, maxImageBytes)}
	}
	b, err := classes.ReadAll(shown, r, maxImage)
	if err != nil {
		return err
	}
	c.bytes += int64(len(b))
	c.images = append(c.images, encoded{class: elements[at+1], name: shown, contents: b})
	return nil
}

func (c *collector) note(what string) {
	if len(c.seen) < 8 && !slices.Contains(c.seen, what) {
		c.seen = append(c.seen, what)
	}
}

// set puts together what was collected.
func (c *collector) set() (*classes.Set, error) {
	bad := func(k classes.Kind, text, fix string) (*classes.Set, error) {
		return nil, &classes.InputError{Path: c.source, Offset: -1, Kind: k, Problem: text, Fix: fix}
	}
	switch {
	case len(c.parts) > 0 && len(c.images) > 0:
		return bad(classes.Ambiguous, "it holds binary files and image files", "keep one of the two forms")
	case len(c.images) > 0:
		return c.decodeImages()
	case len(c.parts) == 0:
		text := fmt.Sprintf("there is nothing of the split %q in it", c.split)
		if len(c.seen) > 0 {
			text += "; it has " + strings.Join(c.seen, ", ")
		}
		return bad(classes.NoImages, text, "need CIFAR's .bin files or "+c.split+"/CLASS/IMAGE")
	}
	sort.Slice(c.parts, func(i, j int) bool { return c.parts[i].name < c.parts[j].name })
	v := c.parts[0].v
	official, other := map[string]bool{}, ""
	for _, p := range c.parts {
		base := path.Base(filepath.ToSlash(p.name))
		switch {
		case p.v != v:
			return bad(classes.Ambiguous, fmt.Sprintf("it holds files of %s and %s", v.name, p.v.name), "give one data set")
		case official[base]:
			return bad(classes.Ambiguous, "it holds two files called "+base, "")
		case v.official(c.split, base):
			official[base] = true
		default:
			other = base
		}
	}
	if len(official) > 0 {
		if other != "" {
			return bad(classes.Ambiguous, "it holds official files and "+other+", which may repeat their images", "remove one of the two")
		}
		for _, name := range v.files(c.split) {
			if !official[name] {
				return bad(classes.Missing, fmt.Sprintf("%s is missing, but other files of %s are there", name, v.name), "fetch it again")
			}
		}
	}
	which := len(v.labels) - 1
	if c.coarse {
		if len(v.labels) == 1 {
			return bad(classes.BadNames, v.name+" has no superclasses", "leave the option coarse away")
		}
		which = 0
	}
	l := v.labels[which]
	s := &classes.Set{Source: c.source, Names: c.names[l.names], Width: Side, Height: Side, Skipped: c.skipped}
	if s.Names == nil {
		if l.classes != len(names10) {
			return bad(classes.Missing, l.names+" with the class names is missing", "fetch it again")
		}
		s.Names = slices.Clone(names10)
	}
	const image = Side * Side * 3
	for _, p := range c.parts {
		for i, label := range p.labels[which] {
			s.Classes = append(s.Classes, int32(label))
			s.Files = append(s.Files, fmt.Sprintf("%s: image %d", p.name, i))
			s.Pixels = append(s.Pixels, p.pixels[i*image:(i+1)*image:(i+1)*image])
		}
	}
	return s, nil
}
