package main

import (
	"math"
	"os"
	"runtime/debug"

	"github.com/rowhook/rowhook/internal/config"
)

const (
	// memoryBase is what the runtime, the mapping, the pools of connections to Postgres and a thousand subscriptions
	// take; memoryPerRequest what the connection, the buffers and the stacks of one request take beyond its body.
	memoryBase       = 12 << 20
	memoryPerRequest = 16 << 10
)

// memoryLimit is where the collector begins to work harder, in bytes. What is charged to limits.memory has a quarter
// beside for what is read back from the store, and another one to breathe.
func memoryLimit(cfg *config.Config) int64 {
	return memoryBase + cfg.Limits.Memory*3/2 + int64(cfg.Delivery.MaxInFlight)*memoryPerRequest
}

// heapGrowth is how much the heap may grow between two collections while memory is not short, as a percentage of what is in
// use. What is in use live is some 3 MiB: with Go's own 100 it would be collected every 4 MiB, some forty times a second
// under load, and half of the memory that the limit allows would never be used.
const heapGrowth = 400

// boundMemory bounds the process by what the config says, and lets the heap grow within that bound, unless the environment
// has its own idea. The bound comes before the growth: near it the collector runs as often as it takes.
func boundMemory(cfg *config.Config) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(memoryLimit(cfg))
	}
	// Without any bound the heap would be five times what is in use, however much that is.
	if os.Getenv("GOGC") == "" && debug.SetMemoryLimit(-1) != math.MaxInt64 {
		debug.SetGCPercent(heapGrowth)
	}
}
