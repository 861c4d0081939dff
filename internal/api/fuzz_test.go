package api_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
)

// seeds are bodies that go wrong, and some that do not.
var seeds = []string{
	``, `{}`, `[]`, `null`, `{`, `{"a":{"a":{"a":[]}}}`, "\xff", `{"name":"a","name":"b"}`, `{"nmae":"x"}`, `{"state":["active"]}`,
	`{"event":"*","target_url":"https://example.com/"}`, `{"events":["contact.create","contact.*"],"target_url":"https://u:p@example.com:8443/h?a=b#c","name":"x","metadata":{"a":"b"}}`,
	`{"events":["plan.create"],"target_url":"http://127.0.0.1/"}`, `{"delivery":{"retries":["5s",5],"timeout":"1ns","ordering":"x","max_in_flight":1e3}}`,
	`{"delivery":{"retries":2,"timeout":null}}`, `{"resource_id":-0}`, `{"resource_id":42}`, `{"ignore_sources":["a","a",""]}`, `{"secret":"whsec_"}`, `{"account":"2"}`, `{"account":null}`,
	`{"target_url":"https://***@example.com/h"}`, `{"metadata":{"a":null,"":"x"}}`, "{\"name\":\"\\u0000\"}", `{"keep_old":"1h","secret":5}`, `{"reason":"x"}`,
	`{"request":{"format":"standard"},"filter":null}`, `{"accept_gap":true}`, `{"all":true,"ids":["x"]}`, `{"account":"*","read_only":true,"expires_in":"1h"}`,
}

// FuzzBodies sends a body to every route that takes one, as a customer and as the admin: no answer is a 5xx, each is as the
// document says, a 422 names its fields, what is refused changes nothing, and what GET shows of what was taken can be PUT back
// without a change.
func FuzzBodies(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed), false)
		f.Add([]byte(seed), true)
	}
	b := start(f, whole)
	contract, handler := contractOf(f, b.server.Document()), b.server.Handler()
	f.Fuzz(func(t *testing.T, body []byte, admin bool) {
		token := tokenOne
		if admin {
			token = tokenAdmin
		}
		send := func(method, path, body string) *httptest.ResponseRecorder {
			r := httptest.NewRequestWithContext(t.Context(), method, "/api/v1"+path, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer "+token)
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			resp := w.Result()
			// What a body may be is told more strictly than it is read: read-only members of a PUT may be anything.
			if err := contract.exchange(r, nil, resp, w.Body.Bytes()); err != nil {
				t.Fatalf("%s %s %q = %d is not as the document says: %v\n%s", method, path, body, w.Code, err, w.Body)
			}
			if w.Code >= 500 || w.Code == http.StatusNotFound || w.Code == http.StatusMethodNotAllowed {
				t.Fatalf("%s %s %q = %d %s", method, path, body, w.Code, w.Body)
			}
			if w.Code == http.StatusUnprocessableEntity {
				var p client.Problem
				if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || len(p.Errors) == 0 {
					t.Fatalf("%s %s %q names no field: %s", method, path, body, w.Body)
				}
			}
			return w
		}
		var own client.Subscription
		if err := json.Unmarshal(send("POST", "/subscription/", wanted).Body.Bytes(), &own); err != nil {
			t.Fatal(err)
		}
		for _, route := range []struct{ method, path string }{
			{"PUT", "/subscription/" + own.ID + "/"}, {"PATCH", "/subscription/" + own.ID + "/"}, {"POST", "/subscription/" + own.ID + "/disable"},
			{"POST", "/subscription/" + own.ID + "/rotate-secret"}, {"POST", "/subscription/" + own.ID + "/enable"}, {"POST", "/subscription/" + own.ID + "/ping"},
		} {
			before := send("GET", "/subscription/"+own.ID+"/", "")
			w := send(route.method, route.path, string(body))
			after := send("GET", "/subscription/"+own.ID+"/", "")
			if w.Code >= 400 && (after.Body.String() != before.Body.String() || after.Header().Get("ETag") != before.Header().Get("ETag")) {
				t.Fatalf("%s %s refused %q, and changed\n%s to\n%s", route.method, route.path, body, before.Body, after.Body)
			}
			unchanged(t, send, own.ID)
		}
		send("DELETE", "/subscription/"+own.ID+"/", "")
		for _, path := range []string{"/subscription/", "/token/", "/resume", "/dead-letter/replay"} {
			n := strings.Count(send("GET", "/subscription/?limit=1000", "").Body.String(), `"id"`)
			w := send("POST", path, string(body))
			made := 0
			if path == "/subscription/" && w.Code == http.StatusCreated {
				made = 1
				var s client.Subscription
				if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
					t.Fatal(err)
				}
				unchanged(t, send, s.ID)
				defer send("DELETE", "/subscription/"+s.ID+"/", "")
			}
			if now := strings.Count(send("GET", "/subscription/?limit=1000", "").Body.String(), `"id"`); now != n+made {
				t.Fatalf("POST %s %q = %d makes %d subscriptions", path, body, w.Code, now-n)
			}
		}
	})
}

// unchanged puts what GET shows back.
func unchanged(t *testing.T, send func(method, path, body string) *httptest.ResponseRecorder, id string) {
	t.Helper()
	path := "/subscription/" + id + "/"
	shown := send("GET", path, "").Body.String()
	if w := send("PUT", path, shown); w.Code != http.StatusOK || withoutTime(t, w.Body.String()) != withoutTime(t, shown) {
		t.Fatalf("PUT of what GET shows: %d\n%s\nwas\n%s", w.Code, w.Body, shown)
	}
}

// withoutTime is a subscription without the time of its last change.
func withoutTime(t *testing.T, text string) string {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(text), &m); err != nil {
		t.Fatal(err)
	}
	delete(m, "updated_at")
	b, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}
