package main

import (
	"context"
	"fmt"
	"runtime/debug"
)

// VersionCmd prints what was built from what.
type VersionCmd struct{}

// Run prints one line.
func (*VersionCmd) Run(_ context.Context, s *Streams) int {
	version, goVersion := "unknown", "unknown"
	if b, ok := debug.ReadBuildInfo(); ok {
		version, goVersion = b.Main.Version, b.GoVersion
	}
	fmt.Fprintf(s.Out, "cryptogramm %s %s\n", version, goVersion)
	return exitOK
}
