package api_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/rowhook/rowhook/internal/api"
)

// keptLevel is a log level in memory.
type keptLevel struct {
	mu        sync.Mutex
	level, by string
}

func (k *keptLevel) Level() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.level
}

func (k *keptLevel) SetLevel(_ context.Context, level, by string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.level, k.by = level, by
}

// TestLogLevel: the admin alone sets it, to one that there is.
func TestLogLevel(t *testing.T) {
	t.Parallel()
	kept := &keptLevel{level: "info"}
	b := start(t, func(c *api.Config) { c.LogLevels = kept })
	for _, c := range []struct {
		method, token, body string
		status              int
		want, level         string
	}{
		{"GET", tokenAdmin, "", 200, `{"level":"info"}`, "info"},
		{"PUT", tokenAdmin, `{"level":"debug"}`, 200, `{"level":"debug"}`, "debug"},
		{"GET", tokenAdmin, "", 200, `{"level":"debug"}`, "debug"},
		{"PUT", tokenAdmin, `{"level":"DEBUG-4"}`, 422, "give debug, info, warn, error", "debug"},
		{"PUT", tokenAdmin, `{}`, 422, `"level"`, "debug"},
		{"PUT", tokenAdmin, `{"levle":"info"}`, 422, "levle", "debug"},
		{"PUT", tokenOne, `{"level":"error"}`, 403, "admin", "debug"},
		{"GET", tokenOne, "", 403, "admin", "debug"},
	} {
		resp, body := b.do(t, c.method, "/api/v1/log-level", c.token, "application/json", c.body)
		if resp.StatusCode != c.status || !strings.Contains(body, c.want) || kept.Level() != c.level {
			t.Errorf("%s %s: %d %s, now %s; want %d with %s, %s", c.method, c.body, resp.StatusCode, body, kept.Level(), c.status, c.want, c.level)
		}
	}
	if kept.by != "ops" {
		t.Errorf("it was set by %q", kept.by)
	}
}
