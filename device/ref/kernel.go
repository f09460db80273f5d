package ref

import (
	"fmt"
	"sync"
	"unsafe"

	"manvision/device"
)

// program is what an operation compiles to: the working memory it wants, in
// float64 elements, and the function that computes it.
type program struct {
	scratch int
	run     func(c *call) error
}

// call is what a program gets to work on.
type call struct {
	in, out []view
	scratch []float64
	threads int
}

// kernel implements device.Kernel.
type kernel struct {
	dev     *Device
	op      device.Op
	program program
	call    call
	bound   bool
}

func (k *kernel) Scratch() int64 { return int64(k.program.scratch) * 8 }

func (k *kernel) Bind(in, out []device.Ptr, scratch device.Ptr) error {
	k.bound = false
	c := call{threads: k.dev.threads}
	var err error
	if c.in, err = views(k.op, "input", k.op.Inputs(), in); err != nil {
		return err
	}
	if c.out, err = views(k.op, "output", k.op.Outputs(), out); err != nil {
		return err
	}
	if k.program.scratch > 0 {
		if scratch == nil {
			return fmt.Errorf("ref: %s: bound without its %d bytes of scratch", k.op.Kind(), k.Scratch())
		}
		c.scratch = unsafe.Slice((*float64)(scratch), k.program.scratch)
	}
	k.call, k.bound = c, true
	return nil
}

func views(op device.Op, what string, descs []device.Desc, ptrs []device.Ptr) ([]view, error) {
	if len(ptrs) != len(descs) {
		return nil, fmt.Errorf("ref: %s: bound to %d %ss, want %d", op.Kind(), len(ptrs), what, len(descs))
	}
	vs := make([]view, len(descs))
	for i, d := range descs {
		if ptrs[i] == nil {
			return nil, fmt.Errorf("ref: %s: %s %d is a nil address", op.Kind(), what, i)
		}
		vs[i] = viewOf(ptrs[i], d)
	}
	return vs, nil
}

func (k *kernel) Run() error {
	if !k.bound {
		return fmt.Errorf("ref: %s: run before it was bound", k.op.Kind())
	}
	if !k.dev.busy.Load() {
		return fmt.Errorf("ref: %s: run outside Device.Do", k.op.Kind())
	}
	if err := k.program.run(&k.call); err != nil {
		return fmt.Errorf("ref: %s: %w", k.op.Kind(), err)
	}
	return nil
}

func (k *kernel) Close() { k.bound, k.call = false, call{} }

