package app_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestRequestBlocks: from the API's answer to what arrives, at once, from the store, and after a restart.
func TestRequestBlocks(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.text = strings.Replace(r.text, "api:\n", "app: {url: 'http://127.0.0.1:9', public_url: 'https://api.example.com/v2/'}\napi:\n", 1)
	r.text = strings.Replace(r.text, "    table: notes\n", "    table: notes\n    path: /notes/${id}\n", 1)
	database, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	r.recv.Handle("/thin", hooktest.Sequence(hooktest.Status(500), hooktest.OK()))
	stop := r.start()
	subscribe := func(path string, request client.Request) *client.Subscription {
		t.Helper()
		s, err := r.admin().Create(t.Context(), &client.Subscription{Events: []string{"note.*"}, TargetURL: r.recv.URL(path), Request: request})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	custom := json.RawMessage(`{"z":1.10,"a":"<b>"}`)
	subscribe("/plain", client.Request{})
	subscribe("/thin", client.Request{Format: "thin", CustomData: custom})
	hook := subscribe("/hook", client.Request{Format: "rest_hooks", Method: "PUT", Headers: map[string]string{"x-tenant": "acme"}})
	subscribe("/cloud", client.Request{Format: "cloudevents", Signature: "github", Auth: &client.Auth{Type: "bearer", Token: "t.k"}})
	subscribe("/get", client.Request{Method: "GET", Format: "representation", Signature: "stripe"})
	// What the API shows can be sent back.
	shown, err := r.admin().Get(t.Context(), hook.ID)
	if err != nil || shown.Request.Headers["x-tenant"] != "***" {
		t.Fatalf("shown: %+v, %v", shown, err)
	}
	shown.Name = "renamed"
	if _, err := r.admin().Replace(t.Context(), hook.ID, shown); err != nil {
		t.Fatal(err)
	}
	check := func(note string) {
		t.Helper()
		got := func(path string, n int) hooktest.Request {
			t.Helper()
			var found hooktest.Request
			r.recv.WaitFor(t, func(all []hooktest.Request) bool {
				of := 0
				for _, q := range all {
					if q.Path == path && (strings.Contains(string(q.Body), `"`+note+`"`) || strings.Contains(string(q.Body), `"id":`+note) || strings.Contains(q.Query, "id="+note)) {
						of, found = of+1, q
					}
				}
				return of >= n
			})
			return found
		}
		plain := got("/plain", 1)
		attempts := 1
		if note == "1" {
			attempts = 2 // the first one failed
		}
		thin := got("/thin", attempts)
		if want := `"id":"` + note + `","url":"https://api.example.com/v2/notes/` + note + `","position":"` + plain.Position + `","z":1.10,"a":"<b>"}`; !strings.HasSuffix(string(thin.Body), want) {
			t.Errorf("thin: %s, want %s", thin.Body, want)
		}
		q := got("/hook", 1)
		if want := `{"hook":{"id":"` + hook.ID + `","event":"note.create","target":"` + r.recv.URL("/hook") + `"},"data":{"id":` + note + `,"body":"x"}}`; string(q.Body) != want || q.Method != "PUT" ||
			q.Header.Get("X-Tenant") != "acme" || q.Header.Get("X-Hook-Signature") == "" {
			t.Errorf("rest_hooks: %s %s %v", q.Method, q.Body, q.Header)
		}
		q = got("/cloud", 1)
		if !strings.Contains(string(q.Body), `"source":"/rowhook`+database.Path+`"`) || q.Header.Get("Authorization") != "Bearer t.k" || q.Header.Get("X-Hub-Signature-256") == "" {
			t.Errorf("cloudevents: %s %v", q.Body, q.Header)
		}
		q = got("/get", 1)
		if q.Query != "id="+note+"&body=x" || q.Header.Get("Stripe-Signature") == "" {
			t.Errorf("GET: %s %v", q.Query, q.Header)
		}
	}
	r.exec(`insert into notes values (1, 'x')`)
	check("1")
	stop()
	defer r.start()()
	r.exec(`insert into notes values (2, 'x')`)
	check("2")
}
