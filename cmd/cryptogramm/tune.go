package main

import (
	"os"
	"runtime"
	"syscall"
)

// ballast is never touched, so it takes address space and no memory. The
// collector starts when the heap has doubled: without it that is every few
// letters in a server that has little else to keep.
const ballast = 32 << 20

// processors per CPU: a letter waits for the disk three times, and while a
// thread is in an fsync the runtime leaves it its processor for a while. With
// one processor per CPU the others then wait for nothing; with several, the
// kernel shares out the CPUs. Measured: 4 gives 1.4 times the letters of 1, and
// more gives no more.
const processors = 4

// tune sets the runtime up, once in a process.
func tune() {
	if os.Getenv("GOMAXPROCS") == "" { // the operator's word counts
		runtime.GOMAXPROCS(processors * runtime.GOMAXPROCS(0)) // the default knows a container's limits
	}
}

// openFiles asks the system for as many open files as are wanted and is how
// many there may be. The runtime has raised the soft limit to the hard one
// already; more takes the privilege to.
func openFiles(want uint64) uint64 {
	var l syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &l); err != nil {
		return 0
	}
	if l.Cur >= want {
		return l.Cur
	}
	more := syscall.Rlimit{Cur: want, Max: max(want, l.Max)}
	if syscall.Setrlimit(syscall.RLIMIT_NOFILE, &more) == nil {
		return want
	}
	return l.Cur
}
