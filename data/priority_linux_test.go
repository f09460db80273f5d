package data

import (
	"runtime"
	"syscall"
	"testing"
)

func TestLowerPriorityIsTheThreadsOwn(t *testing.T) {
	read := func() int {
		p, err := syscall.Getpriority(syscall.PRIO_PROCESS, syscall.Gettid())
		if err != nil {
			t.Fatal(err)
		}
		return 20 - p // the system call returns 20 - nice
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	before := read()
	done := make(chan int)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine
		lowerPriority()
		done <- read()
	}()
	if n := <-done; n != 19 {
		t.Errorf("the worker's thread has nice %d, want 19", n)
	}
	if n := read(); n != before {
		t.Errorf("another thread's nice went from %d to %d", before, n)
	}
}
