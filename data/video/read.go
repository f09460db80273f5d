// Package video reads and writes video files frame by frame through OpenCV, which needs
// to have been built with FFmpeg or GStreamer for most of them.
package video

import (
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gocv.io/x/gocv"
)

// Extensions are how video files' names end.
func Extensions() []string {
	return []string{".avi", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv"}
}

// IsVideo tells a video file by its name.
func IsVideo(name string) bool {
	return slices.Contains(Extensions(), strings.ToLower(filepath.Ext(name)))
}

// Support is what to do where a file cannot be opened or written.
const Support = "for video OpenCV needs FFmpeg or GStreamer: 'bin/doctor' names the OpenCV in use, 'opencv_version -v | grep -A8 \"Video I/O\"' what it was built with; 'ffmpeg -i FILE -c:v mjpeg -q:v 2 FILE.avi' makes a video that every OpenCV reads"

// backends are what OpenCV may read files with, in the order in which they are tried. What
// else it has are cameras and patterns of picture files.
var backends = []gocv.VideoCaptureAPI{gocv.VideoCaptureFFmpeg, gocv.VideoCaptureOpencvMjpeg, gocv.VideoCaptureGstreamer}

// maxPixels bounds a frame: 16384x16384.
const maxPixels = 1 << 28

// Reader reads the frames of a video file in their order. It is not for use by several
// goroutines at once.
type Reader struct {
	// Width and Height are a frame's, in pixels.
	Width, Height int
	// FPS is the frames a second, 0 where the file does not say.
	FPS float64
	// Frames is how many there are by the file, which may be an estimate; -1 where it
	// does not say.
	Frames int

	path string
	v    *gocv.VideoCapture
	mat  gocv.Mat
	next int
}

// Open opens a video file.
func Open(path string) (*Reader, error) {
	st, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, err
	case !st.Mode().IsRegular():
		return nil, fmt.Errorf("%s: not a regular file", path)
	case st.Size() == 0:
		return nil, fmt.Errorf("%s: the file is empty", path)
	}
	// A whole path is never taken for an address or a pipeline.
	whole, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	var v *gocv.VideoCapture
	for _, backend := range backends {
		if v, err = gocv.VideoCaptureFileWithAPI(whole, backend); err == nil {
			break
		}
		v.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: OpenCV cannot open it: the file is damaged, or of a kind that this OpenCV cannot read; %s", path, Support)
	}
	r := &Reader{path: path, v: v, mat: gocv.NewMat(), Frames: -1}
	r.Width, r.Height = int(v.Get(gocv.VideoCaptureFrameWidth)), int(v.Get(gocv.VideoCaptureFrameHeight))
	if fps := v.Get(gocv.VideoCaptureFPS); fps > 0 && fps <= 1000 {
		r.FPS = fps
	}
	if n := v.Get(gocv.VideoCaptureFrameCount); n >= 1 && n < math.MaxInt32 {
		r.Frames = int(n)
	}
	if r.Width < 1 || r.Height < 1 || r.Width > maxPixels/r.Height {
		r.Close()
		return nil, fmt.Errorf("%s: frames of %dx%d pixels are not read", path, r.Width, r.Height)
	}
	return r, nil
}

// Next reads a frame: its number from 0, when it is shown in seconds, and its pixels, R,
// G, B row by row, in dst's memory where that is large enough. The error is io.EOF
// behind the last frame that can be read; [Reader.Short] then tells whether some are
// missing.
func (r *Reader) Next(dst []uint8) (frame int, seconds float64, rgb []uint8, err error) {
	if !r.v.Read(&r.mat) || r.mat.Empty() {
		return r.next, 0, dst, io.EOF
	}
	frame = r.next
	r.next++
	if r.mat.Cols() != r.Width || r.mat.Rows() != r.Height || r.mat.Type() != gocv.MatTypeCV8UC3 {
		return frame, 0, dst, fmt.Errorf("%s: frame %d has %dx%d pixels of type %v, the file says %dx%d of 8 bits and three colours",
			r.path, frame, r.mat.Cols(), r.mat.Rows(), r.mat.Type(), r.Width, r.Height)
	}
	bgr, err := r.mat.DataPtrUint8()
	n := r.Width * r.Height * 3
	if err == nil && len(bgr) != n {
		err = errors.New("the rows of its frames do not follow each other")
	}
	if err != nil {
		return frame, 0, dst, fmt.Errorf("%s: %w", r.path, err)
	}
	if cap(dst) < n {
		dst = make([]uint8, n)
	}
	dst = dst[:n]
	for i := 0; i < n; i += 3 {
		dst[i], dst[i+1], dst[i+2] = bgr[i+2], bgr[i+1], bgr[i]
	}
	if r.FPS > 0 {
		seconds = float64(frame) / r.FPS
	} else {
		seconds = r.v.Get(gocv.VideoCapturePosMsec) / 1000
	}
	return frame, seconds, dst, nil
}

// Skip passes over n frames.
func (r *Reader) Skip(n int) {
	r.v.Grab(n)
	r.next += n
}

// Short is an error where many fewer frames were read than the file says: one in fifty
// and more than two, as what files say may be an estimate.
func (r *Reader) Short() error {
	missing := r.Frames - r.next
	if r.Frames < 0 || missing <= max(2, r.Frames/50) {
		return nil
	}
	return fmt.Errorf("%s: %d of %d frames could be read: the file is cut off or damaged", r.path, r.next, r.Frames)
}

// Close closes the file.
func (r *Reader) Close() {
	r.v.Close()
	r.mat.Close()
}
