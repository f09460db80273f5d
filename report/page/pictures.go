package page

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"image"
	"image/jpeg"
	"image/png"

	"github.com/disintegration/imaging"

	"manvision/report"
)

// Gallery is a row of pictures under a heading.
type Gallery struct {
	Title    string
	About    string          // how they were chosen
	Legend   []report.Swatch // of colours in the pictures; nil: none
	Pictures []Picture
}

// Picture is an image seen in several ways, such as its ground truth and what a network
// made of it.
type Picture struct {
	Title string
	Note  string
	Views []View
}

// View is one image and the line under it.
type View struct {
	Title string
	Image image.Image
}

// maxSide is the longest side of a picture on the page, in pixels.
const maxSide = 560

// source embeds a view: shrunk to maxSide, small ones without loss.
func (v View) source() (template.URL, error) {
	img := v.Image
	if img == nil || img.Bounds().Empty() {
		return "", fmt.Errorf("page: picture %q has no pixels", v.Title)
	}
	var b bytes.Buffer
	kind := "png"
	if s := max(img.Bounds().Dx(), img.Bounds().Dy()); s <= 96 {
		if err := png.Encode(&b, img); err != nil {
			return "", err
		}
	} else {
		kind = "jpeg"
		if s > maxSide {
			img = imaging.Fit(img, maxSide, maxSide, imaging.CatmullRom)
		}
		if err := jpeg.Encode(&b, img, &jpeg.Options{Quality: 85}); err != nil {
			return "", err
		}
	}
	return template.URL("data:image/" + kind + ";base64," + base64.StdEncoding.EncodeToString(b.Bytes())), nil
}

type shownView struct {
	Title         string
	Source        template.URL
	Width, Height int
	Small         bool
}

type shownPicture struct {
	Title, Note string
	Views       []shownView
}

type shownGallery struct {
	Title, About string
	Legend       []legendEntry
	Pictures     []shownPicture
}

func show(galleries []Gallery) ([]shownGallery, error) {
	var out []shownGallery
	for _, g := range galleries {
		s := shownGallery{Title: g.Title, About: g.About}
		for _, w := range g.Legend {
			hex := fmt.Sprintf("#%02x%02x%02x", w.Colour.R, w.Colour.G, w.Colour.B)
			s.Legend = append(s.Legend, legendEntry{Name: w.Text, Style: colour{hex, hex}.style()})
		}
		for _, p := range g.Pictures {
			sp := shownPicture{Title: p.Title, Note: p.Note}
			for _, v := range p.Views {
				src, err := v.source()
				if err != nil {
					return nil, err
				}
				b := v.Image.Bounds()
				sp.Views = append(sp.Views, shownView{v.Title, src, b.Dx(), b.Dy(), max(b.Dx(), b.Dy()) <= 96})
			}
			s.Pictures = append(s.Pictures, sp)
		}
		out = append(out, s)
	}
	return out, nil
}
