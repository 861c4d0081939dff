package api_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
)

// keptPause is a pause in memory.
type keptPause struct {
	mu  sync.Mutex
	now client.Pause
}

func (k *keptPause) Pause(_ context.Context, reason, by string) (*client.Pause, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at := time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)
	k.now = client.Pause{Paused: true, Since: &at, Reason: reason, By: by}
	p := k.now
	return &p, nil
}

func (k *keptPause) Paused(context.Context) (*client.Pause, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p := k.now
	return &p, nil
}

// TestPauseAndDrainTakeWhatTheySay: a pause is said by the caller's token; what cannot be is named.
func TestPauseAndDrainTakeWhatTheySay(t *testing.T) {
	t.Parallel()
	b := start(t, whole)
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"/api/v1/pause", `{"reason":"a wrong mapping"}`, 200, `"reason":"a wrong mapping","by":"ops"`},
		{"/api/v1/pause", `{}`, 200, `"paused":true`},
		{"/api/v1/pause", `{"reason":"` + strings.Repeat("x", 501) + `"}`, 422, `"reason"`},
		{"/api/v1/pause", `{"raeson":"x"}`, 422, `raeson`},
		{"/api/v1/drain", `{"until_lsn":"16B3748"}`, 422, `pg_current_wal_lsn()`},
		{"/api/v1/drain", `{"wait":"2m"}`, 422, `1m0s`},
		{"/api/v1/drain", `{"wait":"soon"}`, 422, `"wait"`},
		{"/api/v1/drain", `{"until_lsn":"0/16B3748","wait":"0s"}`, 200, `"drained":true`},
	} {
		resp, body := b.do(t, "POST", c.path, tokenAdmin, "application/json", c.body)
		if status := resp.StatusCode; status != c.status || !strings.Contains(body, c.want) {
			t.Errorf("%s %s: %d %s, want %d with %s", c.path, c.body, status, body, c.status, c.want)
		}
	}
}

// TestResumeSaysWhatItWaitedFor: what is in the way at the source is not called one that cannot be reached.
func TestResumeSaysWhatItWaitedFor(t *testing.T) {
	t.Parallel()
	b := start(t, func(c *api.Config) {
		c.Resume = func(context.Context, client.Resume) (*client.Resumed, error) {
			return nil, api.NotNow(errors.New("make the replication slot: it waits for transactions"))
		}
	})
	resp, body := b.do(t, "POST", "/api/v1/resume", tokenAdmin, "application/json", `{"accept_gap":true}`)
	if resp.StatusCode != 503 || resp.Header.Get("Retry-After") == "" || !strings.Contains(body, `"detail":"make the replication slot: it waits for transactions"`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
