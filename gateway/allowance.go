package gateway

import (
	"sync"
	"time"
)

// allowance bounds the octets that each account appends within an hour, kept or
// not. What is expunged gives room back at once, but its bytes stay in the blob
// store until cleanBlobs finds them: who appends and expunges without end would
// fill the disk.
type allowance struct {
	mu    sync.Mutex
	hour  time.Time
	taken map[string]int64 // account → octets in this hour
}

// take is false when an account would get over the limit.
func (a *allowance) take(account string, octets, limit int64, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if hour := now.Truncate(time.Hour); !hour.Equal(a.hour) {
		a.hour, a.taken = hour, make(map[string]int64)
	}
	if a.taken[account]+octets > limit {
		return false
	}
	a.taken[account] += octets
	return true
}
