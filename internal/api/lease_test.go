package api_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
)

// TestLeaseIsRenewed: 200 and the same id, without the secret; also with an Idempotency-Key. One account does not renew
// another's.
func TestLeaseIsRenewed(t *testing.T) {
	t.Parallel()
	b := start(t)
	body := func(end time.Time, more string) string {
		return `{"events":["contact.create"],"target_url":"https://example.com/h","expires_at":"` + end.Format(time.RFC3339) + `"` + more + `}`
	}
	end := time.Now().Add(time.Hour).UTC()
	r, text := b.do(t, "POST", "/api/v1/subscription/", tokenOne, "application/json", body(end, ""))
	if r.StatusCode != 201 || !strings.Contains(text, `"secret":"whsec_`) || !strings.Contains(text, `"expires_at":"`+end.Format(time.RFC3339)) {
		t.Fatalf("%d %s", r.StatusCode, text)
	}
	at := r.Header.Get("Location")
	end = end.Add(time.Hour)
	r, text = b.do(t, "POST", "/api/v1/subscription/", tokenOne, "application/json", body(end, `,"name":"not changed"`))
	if r.StatusCode != 200 || strings.Contains(text, "whsec_") || strings.Contains(text, "not changed") || !strings.Contains(text, end.Format(time.RFC3339)) ||
		r.Header.Get("Location") != at || r.Header.Get("ETag") != `"2"` {
		t.Errorf("renewed: %d %v %s", r.StatusCode, r.Header, text)
	}
	secret := `,"secret":"whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"`
	if r, text := b.do(t, "POST", "/api/v1/subscription/", tokenOne, "application/json", body(end, secret)); r.StatusCode != 422 || !strings.Contains(text, `"field":"secret"`) {
		t.Errorf("with another secret: %d %s", r.StatusCode, text)
	}
	if r, text := b.do(t, "POST", "/api/v1/subscription/", tokenTwo, "application/json", body(end, secret)); r.StatusCode != 201 || r.Header.Get("Location") == at {
		t.Errorf("of another account: %d %s", r.StatusCode, text)
	}
	if r, text := b.do(t, "POST", "/api/v1/subscription/", tokenTwo, "application/json", body(end, secret)); r.StatusCode != 200 || strings.Contains(text, "whsec_") {
		t.Errorf("with its secret: %d %s", r.StatusCode, text)
	}
}

// TestActionsThatDoNotFit are a 409 that says what to do.
func TestActionsThatDoNotFit(t *testing.T) {
	t.Parallel()
	b := start(t)
	c := b.client(tokenOne)
	end := time.Now().Add(time.Hour)
	s, err := c.Create(t.Context(), &client.Subscription{Events: []string{"contact.create"}, FeedOnly: true, ExpiresAt: &end, State: "shadow"})
	if err != nil || !s.FeedOnly || s.State != "shadow" || s.Secret == "" {
		t.Fatalf("%+v, %v", s, err)
	}
	conflict := func(what string, err error, detail string) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), "409 Conflict: ") || !strings.Contains(err.Error(), detail) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = c.Ping(t.Context(), s.ID)
	conflict("ping", err, "Give it a target_url")
	if s, err = c.Replace(t.Context(), s.ID, s); err != nil || !s.FeedOnly || s.ExpiresAt == nil {
		t.Errorf("what was got, put: %+v, %v", s, err)
	}
	b.repository.mu.Lock()
	held := b.repository.byID[s.ID]
	held.ExpiresAt = time.Now().Add(-time.Second)
	held.Expire()
	b.repository.mu.Unlock()
	_, err = c.Enable(t.Context(), s.ID)
	conflict("enable", err, "PATCH its expires_at")
	if got, err := c.Disable(t.Context(), s.ID, ""); err != nil || got.State != "expired" {
		t.Errorf("disable: %+v, %v", got, err)
	}
}

// TestImportIsForTheAdmin, and takes over what it is given, once.
func TestImportIsForTheAdmin(t *testing.T) {
	t.Parallel()
	b := start(t)
	one := `{"id":"ep_1","account":"1","events":["contact.create"],"target_url":"https://example.com/h","state":"disabled","created_at":"2024-05-06T07:08:09Z"}`
	post := func(token, path, body string) (*http.Response, string) {
		t.Helper()
		return b.do(t, "POST", "/api/v1/subscription/import"+path, token, "application/json", body)
	}
	for _, token := range []string{tokenOne, ""} {
		if r, text := post(token, "", one); r.StatusCode != 403 && r.StatusCode != 401 {
			t.Errorf("%q: %d %s", token, r.StatusCode, text)
		}
	}
	for _, c := range []struct {
		path, body string
		status     int
		want       string
	}{
		{"?dry_run=true", one, 200, `{"id":"ep_1","result":"made","dry_run":true}`},
		{"", one, 201, `"result":"made","secret":"whsec_`},
		{"/", one, 200, `{"id":"ep_1","result":"present","dry_run":false}`},
		{"?dry_run=1", one, 200, `"result":"present"`},
		{"", strings.Replace(one, "/h", "/other", 1), 409, `{"field":"target_url","detail":"is another one here"}`},
		{"?dry_run=true", strings.Replace(one, `"1"`, `"2"`, 1), 409, `{"field":"account","detail":"is another one here"}`},
		{"", strings.Replace(one, "ep_1", "ep 1", 1), 422, `"field":"id"`},
		{"", strings.Replace(one, `"disabled"`, `"expired"`, 1), 422, `"field":"state"`},
		{"?dry_run=perhaps", one, 400, `dry_run is neither true nor false`},
		{"?dry=1", one, 400, `dry is not a parameter`},
		{"", `[]`, 400, `the body is a list`},
	} {
		if r, text := post(tokenAdmin, c.path, c.body); r.StatusCode != c.status || !strings.Contains(text, c.want) {
			t.Errorf("%s %s: %d %s, want %d %s", c.path, c.body, r.StatusCode, text, c.status, c.want)
		}
	}
	got, err := b.client(tokenOne).Get(t.Context(), "ep_1")
	if err != nil || got.State != "disabled" || got.DisabledReason.By != "import" || got.CreatedAt.Format(time.RFC3339) != "2024-05-06T07:08:09Z" {
		t.Errorf("%+v, %v", got, err)
	}
	if r, _ := b.do(t, "GET", "/api/v1/subscription/import", tokenAdmin, "", ""); r.StatusCode != 405 {
		t.Errorf("GET: %d", r.StatusCode)
	}
}
