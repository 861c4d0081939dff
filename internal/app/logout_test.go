package app_test

import (
	"net/http"
	"strings"
	"testing"
)

// browser has the cookie of a session, or a copy of it.
func (r *rig) browser(method, api, cookie string, body string) *http.Response {
	r.t.Helper()
	q, err := http.NewRequestWithContext(r.t.Context(), method, api+"/api/v1/session", strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if body != "" {
		q.Header.Set("Content-Type", "application/json")
	}
	if cookie != "" {
		q.AddCookie(&http.Cookie{Name: "rowhook-" + q.URL.Port(), Value: cookie})
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		r.t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

func (r *rig) logIn() string {
	r.t.Helper()
	resp := r.browser("POST", r.api, "", `{"token":"admin-token-0123456789"}`)
	if resp.StatusCode != http.StatusOK || len(resp.Cookies()) != 1 {
		r.t.Fatalf("log in: %d %v", resp.StatusCode, resp.Cookies())
	}
	return resp.Cookies()[0].Value
}

// TestLogOut: a session that was ended at one process is over at all of them and after a restart; while the store does not answer the console goes
// on, but for what was ended at this process.
func TestLogOut(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	stop := r.start()
	active := r.api
	r.start()
	standby := r.api
	gets := func(api, cookie string, want int) {
		t.Helper()
		if resp := r.browser("GET", api, cookie, ""); resp.StatusCode != want {
			t.Errorf("GET at %s = %d, want %d", api, resp.StatusCode, want)
		}
	}
	out := func(api, cookie string, want int) {
		t.Helper()
		if resp := r.browser("DELETE", api, cookie, ""); resp.StatusCode != want || len(resp.Cookies()) != 1 || resp.Cookies()[0].Value != "" {
			t.Errorf("log out = %d %v, want %d", resp.StatusCode, resp.Cookies(), want)
		}
	}
	one, two, three := r.logIn(), r.logIn(), r.logIn()
	out(standby, one, 204)
	gets(standby, one, 401)
	gets(active, one, 401)
	gets(active, two, 200)
	gets(standby, two, 200)

	tx, err := r.conn.Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Exec(t.Context(), `lock table rowhook.ended_session`); err != nil {
		t.Fatal(err)
	}
	gets(active, three, 200) // nobody has ended it
	out(active, two, 503)
	gets(active, two, 401)
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	out(active, two, 204) // who has kept a copy can tell again
	gets(standby, two, 401)

	stop()
	r.start()
	gets(r.api, one, 401)
	gets(r.api, two, 401)
	gets(r.api, three, 200)
}
