package data

import (
	"context"
	"fmt"
	"hash/maphash"
	"runtime"

	"manvision/data/augment"
	"manvision/data/classes"
	"manvision/internal/finding"
)

// ClassReport is what CheckClassification found.
type ClassReport struct {
	Source  string `json:"source"`
	Images  int    `json:"images"`
	Skipped int    `json:"skipped"` // files that are no images
	Least   int    `json:"least"`   // images of the class with the fewest
	Most    int    `json:"most"`

	Classes  []ClassImages `json:"classes"`
	Findings []Finding     `json:"findings"` // errors first
}

// ClassImages is one line of a class table, in class order.
type ClassImages struct {
	Class  int    `json:"class"`
	Name   string `json:"name"`
	Folder string `json:"folder,omitempty"`
	Images int    `json:"images"`
}

// Errors counts findings of severity SeverityError.
func (r *ClassReport) Errors() int { return finding.Count(r.Findings, finding.Error) }

// CheckClassification opens every image of a set, which may have Problems, and
// lists everything it finds at once: the set's problems, broken images, files that
// are no images, classes without images, and images that are there twice, in one
// class or in two. The error is for a cancelled context and for a set whose parts
// do not fit together.
func CheckClassification(ctx context.Context, set *classes.Set, o CheckOptions) (*ClassReport, error) {
	defaults(&o.Examples, 5)
	defaults(&o.Workers, runtime.GOMAXPROCS(0))
	c := &checker{o: o, found: map[string]*Finding{}}
	for _, p := range set.Problems {
		c.add(SeverityError, string(p.Kind), p.Error())
	}
	r := &ClassReport{Source: set.Source, Images: set.Len(), Skipped: len(set.Skipped)}
	if len(set.Names) == 0 {
		r.Findings = c.findings()
		return r, nil
	}
	if err := set.Validate(); err != nil {
		return nil, err
	}
	for i, n := range set.Counts() {
		k := ClassImages{Class: i, Name: set.Names[i], Images: n}
		if set.Folders != nil {
			k.Folder = set.Folders[i]
		}
		r.Classes = append(r.Classes, k)
		if i == 0 || n < r.Least {
			r.Least = n
		}
		r.Most = max(r.Most, n)
		if n == 0 {
			c.add(SeverityWarning, "class without images in this part", k.Name)
		}
	}
	for _, path := range set.Skipped {
		c.add(SeverityWarning, "file that is no image by its name, left out", path)
	}
	src := &Classification{set}
	sums := make([]uint64, set.Len()) // 0: unread
	seed := maphash.MakeSeed()
	err := c.images(ctx, src, func(i int, r *augment.Renderer) {
		contents := r.Contents()
		if set.Pixels != nil {
			contents = set.Pixels[i]
		}
		sums[i] = maphash.Bytes(seed, contents) | 1
	})
	if err != nil {
		return nil, err
	}
	first := map[uint64]int{}
	for i, sum := range sums {
		if sum == 0 {
			continue
		}
		k, twice := first[sum]
		if !twice {
			first[sum] = i
			continue
		}
		a, b := set.Classes[k], set.Classes[i]
		if a == b {
			c.add(SeverityNote, "same image twice in a class", fmt.Sprintf("%s and %s (%s)", set.Files[k], set.Files[i], set.Names[a]))
		} else {
			c.add(SeverityWarning, "same image in two classes", fmt.Sprintf("%s (%s) and %s (%s)", set.Files[k], set.Names[a], set.Files[i], set.Names[b]))
		}
	}
	r.Findings = c.findings()
	return r, nil
}
