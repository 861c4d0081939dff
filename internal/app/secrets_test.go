package app_test

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/seal"
)

// TestSecretsAreSeenNowhere looks for what nobody may see in the log, in every answer, in the metrics, and in every table of
// the store, while deliveries succeed and fail.
func TestSecretsAreSeenNowhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.level = slog.LevelDebug
	r.recv.Handle("/fails/path-is-secret", hooktest.Always(hooktest.Status(500)))
	r.recv.Handle("/falls/path-is-secret", hooktest.Always(hooktest.Status(500)))
	key := seal.NewKey().Reveal()
	r.text = strings.Replace(r.text, "api:\n", "store: {encryption_key: '"+key+"'}\napi:\n", 1)
	stop := r.start()
	password := "hunter2-password"
	secrets := []string{password, key, r.admin().Token, "path-is-secret", "hunter2-header", "hunter2-auth"}
	request := client.Request{Headers: map[string]string{"x-key": "hunter2-header"}, Auth: &client.Auth{Type: "header", Name: "x-login", Value: "hunter2-auth"}}
	var answers []string
	for _, path := range []string{"/works/path-is-secret", "/fails/path-is-secret"} {
		target := strings.Replace(r.recv.URL(path), "://", "://user:"+password+"@", 1)
		s, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, TargetURL: target, Request: request,
			Delivery: client.Delivery{Retries: &client.Retries{Count: 1}, FallbackURL: strings.Replace(r.recv.URL("/falls/path-is-secret"), "://", "://user:"+password+"@", 1)}})
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(s.Secret, "whsec_") {
			t.Fatalf("the secret that was made is %q", s.Secret)
		}
		secrets = append(secrets, s.Secret)
		s.Secret = ""
		shown, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		// Its owner may see where it goes, but for the password.
		answers = append(answers, strings.ReplaceAll(string(shown), "path-is-secret", ""))
	}
	r.insertContact(1, 1)
	got := r.recv.WaitFor(t, arrived("/works/path-is-secret", "contact/1", 1))[0]
	if got.Header.Get("X-Key") != "hunter2-header" || got.Header.Get("X-Login") != "hunter2-auth" {
		t.Errorf("sent with %v", got.Header)
	}
	r.recv.WaitFor(t, arrived("/fails/path-is-secret", "contact/1", 2))
	r.recv.WaitFor(t, arrived("/falls/path-is-secret", "contact/1", 1))
	eventually(t, "a delivery is counted that went to a fallback", func() bool { return r.metric("rowhook_fallbacks_total") == 1 })
	for _, path := range []string{"/metrics", "/readyz", "/healthz", "/api/v1/event-type/", "/api/v1/subscription/nothing"} {
		resp, err := http.Get(r.api + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, string(body))
	}
	// What has become of it, as it is shown: the request of a delivery tells its owner where it goes, too.
	from, deliveries := time.Now().Add(-time.Hour), 0
	for s, err := range r.admin().List(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		for d, err := range r.admin().Deliveries(t.Context(), s.ID, client.DeliveryFilter{}) {
			if err != nil {
				t.Fatal(err)
			}
			if d, err = r.admin().GetDelivery(t.Context(), d.ID); err != nil || d.Request == nil || len(d.Request.Headers) == 0 {
				t.Fatalf("%+v, %v", d, err)
			}
			deliveries++
			shown, err := json.Marshal(d)
			if err != nil {
				t.Fatal(err)
			}
			answers = append(answers, strings.ReplaceAll(string(shown), "path-is-secret", ""))
		}
		j, err := r.admin().Replay(t.Context(), s.ID, client.Replay{From: &from, State: client.ReplayAll})
		if err != nil {
			t.Fatal(err)
		}
		shown, err := json.Marshal(r.jobEnds(j.ID))
		if err != nil {
			t.Fatal(err)
		}
		answers = append(answers, string(shown), r.fetched("/api/v1/subscription/"+s.ID+"/event/"))
	}
	answers = append(answers, r.fetched("/api/v1/event/"))
	if deliveries == 0 {
		t.Error("no delivery was looked at")
	}
	rows, err := r.conn.Query(t.Context(), `select relname::text from pg_class where relnamespace = 'rowhook'::regnamespace and relkind in ('r', 'p')`)
	if err != nil {
		t.Fatal(err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		tables = append(tables, name)
	}
	for _, table := range tables {
		answers = append(answers, table+": "+r.text1(`select coalesce(string_agg(x::text, ' '), '') from rowhook.`+table+` x`))
	}
	stop()
	answers = append(answers, r.log.String())
	for _, text := range answers {
		for _, secret := range secrets {
			if at := strings.Index(text, secret); at >= 0 {
				t.Errorf("%q is seen in %q", secret, text[max(0, at-200):at+len(secret)])
			}
		}
	}
	if len(tables) < 8 {
		t.Errorf("only the tables %v were looked at", tables)
	}
}

// fetched is the answer to a GET of the admin's.
func (r *rig) fetched(path string) string {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), http.MethodGet, r.api+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+r.admin().Token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		r.t.Fatalf("%s: %s %s, %v", path, resp.Status, body, err)
	}
	return string(body)
}
