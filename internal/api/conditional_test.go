package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
)

// with sends a request with headers, given as name and value in turns.
func (b *bench) with(t *testing.T, method, path, body string, headers ...string) *http.Response {
	t.Helper()
	req := httptest.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	req.RequestURI = ""
	req.Header.Set("Authorization", "Bearer "+tokenOne)
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := b.transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

func subscriptionIn(t *testing.T, resp *http.Response) *client.Subscription {
	t.Helper()
	s := new(client.Subscription)
	if err := json.NewDecoder(resp.Body).Decode(s); err != nil {
		t.Fatal(err)
	}
	return s
}

const wanted = `{"events": ["contact.create"], "target_url": "https://example.com/h"}`

// TestChangesCanDependOnWhatWasRead: of two who read the same, one changes it, and the other one is told.
func TestChangesCanDependOnWhatWasRead(t *testing.T) {
	t.Parallel()
	b := start(t)
	made := b.with(t, "POST", "/api/v1/subscription/", wanted)
	path := made.Header.Get("Location")
	tag := b.with(t, "GET", path, "").Header.Get("ETag")
	if tag == "" || tag != made.Header.Get("ETag") || tag[0] != '"' {
		t.Fatalf("the tags are %q and %q", made.Header.Get("ETag"), tag)
	}
	if resp := b.with(t, "GET", path, "", "If-None-Match", `"x", W/`+tag); resp.StatusCode != 304 || resp.Header.Get("ETag") != tag {
		t.Errorf("reading what is known: %s", resp.Status)
	}
	steps := []struct {
		method, path, body, match string
		status                    int
		changes                   bool
	}{
		{"PATCH", path, `{"name": "a"}`, tag, 200, true},
		{"PATCH", path, `{"name": "b"}`, tag, 412, false},
		{"PUT", path, wanted, tag, 412, false},
		{"DELETE", path, "", tag, 412, false},
		{"POST", path + "disable", "", tag, 412, false},
		{"POST", path + "rotate-secret", "", tag, 412, false},
		{"PATCH", path, `{"name": "c"}`, `"x", "2"`, 200, true},
		{"PUT", path, wanted, `W/"3"`, 412, false},
		{"PUT", path, wanted, `*`, 200, true},
		{"POST", path + "disable", "", `"4"`, 200, true},
		{"DELETE", path, "", `"5"`, 204, true},
		{"DELETE", path, "", `"5"`, 404, false},
	}
	for _, s := range steps {
		resp := b.with(t, s.method, s.path, s.body, "If-Match", s.match)
		if resp.StatusCode != s.status {
			t.Fatalf("%s with If-Match %s: %s", s.method, s.match, resp.Status)
		}
		now := resp.Header.Get("ETag")
		if s.status == 200 || s.status == 412 {
			if changed := now != tag; now == "" || s.changes != changed && s.status == 200 {
				t.Errorf("%s: the tag was %s and is %s", s.method, tag, now)
			}
			tag = now
		}
	}
}

// TestARequestCanBeRepeated: the answer to it was lost, or not.
func TestARequestCanBeRepeated(t *testing.T) {
	t.Parallel()
	b := start(t)
	first := b.with(t, "POST", "/api/v1/subscription/", wanted, "Idempotency-Key", "3b1c")
	again := b.with(t, "POST", "/api/v1/subscription/", wanted, "Idempotency-Key", `"3b1c"`)
	one, two := subscriptionIn(t, first), subscriptionIn(t, again)
	if first.StatusCode != 201 || again.StatusCode != 201 || one.ID != two.ID || one.Secret == "" || one.Secret != two.Secret {
		t.Errorf("%s %s, then %s %s", first.Status, one.ID, again.Status, two.ID)
	}
	for _, c := range []struct {
		body, key string
		status    int
	}{
		{wanted + " ", "3b1c", 422},
		{wanted, "3b1d", 201},
		{wanted, "", 400},
		{wanted, strings.Repeat("x", 256), 400},
		{wanted, "ä", 400},
	} {
		if resp := b.with(t, "POST", "/api/v1/subscription/", c.body, "Idempotency-Key", c.key); resp.StatusCode != c.status {
			t.Errorf("with the key %q: %s, want %d", c.key, resp.Status, c.status)
		}
	}
	if resp := b.with(t, "POST", "/api/v1/subscription/", wanted, "Idempotency-Key", "a", "Idempotency-Key", "b"); resp.StatusCode != 400 {
		t.Errorf("with two keys: %s", resp.Status)
	}
}

// TestListFilters asks for a part, page by page.
func TestListFilters(t *testing.T) {
	t.Parallel()
	b := start(t)
	c := b.client(tokenOne)
	var want []string
	for _, name := range []string{"red 1", "blue 1", "red 2", "Red 3"} {
		s, err := c.Create(t.Context(), &client.Subscription{Events: []string{"contact.create"}, TargetURL: "https://example.com/h", Name: name})
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(strings.ToLower(name), "red") {
			want = append(want, s.ID)
		}
	}
	var got []string
	for s, err := range c.Select(t.Context(), client.Filter{Name: "RED", Event: "contact.create", State: "active", TargetHost: "example.com"}) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, s.ID)
	}
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got %v, want %v", got, want)
	}
	resp := b.with(t, "GET", "/api/v1/subscription/?limit=2&name=red", "")
	if link := resp.Header.Get("Link"); !strings.Contains(link, "name=red") || !strings.Contains(link, "limit=2") {
		t.Errorf("the next page is %s", link)
	}
	for query, field := range map[string]string{"state=off": "state", "nmae=x": "nmae", "limit=0": "limit", "name=a&name=b": "name"} {
		resp, body := b.do(t, "GET", "/api/v1/subscription/?"+query, tokenOne, "", "")
		if resp.StatusCode != 400 || !strings.Contains(body, `"field":"`+field+`"`) {
			t.Errorf("%s: %s %s", query, resp.Status, body)
		}
	}
}

