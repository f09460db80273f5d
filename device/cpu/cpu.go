// Package cpu is the float32 device on x86-64 and other CPUs: convolutions and
// matrix products by oneDNN (2.6, OpenMP), everything else by C loops of its own
// that are compiled for several instruction sets and picked when the program
// starts. Convolutions of 3x3 at stride 1, dilated or not, go by Winograd's algorithm
// where that pays (winogradFor): its transforms are loops of this package, its
// products oneDNN's.
//
// Threads. oneDNN bakes the number of threads into what Prepare makes, and
// OpenMP keeps one team per calling thread, so a Device owns one OS thread on
// which everything runs (see Device.Do). Keep the sum of the threads of all
// devices within the machine's cores: the threads of a team wait for each other
// several times in every kernel, and one that lost its core to another program
// holds up all. How long idle threads spin before they sleep decides much: at
// libgomp's own 300,000 rounds another program on the same cores makes kernels
// several times as slow, asleep at once small kernels take more than twice as
// long (a step of the demo: 240 images a second at 20,000 rounds, 224 at 300,000,
// 93 asleep, on 4 cores with two loader threads). libgomp reads the number only
// when the program is loaded: see BoundSpin.
//
// The same numbers come out of every run with the same number of threads: no
// algorithm is chosen by timing and every sum has a fixed order.
package cpu

/*
#cgo CFLAGS: -O3 -fopenmp -fno-strict-aliasing
#cgo LDFLAGS: -ldnnl -fopenmp -lm
#include "engine.h"
*/
import "C"

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"manvision/device"
)

// Options configures a device. The zero value is usable.
type Options struct {
	// Threads is the number of threads of every kernel; 0 means all cores.
	Threads int
	// Sleep makes idle threads sleep at once instead of spinning in wait of the
	// next kernel: for machines that other programs keep busy. Once any device of
	// the process has asked for it, it holds for the whole process. It has no
	// effect where the environment sets GOMP_SPINCOUNT or OMP_WAIT_POLICY.
	Sleep bool
}

// Device is the oneDNN device. Its memory is host memory outside the Go heap. It
// satisfies device.Device; all methods may be called from any goroutine.
type Device struct {
	id      C.int
	threads int
	engine  C.dnnl_engine_t
	stream  C.dnnl_stream_t

	do     sync.Mutex // one job at a time
	jobs   chan func() error
	done   chan result
	closed bool // guarded by do

	now, peak atomic.Int64

	filters map[string]*filter // only touched on the device's thread
	forms   []form
	convs   map[convKey]*convPlan
	halves  map[reducedKey]*convPlan // nil where there is none

	products bool // whether convolutions on bf16 activations multiply bf16 numbers
}

type result struct {
	err   error
	panic any
	exit  bool // the job left by runtime.Goexit
}

var lastID atomic.Int32

var errClosed = errors.New("cpu device: used after Close")

// New starts a device.
func New(o Options) (*Device, error) {
	if o.Threads < 0 {
		return nil, fmt.Errorf("cpu device: %d threads", o.Threads)
	}
	if o.Threads == 0 {
		o.Threads = runtime.NumCPU()
	}
	if o.Sleep && !spinSet() {
		if C.mv_calm() != 0 {
			return nil, errors.New("cpu device: cannot start a thread")
		}
	}
	d := &Device{
		id: C.int(lastID.Add(1)), threads: o.Threads,
		jobs: make(chan func() error), done: make(chan result),
		filters: map[string]*filter{}, convs: map[convKey]*convPlan{}, halves: map[reducedKey]*convPlan{}, products: bf16Rate() > worthRate,
	}
	started := make(chan error)
	go d.serve(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return d, nil
}

// serve is the device's thread.
func (d *Device) serve(started chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	err := d.check(C.mv_open(C.int(d.threads), d.id, &d.engine, &d.stream), "start")
	started <- err
	if err != nil {
		C.mv_close(d.engine, d.stream)
		return
	}
	for f := range d.jobs {
		d.perform(f)
	}
	C.mv_close(d.engine, d.stream)
	d.done <- result{}
}

// perform runs one job; a panic or Goexit in it (a test's FailNow) is handed to
// the caller.
func (d *Device) perform(f func() error) {
	r := result{exit: true}
	defer func() {
		if r.exit {
			r.panic = recover()
			if r.panic == nil {
				// This thread is lost; another one takes over the engine.
				started := make(chan error)
				go d.takeOver(started)
				<-started
			}
			r.exit = r.panic == nil
		}
		d.done <- r
	}()
	r.err = f()
	r.exit = false
}

func (d *Device) takeOver(started chan<- error) {
	runtime.LockOSThread()
	C.mv_adopt(C.int(d.threads), d.id)
	started <- nil
	for f := range d.jobs {
		d.perform(f)
	}
	C.mv_close(d.engine, d.stream)
	d.done <- result{}
}

// Do implements device.Device. A panic of f comes out of Do.
func (d *Device) Do(f func() error) error {
	d.do.Lock()
	defer d.do.Unlock()
	if d.closed {
		return errClosed
	}
	d.jobs <- f
	r := <-d.done
	if r.panic != nil {
		panic(r.panic)
	}
	if r.exit {
		runtime.Goexit()
	}
	return r.err
}

// here runs f on the device's thread, from wherever it is called.
func (d *Device) here(f func() error) error {
	// The answer is a thread-local variable: true exactly on the device's thread,
	// which this goroutine cannot leave when it is there.
	if C.mv_is_runner(d.id) != 0 {
		return f()
	}
	return d.Do(f)
}

// Name implements device.Device.
func (d *Device) Name() string { return "cpu/onednn" }

// Threads implements device.Device.
func (d *Device) Threads() int { return d.threads }

// Close implements device.Device. Calling it twice is allowed.
func (d *Device) Close() error {
	d.do.Lock()
	defer d.do.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	d.jobs <- func() error {
		d.forget()
		return nil
	}
	<-d.done
	close(d.jobs)
	<-d.done
	return nil
}

// check turns a oneDNN status into an error.
func (d *Device) check(status C.int, what string) error {
	switch status {
	case 0:
		return nil
	case C.MV_WRONG_THREAD:
		return fmt.Errorf("cpu device: %s: must be called inside Device.Do", what)
	}
	names := map[C.int]string{
		C.dnnl_out_of_memory: "out of memory", C.dnnl_invalid_arguments: "invalid arguments",
		C.dnnl_unimplemented: "no fast implementation", C.dnnl_runtime_error: "run-time error",
		C.dnnl_iterator_ends: "no fast implementation", C.dnnl_not_required: "not required",
	}
	name, ok := names[status]
	if !ok {
		name = fmt.Sprintf("status %d", status)
	}
	return fmt.Errorf("cpu device: %s: oneDNN: %s", what, name)
}

// Prepare implements device.Device.
func (d *Device) Prepare(op device.Op) (device.Kernel, error) {
	if op == nil {
		return nil, errors.New("cpu device: no operation given")
	}
	if err := op.Check(); err != nil {
		return nil, fmt.Errorf("cpu device: %w", err)
	}
	var k *kernel
	err := d.here(func() error {
		var err error
		k, err = d.newKernel(op)
		if err != nil {
			return err
		}
		if err = k.build(op); err != nil {
			k.free()
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	return k, nil
}
