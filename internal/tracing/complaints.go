package tracing

import (
	"log/slog"
	"sync"
	"time"
)

// complainEvery is how often it is logged that spans cannot be sent: a collector that is away fails each batch.
const complainEvery = time.Minute

// complaints logs what the exporter could not do. Nothing else waits for it.
type complaints struct {
	log   *slog.Logger
	mu    sync.Mutex
	told  time.Time
	since int
}

// Handle is that of otel.ErrorHandler.
func (c *complaints) Handle(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since++
	if time.Since(c.told) < complainEvery {
		return
	}
	c.log.Warn("traces cannot be sent: spans are lost, hooks are not", "error", err, "failures", c.since)
	c.told, c.since = time.Now(), 0
}
