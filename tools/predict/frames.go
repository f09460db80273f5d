package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"manvision/data/video"
	"manvision/internal/cli"
)

// videoError is what is wrong with the frames of a video.
type videoError struct{ error }

// clip opens the video where one is to be looked at and settles what is drawn of it.
func (o *options) clip(paths []string) (*video.Reader, error) {
	videos := 0
	for _, p := range paths {
		if video.IsVideo(p) {
			videos++
		}
	}
	switch {
	case videos == 0 && o.draw == drawVideo:
		return nil, cli.Usage("--draw video is for a video file; the inputs are images")
	case videos == 0 && o.everyGiven:
		return nil, cli.Usage("--every is for a video file; the inputs are images")
	case videos == 0:
		if o.draw == "" {
			o.draw = drawPictures
		}
		return nil, nil
	case len(paths) > 1:
		return nil, cli.Usage("a video is looked at alone, and there are %d inputs", len(paths))
	case o.gt != "":
		return nil, cli.Usage("--gt is for images; it knows no frames of a video")
	}
	r, err := video.Open(paths[0])
	if err != nil {
		return nil, cli.Input(err)
	}
	o.video = paths[0]
	if o.draw == "" {
		o.draw = drawVideo
	}
	return r, nil
}

// frames looks at the frames of a video, a few at a time.
func (s *session) frames(ctx context.Context, m *loaded, w work, r *video.Reader) error {
	path := s.o.video
	fps := r.FPS
	if fps == 0 {
		fps = 25 // only of the video that is drawn
	}
	s.drawing.file, s.drawing.fps = filepath.Join(s.drawing.dir, stem(path)+"_found.avi"), fps/float64(s.o.every)
	if r.Frames > 0 {
		s.drawing.every = r.Frames / s.o.every / sheetPictures
	}
	var chunk subjects
	for range max(1, s.cfg.Eval.Batch) {
		chunk = append(chunk, &subject{file: path, width: r.Width, height: r.Height})
	}
	for more := true; more; {
		n := 0
		for n < len(chunk) && more {
			if err := ctx.Err(); err != nil {
				return err
			}
			sub := chunk[n]
			var err error
			sub.frame, sub.seconds, sub.pixels, err = r.Next(sub.pixels)
			switch {
			case errors.Is(err, io.EOF):
				more = false
			case err != nil:
				return &videoError{err}
			default:
				sub.id, sub.name = int64(sub.frame), fmt.Sprintf("frame_%06d.png", sub.frame)
				n++
				r.Skip(s.o.every - 1)
			}
		}
		if n == 0 {
			break
		}
		if _, err := w.predict(ctx, m, chunk[:n]); err != nil {
			return err
		}
	}
	err := r.Short()
	if err == nil && s.images == 0 {
		err = fmt.Errorf("%s: no frame could be read", path)
	}
	if err == nil {
		return nil
	}
	err = &videoError{err}
	if !s.o.leaveOut() {
		return err
	}
	s.bad = append(s.bad, err)
	return nil
}
