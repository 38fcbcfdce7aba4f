//go:build !race

package signer

import "time"

// hostileTime is what 10 MiB of hostile CMS may cost.
const hostileTime = 2 * time.Second
