package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"path/filepath"
)

// dataIdentity tells data sets apart by what their annotations say; where they lie does
// not count. A checkpoint holds that of the training data.
type dataIdentity struct {
	Images  int    `json:"images"`
	Objects int    `json:"objects"`
	Hash    string `json:"hash"`
}

// String reads "118287 images, 860001 objects, 3f2a...".
func (d *dataIdentity) String() string {
	if d.Objects == 0 {
		return fmt.Sprintf("%d images, %.12s", d.Images, d.Hash)
	}
	return fmt.Sprintf("%d images, %d objects, %.12s", d.Images, d.Objects, d.Hash)
}

// identify hashes names, sizes, classes, boxes and, where they are in memory, pixels of
// all images in order. Image and label files are not opened.
func identify(s Split) *dataIdentity {
	h := sha256.New()
	var b []byte
	number := func(n int64) { b = binary.LittleEndian.AppendUint64(b, uint64(n)) }
	for i := range s.Len() {
		it := s.Item(i)
		b = b[:0]
		for _, name := range []string{filepath.Base(it.Path), filepath.Base(it.LabelPath)} {
			number(int64(len(name)))
			b = append(b, name...)
		}
		number(it.ImageID)
		number(int64(it.Width))
		number(int64(it.Height))
		number(int64(it.Class))
		number(int64(len(it.Boxes)))
		for k, box := range it.Boxes {
			for _, x := range box {
				b = binary.LittleEndian.AppendUint32(b, math.Float32bits(x))
			}
			number(int64(it.Labels[k]))
		}
		h.Write(b)
		h.Write(it.Pixels)
	}
	return &dataIdentity{Images: s.Len(), Objects: s.Objects(), Hash: hex.EncodeToString(h.Sum(nil))}
}
