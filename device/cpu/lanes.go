package cpu

/*
#include "engine.h"
*/
import "C"

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"manvision/device"
)

var _ device.Laner = (*Device)(nil)

// Lanes implements device.Laner. The device and those made of it may be used in turn: a
// team whose device does not work is ended as soon as another one needs the cores, for
// libgomp lets nobody spin while it manages more threads than there are cores.
func (d *Device) Lanes(n, threads int) (device.Device, error) {
	if n < 1 || threads < 1 || n*threads > d.threads {
		return nil, fmt.Errorf("cpu device: %d lanes of %d threads on a device of %d threads", n, threads, d.threads)
	}
	l, err := open(threads, n, d.products)
	if err != nil {
		return nil, err
	}
	l.teams, l.tuning = d.teams, d.tuning
	d.teams.join(l)
	return l, nil
}

// teams are devices that work on the same cores, not at the same time.
type teams struct {
	mu      sync.Mutex
	devices []*Device
	awake   atomic.Pointer[Device] // whose teams may have threads, if only one's may
}

func (t *teams) join(d *Device) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.devices = append(t.devices, d)
	t.awake.Store(nil)
}

func (t *teams) leave(d *Device) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.devices = slices.DeleteFunc(t.devices, func(o *Device) bool { return o == d })
	t.awake.CompareAndSwap(d, nil)
}

// wake ends the teams of all devices but d.
func (t *teams) wake(d *Device) {
	if t.awake.Load() == d {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range t.devices {
		if o != d {
			o.rest()
		}
	}
	t.awake.Store(d)
}

// rest ends the threads of the device's teams once their jobs are done.
func (d *Device) rest() {
	var all []*runner
	for range d.runners {
		r, open := <-d.free
		if !open {
			break
		}
		all = append(all, r)
		r.jobs <- func() error {
			C.mv_rest()
			return nil
		}
		<-r.done
	}
	for _, r := range all {
		d.free <- r
	}
}
