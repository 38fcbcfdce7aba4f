package main

import (
	"context"
	"fmt"
	"runtime/debug"
)

// VersionCmd prints what was built from what.
type VersionCmd struct {
	JSON bool `help:"Print JSON." name:"json"`
}

// Run prints one line.
func (c *VersionCmd) Run(_ context.Context, s *Streams) int {
	version, goVersion := "unknown", "unknown"
	if b, ok := debug.ReadBuildInfo(); ok {
		version, goVersion = b.Main.Version, b.GoVersion
	}
	if c.JSON {
		return s.json(map[string]string{"version": version, "go": goVersion})
	}
	fmt.Fprintf(s.Out, "cryptogramm %s %s\n", version, goVersion)
	return exitOK
}
