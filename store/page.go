package store

import "time"

// Page asks for one page of a list, newest first: what is older than the row
// (Before, BeforeID) that ended the page before. Zero values: the first page.
type Page struct {
	Before   time.Time
	BeforeID string
	Limit    int // 0: 100, at most 1,000
}

const (
	defaultLimit = 100
	maxLimit     = 1000
)

func pageLimit(n int) int {
	if n <= 0 {
		return defaultLimit
	}
	return min(n, maxLimit)
}

// bounds are the arguments of "(time, id) before": a time and an id that every
// row precedes when the page is the first.
func (p Page) bounds() (before int64, id string) {
	if p.Before.IsZero() {
		return 1<<63 - 1, ""
	}
	return micros(p.Before), p.BeforeID
}