// program picks the implementation of an operation.
func (d *Device) program(op device.Op) (program, error) {
	switch o := op.(type) {
	case device.Mixed:
		return d.program(o.Of)
	case device.Cast:
		return cast(), nil
	case device.Conv:
		return conv(o, d.threads), nil
	case device.ConvBackwardData:
		return convBackwardData(o.Conv, d.threads), nil
	case device.ConvBackwardWeights:
		return convBackwardWeights(o.Conv), nil
	case device.Linear:
		return linear(o), nil
	case device.LinearBackwardData:
		return linearBackwardData(o.Linear), nil
	case device.LinearBackwardWeights:
		return linearBackwardWeights(o.Linear), nil
	case device.BatchNorm:
		return batchNorm(o), nil
	case device.BatchNormBackward:
		return batchNormBackward(o.BatchNorm), nil
	case device.RunningStats:
		return runningStats(o), nil
	case device.FoldNorm:
		return foldNorm(o), nil
	case device.PrepareFilter:
		return prepareFilter(), nil
	case device.ReLU:
		return relu(), nil
	case device.ReLUBackward:
		return reluBackward(o), nil
	case device.Add:
		return add(o)
	case device.Fuse:
		return fuse(), nil
	case device.FuseBackward:
		return fuseBackward(o), nil
	case device.Fill:
		return fill(o)
	case device.MaxPool:
		return maxPool(o.Pool), nil
	case device.MaxPoolBackward:
		return maxPoolBackward(o.Pool), nil
	case device.AvgPool:
		return avgPool(o.Pool, o.CountPad), nil
	case device.AvgPoolBackward:
		return avgPoolBackward(o.Pool, o.CountPad), nil
	case device.GlobalAvgPool:
		return globalAvgPool(o), nil
	case device.GlobalAvgPoolBackward:
		return globalAvgPoolBackward(o), nil
	case device.Resize:
		return resize(o)
	case device.ResizeBackward:
		return resizeBackward(o.Resize)
	case device.Concat:
		return concat(o), nil
	case device.Slice:
		return slice(o), nil
	case device.SliceBackward:
		return sliceBackward(o.Slice), nil
	case device.FocalLoss:
		return focal(o), nil
	case device.FocalLossBackward:
		return focalBackward(o.FocalLoss), nil
	case device.SmoothL1:
		return smoothL1(o), nil
	case device.SmoothL1Backward:
		return smoothL1Backward(o.SmoothL1), nil
	case device.CrossEntropy:
		return crossEntropy(o), nil
	case device.CrossEntropyBackward:
		return crossEntropyBackward(o.CrossEntropy), nil
	case device.PixelCrossEntropy:
		return pixelCrossEntropy(o)
	case device.PixelCrossEntropyBackward:
		return pixelCrossEntropyBackward(o.PixelCrossEntropy)
	case device.SigmoidBCE:
		return sigmoidBCE(o), nil
	case device.SigmoidBCEBackward:
		return sigmoidBCEBackward(o.SigmoidBCE), nil
	case device.SoftCrossEntropy:
		return softCrossEntropy(o), nil
	case device.SoftCrossEntropyBackward:
		return softCrossEntropyBackward(o.SoftCrossEntropy), nil
	case device.SupCon:
		return supCon(o), nil
	case device.SupConBackward:
		return supConBackward(o.SupCon), nil
	case device.Similarity:
		return similarity(o), nil
	case device.SimilarityBackward:
		return similarityBackward(o.Similarity), nil
	case device.Dropout:
		return dropout(o), nil
	case device.LayerNorm:
		return layerNorm(o), nil
	case device.LayerNormBackward:
		return layerNormBackward(o.LayerNorm), nil
	case device.GELU:
		return gelu(), nil
	case device.GELUBackward:
		return geluBackward(), nil
	case device.Attention:
		return attention(o), nil
	case device.AttentionBackward:
		return attentionBackward(o.Attention), nil
	case device.Tokens:
		return tokens(o), nil
	case device.TokensBackward:
		return tokensBackward(o.Tokens), nil
	case device.Average:
		return average(o)
	case device.SGD:
		return sgd(o)
	case device.AdamW:
		return adamW(o)
	case device.EMA:
		return ema(o)
	case device.SquaredNorm:
		return squaredNorm(o)
	case device.Together:
		return d.together(o)
	case device.SquaredDistance:
		return squaredDistance(o)
	}
	return program{}, fmt.Errorf("ref: unknown operation %T", op)
}

// floats refuses elementwise arithmetic on anything but floats.
func floats(kind string, d device.Desc) error {
	if d.DType != device.Float {
		return fmt.Errorf("ref: %s works on floats, not %v", kind, d)
	}
	return nil
}

// parallel calls f on consecutive ranges that together are [0,n), in several
// goroutines when there are at least twice grain items. f must write only what
// belongs to its range.
func (c *call) parallel(n, grain int, f func(lo, hi int)) {
	parts := min(c.threads, n/max(grain, 1))
	if parts < 2 {
		f(0, n)
		return
	}
	var wg sync.WaitGroup
	for p := range parts {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f(p*n/parts, (p+1)*n/parts)
		}()
	}
	wg.Wait()
}

// chunk is how many elements a partial sum covers.
const chunk = 4096

func chunks(n int) int { return (n + chunk - 1) / chunk }

// sum returns the sum over chunks of [0,n) of f, using chunks(n) elements of
// part. The chunks are of fixed size and added in order.
func (c *call) sum(n int, part []float64, f func(lo, hi int) float64) float64 {
	part = part[:chunks(n)]
	c.parallel(len(part), 4, func(lo, hi int) {
		for i := lo; i < hi; i++ {
			part[i] = f(i*chunk, min((i+1)*chunk, n))
		}
	})
	s := 0.0
	for _, p := range part {
		s += p
	}
	return s
}
