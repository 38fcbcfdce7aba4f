//go:build !race

// The race detector has several times the memory of what it watches.

package main

import (
	"strings"
	"testing"
)

// TestIdleConnectionsAreLight: of the 500 MB that 10,000 may take each has 50 KB.
func TestIdleConnectionsAreLight(t *testing.T) {
	t.Setenv(asCommand, "1")
	a := call(t, "", "bench", "imap", "--dir", t.TempDir(), "--letters", "4", "--fetch", "4", "--idle", "600", "--rounds", "1", "--json")
	for _, row := range decode[imapResult](t, a).Rows {
		if strings.Contains(row.What, "idle connections") {
			if row.Value > 50 {
				t.Errorf("%s: %.1f %s", row.What, row.Value, row.Unit)
			}
			return
		}
	}
	t.Error("no row of idle connections")
}
