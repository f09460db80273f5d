package main

import (
	"fmt"
	"image"
	"path/filepath"

	"manvision/data"
	"manvision/train"
)

// subject is a picture that is looked at: an image file or a frame of a video.
type subject struct {
	file          string
	name          string // of the picture that is drawn of it
	id            int64
	width, height int
	frame         int // of a video; -1: an image file
	seconds       float64
	pixels        []uint8 // of a frame: R, G, B row by row
}

// subjects is a data.Source of pictures without targets.
type subjects []*subject

// Len implements data.Source.
func (s subjects) Len() int { return len(s) }

// Size implements data.Source.
func (s subjects) Size(i int) (w, h int) { return s[i].width, s[i].height }

// Item implements data.Source.
func (s subjects) Item(i int) data.Item {
	return data.Item{ImageID: s[i].id, Path: s[i].file, Width: s[i].width, Height: s[i].height, Pixels: s[i].pixels}
}

// subjectsOf are the files that could be opened, with their pictures' names.
func subjectsOf(files *train.Files, names map[string]string) subjects {
	out := make(subjects, files.Len())
	for i := range out {
		f := files.Item(i)
		out[i] = &subject{file: f.Path, name: names[f.Path], id: f.ImageID, width: f.Width, height: f.Height, frame: -1}
	}
	return out
}

// image is the picture to draw on.
func (s *subject) image() (image.Image, error) {
	if s.pixels == nil {
		return train.Picture(s.file)
	}
	img := image.NewNRGBA(image.Rect(0, 0, s.width, s.height))
	for i := range s.width * s.height {
		copy(img.Pix[4*i:], s.pixels[3*i:][:3])
		img.Pix[4*i+3] = 255
	}
	return img, nil
}

// title names the picture to people.
func (s *subject) title() string {
	if s.frame < 0 {
		return filepath.Base(s.file)
	}
	return fmt.Sprintf("frame %d, %.2f s", s.frame, s.seconds)
}

// source is how outputs name a subject.
type source struct {
	File    string   `json:"file"`
	Frame   *int     `json:"frame,omitempty"`   // of a video, from 0
	Seconds *float64 `json:"seconds,omitempty"` // when it is shown
}

func (s *subject) source() source {
	out := source{File: s.file}
	if s.frame >= 0 {
		out.Frame, out.Seconds = &s.frame, &s.seconds
	}
	return out
}
