//go:build failpoint

package gateway

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

var failpointHits atomic.Int64

// failpoint kills the process without any clean-up when it is at the step that
// CRYPTOGRAMM_FAILPOINT names ("name" or "name#n" for the n-th time). It is how
// `make kill` puts a crash between any two steps; release builds lack it.
func failpoint(name string) {
	want, nth, counted := strings.Cut(os.Getenv("CRYPTOGRAMM_FAILPOINT"), "#")
	if want != name {
		return
	}
	if counted {
		if n, err := strconv.ParseInt(nth, 10, 64); err == nil && failpointHits.Add(1) < n {
			return
		}
	}
	syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {}
}
