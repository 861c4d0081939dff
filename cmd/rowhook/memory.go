package main

import (
	"os"
	"runtime/debug"

	"github.com/rowhook/rowhook/internal/config"
)

const (
	// memoryBase is what the runtime, the mapping, the pools of connections to Postgres and a thousand subscriptions
	// take; memoryPerRequest what the connection, the buffers and the stacks of one request take beyond its body.
	memoryBase       = 16 << 20
	memoryPerRequest = 16 << 10
)

// memoryLimit is where the collector begins to work harder, in bytes. What is charged to limits.memory has a quarter
// beside for what is read back from the store, and another one to breathe.
func memoryLimit(cfg *config.Config) int64 {
	return memoryBase + cfg.Limits.Memory*3/2 + int64(cfg.Delivery.MaxInFlight)*memoryPerRequest
}

// boundMemory bounds the process by what the config says, unless the environment has its own idea. The collector's own
// pace, which lets the heap double, stays below that bound: it costs processor time only where memory is short.
func boundMemory(cfg *config.Config) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(cfg))
	}
}
