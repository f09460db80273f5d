package video

import (
	"errors"
	"fmt"
	"image"
	"os"
	"path/filepath"
	"strings"

	"gocv.io/x/gocv"
)

// Writer writes a video file of JPEG frames (Motion JPEG in AVI, which every OpenCV can
// write and read). The file gets its name when all of it is written.
type Writer struct {
	path, temp string
	w          *gocv.VideoWriter
	bgr        []byte
	width      int
	height     int
	frames     int
}

// Create begins a video of width x height pixels and fps frames a second. The path must
// end in .avi.
func Create(path string, fps float64, width, height int) (*Writer, error) {
	switch {
	case !strings.EqualFold(filepath.Ext(path), ".avi"):
		return nil, fmt.Errorf("%s: videos are written as .avi", path)
	case width < 1 || height < 1 || width > maxPixels/height || !(fps > 0):
		return nil, fmt.Errorf("%s: a video of %dx%d pixels and %v frames a second cannot be written", path, width, height, fps)
	}
	// The name has to end as the format's do.
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*.avi")
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	temp, err := filepath.Abs(f.Name())
	if err != nil {
		return nil, err
	}
	v, err := gocv.VideoWriterFile(temp, "MJPG", fps, width, height, true)
	if err == nil && !v.IsOpened() {
		v.Close()
		err = errors.New("OpenCV cannot write it; " + Support)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), os.Remove(temp))
	}
	return &Writer{path: path, temp: temp, w: v, width: width, height: height, bgr: make([]byte, width*height*3)}, nil
}

// Write appends a frame. A picture of another size is not scaled: what is missing at the
// right and the lower edge becomes white, what is too much is cut off.
func (w *Writer) Write(img *image.NRGBA) error {
	for i := range w.bgr {
		w.bgr[i] = 255
	}
	b := img.Bounds()
	for y := range min(w.height, b.Dy()) {
		src := img.Pix[img.PixOffset(b.Min.X, b.Min.Y+y):]
		row := w.bgr[y*w.width*3:]
		for x := range min(w.width, b.Dx()) {
			row[3*x], row[3*x+1], row[3*x+2] = src[4*x+2], src[4*x+1], src[4*x]
		}
	}
	m, err := gocv.NewMatFromBytes(w.height, w.width, gocv.MatTypeCV8UC3, w.bgr)
	if err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	defer m.Close()
	w.frames++
	return w.w.Write(m)
}

// Close ends the video, looks whether all frames are in it, as OpenCV says nothing of a
// full disk, and gives it its name.
func (w *Writer) Close() error {
	w.w.Close()
	r, err := Open(w.temp)
	if err == nil {
		if r.Frames != w.frames {
			err = fmt.Errorf("%d of %d frames were written", r.Frames, w.frames)
		}
		r.Close()
	}
	if err == nil {
		err = os.Chmod(w.temp, 0o644)
	}
	if err == nil {
		err = os.Rename(w.temp, w.path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: the video could not be written, is the disk full? %w", w.path, err), os.Remove(w.temp))
	}
	return nil
}

// Discard ends the video and removes it.
func (w *Writer) Discard() error {
	w.w.Close()
	return os.Remove(w.temp)
}
