//go:build race

package signer

import "time"

// hostileTime is that of a build whose every memory access is watched, which
// costs about ten times.
const hostileTime = 20 * time.Second
