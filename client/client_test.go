package client_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/client"
)

// serve answers every request with h.
func serve(t *testing.T, h http.HandlerFunc) *client.Client {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return &client.Client{URL: s.URL + "/api/v1/", Token: "hunter2"}
}

func TestTokenStaysOnItsHost(t *testing.T) {
	t.Parallel()
	stranger := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		t.Errorf("the stranger gets %s with %q", r.URL, r.Header.Get("Authorization"))
	}))
	t.Cleanup(stranger.Close)
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer hunter2" {
			t.Errorf("%s has Authorization %q", r.URL, r.Header.Get("Authorization"))
		}
		if r.Method == http.MethodDelete {
			http.Redirect(w, r, stranger.URL, http.StatusTemporaryRedirect)
			return
		}
		w.Header().Set("Link", `<`+stranger.URL+`/x>; rel="next"`)
		io.WriteString(w, `[{"id":"sub_1"}]`)
	})
	var ids []string
	var last error
	for s, err := range c.List(t.Context()) {
		if last = err; err == nil {
			ids = append(ids, s.ID)
		}
	}
	if len(ids) != 1 || last == nil || !strings.Contains(last.Error(), "another host") {
		t.Errorf("got %v, %v", ids, last)
	}
	var e *client.Error
	if err := c.Delete(t.Context(), "sub_1"); !errors.As(err, &e) || e.Status != http.StatusTemporaryRedirect {
		t.Errorf("a redirect: %v", err)
	}
}

func TestAnswersOfOthersAreErrors(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			io.WriteString(w, "<html>")
			return
		}
		http.Error(w, "nginx", http.StatusBadGateway)
	})
	if _, err := c.Get(t.Context(), "sub_1"); err == nil || !strings.Contains(err.Error(), "base path") {
		t.Errorf("HTML: %v", err)
	}
	var e *client.Error
	if err := c.Delete(t.Context(), "sub_1"); !errors.As(err, &e) || e.Status != 502 || e.Title != "Bad Gateway" {
		t.Errorf("502: %v", err)
	}
}

func TestWrongUseSendsNothing(t *testing.T) {
	t.Parallel()
	c := serve(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("sent %s %s", r.Method, r.URL) })
	for _, id := range []string{"", ".", ".."} {
		if err := c.Delete(t.Context(), id); err == nil {
			t.Errorf("Delete(%q) succeeds", id)
		}
	}
	for _, url := range []string{"", "localhost", "://"} {
		c := &client.Client{URL: url}
		if _, err := c.Get(t.Context(), "sub_1"); err == nil {
			t.Errorf("with URL %q, Get succeeds", url)
		}
		if _, err := c.Ready(t.Context()); err == nil {
			t.Errorf("with URL %q, Ready succeeds", url)
		}
	}
}

func TestIDsAreEscaped(t *testing.T) {
	t.Parallel()
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if got := r.URL.EscapedPath(); got != "/api/v1/subscription/a%2Fb%3F/" {
			t.Errorf("path %q", got)
		}
		w.WriteHeader(http.StatusNoContent)
	})
	if err := c.Delete(t.Context(), "a/b?"); err != nil {
		t.Error(err)
	}
}

func TestRetriesKeepTheirForm(t *testing.T) {
	t.Parallel()
	for _, text := range []string{`{"retries":0}`, `{"retries":3}`, `{"retries":[]}`, `{"retries":["5s"]}`, `{}`} {
		var d client.Delivery
		if err := json.Unmarshal([]byte(text), &d); err != nil {
			t.Fatal(err)
		}
		if got, err := json.Marshal(d); err != nil || string(got) != text {
			t.Errorf("%s becomes %s, %v", text, got, err)
		}
	}
}
