package weights

import (
	"cmp"
	"fmt"
	"math"
	"slices"
)

// smallView is the size up to which a view may repeat elements (expand). Its
// elements are read in one piece.
const smallView = 1 << 20

// place checks a tensor against its storage and says where its elements lie. Views
// that repeat or overlap elements are refused beyond a small size, so that a
// tensor is never larger than what the file holds of it.
func (p *pthFile) place(name string, t *pthTensor) (Info, error) {
	info := Info{Name: name, DType: t.kind.dtype, refused: t.why}
	if info.refused == "" {
		info.refused = t.kind.why
	}
	if t.storage == nil {
		return info, nil
	}
	if t.kind.dtype == "" {
		return info, fmt.Errorf("tensor %q: elements of unknown type", name)
	}
	if err := p.locate(t.storage); err != nil {
		return info, fmt.Errorf("tensor %q: %w", name, err)
	}
	info.Shape = make([]int, len(t.shape))
	for i, d := range t.shape {
		info.Shape[i] = int(d)
	}
	size := t.kind.size
	have := t.storage.bytes / size // elements of this type
	n, err := elements(info.Shape)
	if err == nil && len(t.strides) != len(t.shape) {
		err = fmt.Errorf("%d strides for %d dimensions", len(t.strides), len(t.shape))
	}
	if err == nil && (t.offset < 0 || t.offset > have) {
		err = fmt.Errorf("starts at element %d of a storage of %d", t.offset, have)
	}
	if err != nil {
		return info, fmt.Errorf("tensor %q: %w", name, err)
	}
	info.begin = t.storage.at + t.offset*size
	info.end = info.begin + n*size
	if n == 0 {
		info.end = info.begin
		return info, nil
	}
	span, repeats, err := extent(t.shape, t.strides)
	switch {
	case err != nil:
	case span > have-t.offset:
		err = fmt.Errorf("shape %v with strides %v from element %d needs %d elements, its storage has %d", info.Shape, t.strides, t.offset, t.offset+span, have)
	case repeats && max(n, span) > smallView/size:
		err = fmt.Errorf("shape %v with strides %v repeats elements; save it with .contiguous()", info.Shape, t.strides)
	}
	if err != nil {
		return info, fmt.Errorf("tensor %q: %w", name, err)
	}
	if !rowMajor(t.shape, t.strides) {
		info.strides, info.span = slices.Clone(t.strides), span
	} else if n*size == t.storage.bytes {
		info.entry = t.storage.entry // the whole entry: its checksum can be compared
	}
	return info, nil
}

// extent returns how many elements lie from a view's first to its last, and
// whether any is met twice (or may be: overlapping strides).
func extent(shape, strides []int64) (span int64, repeats bool, err error) {
	type dim struct{ size, stride int64 }
	var dims []dim
	for i, n := range shape {
		if strides[i] < 0 {
			return 0, false, fmt.Errorf("negative stride %d", strides[i])
		}
		if n > 1 {
			dims = append(dims, dim{n, strides[i]})
		}
	}
	slices.SortFunc(dims, func(a, b dim) int { return cmp.Compare(a.stride, b.stride) })
	var last int64
	for _, d := range dims {
		if d.stride <= last {
			repeats = true
		}
		if d.stride > (math.MaxInt64/2-last)/(d.size-1) {
			return 0, false, fmt.Errorf("strides %v are too large", strides)
		}
		last += d.stride * (d.size - 1)
	}
	return last + 1, repeats, nil
}

// rowMajor reports whether the elements lie one behind the other.
func rowMajor(shape, strides []int64) bool {
	want := int64(1)
	for i := len(shape) - 1; i >= 0; i-- {
		if shape[i] != 1 && strides[i] != want {
			return false
		}
		want *= shape[i]
	}
	return true
}

// gather calls put with the bytes of each element of a strided view. It goes
// through the file once, from front to back, in pieces.
func (f *File) gather(info Info, size int64, put func(i int, b []byte)) error {
	type dim struct{ size, stride, to int64 }
	dims := make([]dim, len(info.Shape))
	to := int64(1)
	for i := len(dims) - 1; i >= 0; i-- {
		dims[i] = dim{int64(info.Shape[i]), info.strides[i], to}
		to *= int64(info.Shape[i])
	}
	slices.SortStableFunc(dims, func(a, b dim) int { return cmp.Compare(b.stride, a.stride) })
	buf := make([]byte, min(smallView, info.span*size)/size*size)
	last := info.begin + info.span*size
	from, until := int64(0), int64(0) // what of the file is in buf
	index := make([]int64, len(dims))
	at, i := info.begin, int64(0)
	for {
		if at < from || at+size > until {
			from, until = at, min(at+int64(len(buf)), last)
			if err := readAt(f.r, buf[:until-from], from); err != nil {
				return err
			}
		}
		put(int(i), buf[at-from:at-from+size])
		k := len(dims) - 1
		for ; k >= 0; k-- {
			d := dims[k]
			index[k]++
			at, i = at+d.stride*size, i+d.to
			if index[k] < d.size {
				break
			}
			index[k] = 0
			at, i = at-d.size*d.stride*size, i-d.size*d.to
		}
		if k < 0 {
			return nil
		}
	}
}
