package main

import (
	"os"
	"runtime"
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
