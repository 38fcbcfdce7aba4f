//go:build !failpoint

package gateway

// failpoint is nothing in a release build; see failpoint_on.go.
func failpoint(string) {}
