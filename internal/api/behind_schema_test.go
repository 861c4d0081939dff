package api_test

import (
	"strings"
	"testing"

	"github.com/rowhook/rowhook/internal/api"
)

// TestBehindSchemas lets nobody in by a token of the config, or by one that was made: neither is even looked at.
func TestBehindSchemas(t *testing.T) {
	t.Parallel()
	tokens := &watchedTokens{}
	f := behind(t, func(c *api.Config) { c.Made, c.EventTypes = tokens, eventTypes{} })
	for _, token := range []string{tokenAdmin, "rht_ZWKPWJ5ARBRWFG4IPXT7QGFHQOYSA2TNF5FXHBGR46LLAUIDN4QJ"} {
		for _, who := range []struct {
			name string
			want int
		}{{"", 403}, {"1", 403}, {"reader", 403}, {"refused", 403}, {"down", 403}} {
			resp, body := f.send(t, "GET", "/api/v1/event-type/plan.create/schema", "", "X-Who", who.name, "Authorization", "Bearer "+token)
			if resp.StatusCode != who.want {
				t.Errorf("the schema of the admin's event as %q = %d, want %d: %s", who.name, resp.StatusCode, who.want, body)
			}
			resp, body = f.send(t, "GET", "/api/v1/event-type/plan.create/", "", "X-Who", who.name, "Authorization", "Bearer "+token)
			if resp.StatusCode != 200 || strings.Contains(body, `"schema"`) {
				t.Errorf("the admin's event as %q = %d: %s", who.name, resp.StatusCode, body)
			}
		}
	}
	if n := f.asked.Load(); n > 0 {
		t.Errorf("it was asked %d times who calls", n)
	}
	if n := tokens.found.Load(); n > 0 {
		t.Errorf("%d tokens were looked up", n)
	}
}
