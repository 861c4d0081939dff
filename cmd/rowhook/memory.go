package main

import (
	"math"
	"os"
	"runtime/debug"
	"sync"

	"github.com/rowhook/rowhook/internal/config"
)

const (
	// memoryBase is what the runtime, the mapping, the pools of connections to Postgres and a thousand subscriptions
	// take; memoryPerRequest what the connection, the buffers and the stacks of one request take beyond its body.
	memoryBase       = 12 << 20
	memoryPerRequest = 16 << 10
	// memoryPerResource is what one takes with its table, compiled, where there are hundreds.
	memoryPerResource = 16 << 10
)

// memoryLimit is where the collector begins to work harder, in bytes. What is charged to limits.memory has a quarter
// beside for what is read back from the store, and another one to breathe.
func memoryLimit(cfg *config.Config) int64 {
	return memoryBase + cfg.Limits.Memory*3/2 + int64(cfg.Delivery.MaxInFlight)*memoryPerRequest +
		int64(len(cfg.Mapping.Resources))*memoryPerResource
}

// heapGrowth is how much the heap may grow between two collections while memory is not short, as a percentage of what is in
// use. What is in use live is some 3 MiB: with Go's own 100 it would be collected every 4 MiB, some forty times a second
// under load, and half of the memory that the limit allows would never be used.
const heapGrowth = 400

// memory bounds the process by what the config says, and lets the heap grow within that bound, unless the environment has
// its own idea. The bound comes before the growth: near it the collector runs as often as it takes. What the subscriptions
// take is beside: with a bound that they fill, the collector would do nothing but run.
type memory struct {
	mu                   sync.Mutex
	limit, subscriptions int64
	// unbounded is a process with a proxy: how many connections its application has at once cannot be known.
	unbounded bool
}

// configured bounds by the config.
func (m *memory) configured(cfg *config.Config) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.limit, m.unbounded = memoryLimit(cfg), cfg.Proxy.Listen != ""
	m.set()
}

// subscribed says what the stored subscriptions take, in bytes.
func (m *memory) subscribed(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.subscriptions = bytes
	m.set()
}

func (m *memory) set() {
	if os.Getenv("GOMEMLIMIT") == "" && !m.unbounded {
		debug.SetMemoryLimit(m.limit + m.subscriptions)
	}
	// Without any bound the heap would be five times what is in use, however much that is.
	if os.Getenv("GOGC") == "" && debug.SetMemoryLimit(-1) != math.MaxInt64 {
		debug.SetGCPercent(heapGrowth)
	}
}
