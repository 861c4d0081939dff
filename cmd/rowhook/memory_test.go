package main

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/rowhook/rowhook/internal/config"
)

// TestMemoryLimit is not parallel: the limit is the process's.
func TestMemoryLimit(t *testing.T) {
	before := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(before) })
	cfg := &config.Config{Limits: config.Limits{Memory: 16 << 20}, Delivery: config.Delivery{MaxInFlight: 512}}

	t.Setenv("GOMEMLIMIT", "1GiB")
	debug.SetMemoryLimit(math.MaxInt64)
	boundMemory(cfg)
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 {
		t.Errorf("the user's limit was replaced by %d", got)
	}
	t.Setenv("GOMEMLIMIT", "")
	boundMemory(cfg)
	if got, want := debug.SetMemoryLimit(-1), int64(48<<20); got != want {
		t.Errorf("got a limit of %d, want %d", got, want)
	}
}
