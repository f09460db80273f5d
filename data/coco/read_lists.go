package coco

import (
	"fmt"
	"math"
)

func (d *decoder) readImages() error {
	s := d.s
	n := 0
	for first := true; s.nextElem(&first); {
		n++
		var im Image
		var hasID, hasName, hasW, hasH bool
		for first := true; s.nextKey(&first); {
			switch string(s.key) {
			case "id":
				im.ID, hasID = s.named("id").int("a whole number")
			case "file_name":
				var b []byte
				b, hasName = s.named("file_name").string("text")
				im.FileName = string(b)
			case "width":
				var v int64
				v, hasW = s.named("width").int("a whole number")
				im.Width = int(v)
			case "height":
				var v int64
				v, hasH = s.named("height").int("a whole number")
				im.Height = int(v)
			default:
				s.skip()
			}
		}
		where := func() string {
			if hasID {
				return fmt.Sprintf("image %d", im.ID)
			}
			return fmt.Sprintf("image no. %d of the list", n)
		}
		if s.err != nil || s.bad != "" {
			return d.failed(where())
		}
		missing := ""
		switch {
		case !hasID:
			missing = "id"
		case d.o.AsIs:
		case !hasName:
			missing = "file_name"
		case !hasW:
			missing = "width"
		case !hasH:
			missing = "height"
		}
		if missing != "" {
			return d.fail(where(), "", "the key %q is missing", missing)
		}
		if hasName && im.FileName == "" {
			return d.fail(where(), "", "\"file_name\" is empty")
		}
		if (hasW && (im.Width < 1 || im.Width > math.MaxInt32)) || (hasH && (im.Height < 1 || im.Height > math.MaxInt32)) {
			return d.fail(where(), "", "size %dx%d (width x height) is out of range", im.Width, im.Height)
		}
		d.images = append(d.images, im)
	}
	return d.failed("images")
}

func (d *decoder) readCategories() error {
	s := d.s
	n := 0
	for first := true; s.nextElem(&first); {
		n++
		var c Category
		var hasID, hasName bool
		for first := true; s.nextKey(&first); {
			switch string(s.key) {
			case "id":
				var v int64
				v, hasID = s.named("id").int("a whole number")
				c.ID = int(v)
			case "name":
				var b []byte
				b, hasName = s.named("name").string("text")
				c.Name = string(b)
			case "supercategory":
				if s.peek() != '"' { // often null or a number; nothing depends on it
					s.skip()
					continue
				}
				b, _ := s.named("supercategory").string("text")
				c.Supercategory = string(b)
			default:
				s.skip()
			}
		}
		where := fmt.Sprintf("category no. %d of the list", n)
		if hasID {
			where = fmt.Sprintf("category %d", c.ID)
		}
		if err := d.failed(where); err != nil {
			return err
		}
		switch {
		case !hasID:
			return d.fail(where, "", "the key \"id\" is missing")
		case !hasName:
			return d.fail(where, "", "the key \"name\" is missing")
		}
		d.categories = append(d.categories, c)
	}
	return d.failed("categories")
}