// TestActions stops a subscription, lets it go on, and rotates its secret.
func TestActions(t *testing.T) {
	t.Parallel()
	b := start(t)
	c := b.client(tokenOne)
	made := make1(t, c)
	off, err := c.Disable(t.Context(), made.ID, "we are moving")
	if err != nil || off.State != "disabled" || off.DisabledReason == nil || off.DisabledReason.By != "account" || off.DisabledReason.Reason != "we are moving" {
		t.Fatalf("disabled: %+v, %v", off, err)
	}
	again, err := b.client(tokenAdmin).Disable(t.Context(), made.ID, "other")
	if err != nil || again.DisabledReason.Reason != "we are moving" {
		t.Errorf("disabled twice: %+v, %v", again, err)
	}
	for range 2 {
		if on, err := c.Enable(t.Context(), made.ID); err != nil || on.State != "active" || on.DisabledReason != nil || on.Secret != "" {
			t.Errorf("enabled: %+v, %v", on, err)
		}
	}
	held := func() []string {
		s, err := b.repository.Get(t.Context(), subscriptionsAdmin, made.ID)
		if err != nil {
			t.Fatal(err)
		}
		var secrets []string
		for i, x := range s.Secrets {
			if i == 0 != x.Until.IsZero() {
				t.Errorf("secret %d signs until %s", i, x.Until)
			}
			if in := time.Until(x.Until); i > 0 && (in < 0 || in > 24*time.Hour) {
				t.Errorf("secret %d signs for %s", i, in)
			}
			secrets = append(secrets, x.Secret.Reveal())
		}
		return secrets
	}
	secrets := []string{made.Secret}
	for range 3 {
		s, err := c.RotateSecret(t.Context(), made.ID, client.Rotation{})
		if err != nil || !strings.HasPrefix(s.Secret, "whsec_") {
			t.Fatalf("rotated: %+v, %v", s, err)
		}
		secrets = append([]string{s.Secret}, secrets...)
		if got, want := strings.Join(held(), " "), strings.Join(secrets[:min(3, len(secrets))], " "); got != want {
			t.Errorf("these sign: %s, want %s", got, want)
		}
	}
	own := "whsec_MTIzNDU2Nzg5MGFiY2RlZmdoaWprbG1ub3BxcnN0dXY="
	if s, err := c.RotateSecret(t.Context(), made.ID, client.Rotation{Secret: own, KeepOld: "0s"}); err != nil || s.Secret != own || len(held()) != 1 {
		t.Errorf("rotated at once: %+v, %v", s, err)
	}
	for body, field := range map[string]string{
		`{"secret": "` + own + `"}`: "secret", `{"secret": "short"}`: "secret", `{"keep_old": "1000h"}`: "keep_old", `{"keep_odl": "1h"}`: "keep_odl",
	} {
		resp, text := b.do(t, "POST", "/api/v1/subscription/"+made.ID+"/rotate-secret", tokenOne, "application/json", body)
		if resp.StatusCode != 422 || !strings.Contains(text, `"field":"`+field+`"`) || strings.Contains(text, own) {
			t.Errorf("%s: %s %s", body, resp.Status, text)
		}
	}
	if resp, text := b.do(t, "POST", "/api/v1/subscription/"+made.ID+"/disable", tokenOne, "application/json", `{"reason": 7}`); resp.StatusCode != 422 {
		t.Errorf("%s %s", resp.Status, text)
	}
}
