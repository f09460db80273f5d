// Package cpu is the float32 device on x86-64 and other CPUs: convolutions and
// matrix products by oneDNN (2.6, OpenMP), everything else by C loops of its own
// that are compiled for several instruction sets and picked when the program
// starts. Convolutions of 3x3 at stride 1, dilated or not, go by Winograd's algorithm
// where that pays (winogradFor): its transforms are loops of this package, its
// products oneDNN's.
//
// Threads. oneDNN bakes the number of threads into what Prepare makes, and
// OpenMP keeps one team per calling thread, so a Device owns one OS thread on
// which everything runs (see Device.Do), or one for each lane (see Device.Lanes). Keep
// the sum of the threads of all devices that work at once within the machine's cores: the threads of a team wait for each other
// several times in every kernel, and one that lost its core to another program
// holds up all. How long idle threads spin before they sleep decides much: at
// libgomp's own 300,000 rounds another program on the same cores makes kernels
// several times as slow, asleep at once small kernels take more than twice as
// long (a step of the demo: 240 images a second at 20,000 rounds, 224 at 300,000,
// 93 asleep, on 4 cores with two loader threads). libgomp reads the number only
// when the program is loaded: see BoundSpin.
//
// The same numbers come out of every run with the same number of threads: every sum has
// a fixed order, and no algorithm is chosen by timing unless Tune asks for it, which keeps
// what it chooses. Denormal numbers count as zero.
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

	runners int
	free    chan *runner // those that wait for a job; closed with the device
	calls   sync.Mutex   // one caller of here at a time: these change the maps below
	closing sync.Mutex
	closed  bool // guarded by closing
	teams   *teams

	now, peak atomic.Int64

	filters map[string]*filter // only touched by jobs of here
	forms   []form
	convs   map[convKey]*convPlan
	ways    map[wayKey]*convPlan
	halves  map[reducedKey]*convPlan // nil where there is none
	tuning  *tuning                  // nil: convolutions go by rule

	products bool // whether convolutions on bf16 activations multiply bf16 numbers
	wide     int  // bytes of a part of one that does not, for each thread
}

// runner is an OS thread that jobs run on, one at a time, with an OpenMP team of its own.
type runner struct {
	d    *Device
	jobs chan func() error
	done chan result
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
	return open(o.Threads, 1, bf16Rate() > worthRate)
}

// open starts a device of so many runners, each with a team of so many threads; products:
// see Device.
func open(threads, runners int, products bool) (*Device, error) {
	d := &Device{
		id: C.int(lastID.Add(1)), threads: threads, runners: runners, free: make(chan *runner, runners),
		filters: map[string]*filter{}, convs: map[convKey]*convPlan{}, ways: map[wayKey]*convPlan{}, halves: map[reducedKey]*convPlan{}, products: products, wide: wideBytes,
	}
	d.teams = &teams{devices: []*Device{d}}
	err := d.check(C.mv_open(&d.engine, &d.stream), "start")
	if err != nil {
		C.mv_close(d.engine, d.stream)
		return nil, err
	}
	for range runners {
		r := &runner{d, make(chan func() error), make(chan result)}
		started := make(chan bool)
		go r.serve(started)
		<-started
		d.free <- r
	}
	return d, nil
}

// serve is a runner's thread.
func (r *runner) serve(started chan<- bool) {
	runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
	C.mv_adopt(C.int(r.d.threads), r.d.id)
	started <- true
	for f := range r.jobs {
		r.perform(f)
	}
}

// perform runs one job; a panic or Goexit in it (a test's FailNow) is handed to
// the caller.
func (r *runner) perform(f func() error) {
	out := result{exit: true}
	defer func() {
		if out.exit {
			out.panic = recover()
			if out.panic == nil {
				// This thread is lost; another one takes its place.
				started := make(chan bool)
				go r.serve(started)
				<-started
			}
			out.exit = out.panic == nil
		}
		r.done <- out
	}()
	out.err = f()
	out.exit = false
}

// Do implements device.Device. A panic of f comes out of Do.
func (d *Device) Do(f func() error) error {
	d.teams.wake(d)
	return d.perform(f)
}

// perform runs f on a runner.
func (d *Device) perform(f func() error) error {
	r, open := <-d.free
	if !open {
		return errClosed
	}
	r.jobs <- f
	out := <-r.done
	d.free <- r
	if out.panic != nil {
		panic(out.panic)
	}
	if out.exit {
		runtime.Goexit()
	}
	return out.err
}

// inside reports whether the caller is a job: the answer is a thread-local variable, true
// exactly on the device's threads, which a goroutine that is there cannot leave.
func (d *Device) inside() bool { return C.mv_is_runner(d.id) != 0 }

// here runs f on one of the device's threads, from wherever it is called: a call that
// prepares or moves data, between which kernels need no team.
func (d *Device) here(f func() error) error {
	if d.inside() {
		return f()
	}
	d.calls.Lock()
	defer d.calls.Unlock()
	return d.perform(f)
}

// Name implements device.Device.
func (d *Device) Name() string { return "cpu/onednn" }

// Threads implements device.Device.
func (d *Device) Threads() int { return d.threads }

// Close implements device.Device. Calling it twice is allowed. Devices that Lanes made
// are closed by themselves.
func (d *Device) Close() error {
	d.closing.Lock()
	defer d.closing.Unlock()
	if d.closed {
		return nil
	}
	d.closed = true
	d.teams.leave(d)
	if t := d.tuning; t != nil {
		t.mu.Lock()
		t.freeRooms()
		t.mu.Unlock()
	}
	for i := range d.runners {
		r := <-d.free // once its job is done
		if i == 0 {
			r.jobs <- func() error {
				d.forget()
				return nil
			}
			<-r.done
		}
		close(r.jobs)
	}
	close(d.free)
	C.mv_close(d.engine, d.stream)
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
	if d.runners > 1 && d.inside() {
		return nil, errors.New("cpu device: a kernel was asked for inside Do of a device with lanes; prepare it before")
	}
	if d.tuning != nil && !d.inside() {
		d.teams.wake(d) // it may be timed
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
