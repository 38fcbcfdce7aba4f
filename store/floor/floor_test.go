package floor

import (
	"context"
	"path/filepath"
	"testing"
	"time"
)

// TestMeasure: something is accepted, and what cannot be written is an error.
func TestMeasure(t *testing.T) {
	dir := t.TempDir()
	for _, workers := range []int{1, 8} {
		rate, err := Measure(t.Context(), dir, workers, 200*time.Millisecond)
		if err != nil || rate < 1 {
			t.Errorf("%d workers: %.0f/s, %v", workers, rate, err)
		}
	}
	if _, err := Measure(t.Context(), filepath.Join(dir, "absent"), 1, time.Second); err == nil {
		t.Error("measured in a directory that is not there")
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Measure(ended, dir, 1, time.Second); err == nil {
		t.Error("measured after the end")
	}
}
