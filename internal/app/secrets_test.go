package app_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/seal"
)

// TestSecretsAreSeenNowhere looks for what nobody may see in the log, in every answer, in the metrics, and in every table of
// the store, while deliveries succeed and fail.
func TestSecretsAreSeenNowhere(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.recv.Handle("/fails/path-is-secret", hooktest.Always(hooktest.Status(500)))
	key := seal.NewKey().Reveal()
	r.text = strings.Replace(r.text, "api:\n", "store: {encryption_key: '"+key+"'}\napi:\n", 1)
	stop := r.start()
	password := "hunter2-password"
	secrets := []string{password, key, r.admin().Token, "path-is-secret", "hunter2-header", "hunter2-auth"}
	request := client.Request{Headers: map[string]string{"x-key": "hunter2-header"}, Auth: &client.Auth{Type: "header", Name: "x-login", Value: "hunter2-auth"}}
	var answers []string
	for _, path := range []string{"/works/path-is-secret", "/fails/path-is-secret"} {
		target := strings.Replace(r.recv.URL(path), "://", "://user:"+password+"@", 1)
		s, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"contact.*"}, TargetURL: target, Request: request})
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
