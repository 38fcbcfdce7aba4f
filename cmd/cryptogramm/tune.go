package main

import (
	"context"
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"syscall"
	"time"
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

// slack is how much memory may lie about unused before it is given back: more
// than a server under load has between two collections, much less than what
// the handshakes of thousands of mail programs leave behind.
const (
	slack     = 96 << 20
	slackLook = 5 * time.Second
	shrinks   = 3 // collections in all: each makes a stack that was deep once at most half as large
)

// giveBack returns memory to the system when much of it is garbage or free,
// until ctx ends. By itself the runtime keeps as much again as is in use.
func giveBack(ctx context.Context) {
	look := time.NewTicker(slackLook)
	defer look.Stop()
	for more := 0; ; more-- {
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			if unused() > slack {
				more = shrinks
			}
			if more > 0 {
				debug.FreeOSMemory()
			}
		}
	}
}

// unused is how many octets of the heap are mapped and hold nothing that the
// last collection found in use.
func unused() int64 {
	s := []metrics.Sample{
		{Name: "/memory/classes/heap/objects:bytes"}, {Name: "/memory/classes/heap/unused:bytes"},
		{Name: "/memory/classes/heap/free:bytes"}, {Name: "/gc/heap/live:bytes"},
	}
	metrics.Read(s)
	of := func(i int) int64 { return int64(s[i].Value.Uint64()) }
	return of(0) + of(1) + of(2) - max(of(3), ballast)
}
