package main

import (
	"math"
	"runtime/debug"
	"testing"

	"github.com/rowhook/rowhook/internal/config"
)

// TestMemoryLimit is not parallel: the limit and the growth are the process's.
func TestMemoryLimit(t *testing.T) {
	limit, growth := debug.SetMemoryLimit(-1), debug.SetGCPercent(100)
	t.Cleanup(func() {
		debug.SetMemoryLimit(limit)
		debug.SetGCPercent(growth)
	})
	cfg := &config.Config{Limits: config.Limits{Memory: 16 << 20}, Delivery: config.Delivery{MaxInFlight: 512}}
	const none = math.MaxInt64
	for _, c := range []struct {
		name             string
		limitEnv, gcEnv  string
		begin            int64 // the limit that the runtime took from the environment
		limit            int64
		growth, gcBefore int
	}{
		{"nothing in the environment", "", "", none, 44 << 20, heapGrowth, 100},
		{"a limit", "1GiB", "", 1 << 30, 1 << 30, heapGrowth, 100},
		{"no limit", "off", "", none, none, 100, 100},
		{"a growth", "", "50", none, 44 << 20, 50, 50},
		{"both", "1GiB", "50", 1 << 30, 1 << 30, 50, 50},
	} {
		t.Setenv("GOMEMLIMIT", c.limitEnv)
		t.Setenv("GOGC", c.gcEnv)
		debug.SetMemoryLimit(c.begin)
		debug.SetGCPercent(c.gcBefore)
		var m memory
		m.configured(cfg)
		if got := debug.SetMemoryLimit(-1); got != c.limit {
			t.Errorf("%s: got a limit of %d, want %d", c.name, got, c.limit)
		}
		m.subscribed(30 << 20)
		more := c.limit
		if c.limitEnv == "" {
			more += 30 << 20
		}
		if got := debug.SetMemoryLimit(-1); got != more {
			t.Errorf("%s: got a limit of %d with 30 MiB of subscriptions, want %d", c.name, got, more)
		}
		if got := debug.SetGCPercent(100); got != c.growth {
			t.Errorf("%s: got a growth of %d, want %d", c.name, got, c.growth)
		}
	}
	t.Setenv("GOMEMLIMIT", "")
	t.Setenv("GOGC", "")
	debug.SetMemoryLimit(none)
	cfg.Proxy.Listen = ":8080"
	new(memory).configured(cfg)
	if limit, growth := debug.SetMemoryLimit(-1), debug.SetGCPercent(100); limit != none || growth != 100 {
		t.Errorf("with a proxy: got a limit of %d and a growth of %d", limit, growth)
	}
}
