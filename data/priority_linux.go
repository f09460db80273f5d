package data

import "syscall"

// lowerPriority gives the calling OS thread nice 19. On Linux a priority belongs
// to the thread; lowering it needs no rights, so there is nothing to report.
func lowerPriority() { _ = syscall.Setpriority(syscall.PRIO_PROCESS, syscall.Gettid(), 19) }
