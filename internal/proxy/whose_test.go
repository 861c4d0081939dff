package proxy

import (
	"net/http"
	"strings"
	"testing"
)

// TestWhose is who answers a path, and that none is ours for one and the application's for the other.
func TestWhose(t *testing.T) {
	t.Parallel()
	app := startRaw(t)
	f := start(t, app.addr)
	for _, tt := range []struct {
		target string
		want   owner
	}{
		{"/api/v1/subscription", ours},
		{"/api/v1/subscription/", ours},
		{"/api/v1/subscription?limit=1;2%2F", ours},
		{"/api/v1/subscription/sub_1/ping", ours},
		{"/api/v1/subscription/x%20y", ours},
		{"http://other.example/api/v1/subscription/", ours},

		{"/", theirs},
		{"/api/v1/contacts", theirs},
		{"/api/v1/subscriptions", theirs},
		{"/api/v1/subscription.json", theirs},
		{"/API/v1/subscription", theirs},
		{"/healthz", theirs},
		{"/a/..%2f..%2Fb//c;d\\e#f", theirs},
		{"/contacts?next=/../api/v1/subscription", theirs},
		{"http://other.example/contacts", theirs},

		{"/api/v1/subscription/../contacts", doubtful},
		{"/api/v1/subscription/..", doubtful},
		{"/api/v1/subscription/sub_1/../../contacts", doubtful},
		{"/api/v1/subscription/..%2fcontacts", doubtful},
		{"/api/v1/subscription/%2e%2e/contacts", doubtful},
		{"/api/v1/subscription/%2E./contacts", doubtful},
		{"/api/v1/subscription/..\\contacts", doubtful},
		{"/api/v1/subscription/..%5Ccontacts", doubtful},
		{"/api/v1/subscription/..;a=b/contacts", doubtful},
		{"/api/v1/subscription/%2e%2e;/contacts", doubtful},
		{"/x/../api/v1/subscription", doubtful},
		{"/./api/v1/subscription/", doubtful},
		{"//api/v1/subscription/", doubtful},
		{"/api//v1/subscription", doubtful},
		{"/api/v1/%73ubscription", doubtful},
		{"/api/v1%2Fsubscription", doubtful},
		{"/api%2fv1/subscription/sub_1", doubtful},
		{"/api/v1\\subscription", doubtful},
		{"/api/v1/subscription;a=b", doubtful},
		{"/api/v1\\subscription;a=b", doubtful},
		{"/api;x/v1/subscription/", doubtful},
		{"/api/v1/subscription#a", doubtful},
		{"/api/v1/subscription%23a", doubtful},
		{"http://other.example/api/v1/subscription/../contacts", doubtful},
	} {
		answer := ask(t, f.addr, "GET "+tt.target+" HTTP/1.1\r\nHost: a\r\n\r\n")
		got := theirs
		switch {
		case strings.Contains(answer, "By: api\r\n"):
			got = ours
		case strings.HasPrefix(answer, "HTTP/1.1 400 "):
			got = doubtful
			if !strings.Contains(answer, "application/problem+json") || !strings.Contains(answer, "two ways") {
				t.Errorf("%s: answered %q", tt.target, answer)
			}
		case !strings.HasPrefix(answer, "HTTP/1.1 204 "):
			t.Errorf("%s: answered %q", tt.target, answer)
		default:
			app.next(t)
		}
		if got != tt.want {
			t.Errorf("%s: %d, want %d", tt.target, got, tt.want)
		}
	}
	select {
	case got := <-app.got:
		t.Errorf("the application got a request that was not its: %q", got)
	default:
	}
}

// FuzzWhose looks for a path that the application gets though some usual reading of it is ours.
func FuzzWhose(f *testing.F) {
	for _, s := range []string{"/a", "/api/v1/subscription", "/x/%2e%2e/api/v1/subscription", `/api\v1;a/subscription`} {
		f.Add(s)
	}
	p := New(Config{Ours: isOurs})
	f.Fuzz(func(t *testing.T, target string) {
		r, err := http.NewRequest("GET", "http://a", nil)
		if err != nil {
			t.Fatal(err)
		}
		u, err := r.URL.Parse(target)
		if err != nil || !strings.HasPrefix(target, "/") || strings.HasPrefix(target, "//") || strings.ContainsAny(target, "?#") {
			return
		}
		r.URL, r.RequestURI = u, target
		who := p.whose(r)
		// http.ServeMux and most routers see this.
		if routed := isOurs(clean(u.Path)); routed && who == theirs || !routed && who == ours {
			t.Errorf("%q: %d, but a router reads %q", target, who, clean(u.Path))
		}
	})
}
