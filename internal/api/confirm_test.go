package api_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

const (
	confirmedID = "sub_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	rightValue  = subscriptions.ValuePrefix + "AAAAAAAAAAAAAAAAAAAAAAAAAA"
	wrongValue  = subscriptions.ValuePrefix + "BBBBBBBBBBBBBBBBBBBBBBBBBB"
)

// TestConfirm needs no login, and tells nobody what there is.
func TestConfirm(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	srv := api.New(api.Config{BasePath: "/api/v1", Confirm: func(_ context.Context, id string, value secret.String) error {
		asked.Add(1)
		if id != confirmedID || value.Reveal() != rightValue {
			return subscriptions.ErrNotFound
		}
		return nil
	}}).Handler()
	client := 0
	send := func(from, method, id string, values ...string) *httptest.ResponseRecorder {
		t.Helper()
		r := httptest.NewRequest(method, "/api/v1/subscription/"+id+"/confirm", nil)
		if r.RemoteAddr = from; from == "" {
			client++
			r.RemoteAddr = "[2001:db8:" + strings.Repeat("a", client) + "::1]:1234"
		}
		for _, v := range values {
			r.Header.Add("X-Hook-Secret", v)
		}
		w := httptest.NewRecorder()
		srv.ServeHTTP(w, r)
		return w
	}
	if w := send("", "POST", confirmedID, rightValue); w.Code != 204 || w.Body.Len() != 0 {
		t.Errorf("got %d %s", w.Code, w.Body)
	}
	// What is wrong is one answer.
	other := strings.Replace(confirmedID, "a", "b", 1)
	first := send("", "POST", other, rightValue)
	if first.Code != 404 || asked.Load() != 2 {
		t.Errorf("got %d %s, asked for %d", first.Code, first.Body, asked.Load())
	}
	for _, w := range []*httptest.ResponseRecorder{send("", "POST", confirmedID, wrongValue), send("10.0.0.1:1", "POST", "sub_x", rightValue),
		send("10.0.0.2:1", "POST", strings.Replace(other, "a", "c", 2)), send("10.0.0.3:1", "POST", strings.Replace(other, "a", "d", 2), rightValue, rightValue)} {
		if w.Code != 404 || w.Body.String() != first.Body.String() {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
	}
	if w := send("10.0.0.4:1", "GET", confirmedID, rightValue); w.Code != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", w.Code)
	}

	// One that is asked for too often waits, whoever asks; so does one who asks too often, whatever for; others do not.
	waits := func(send func(n int) *httptest.ResponseRecorder) bool {
		for n := range 50 {
			switch w := send(n); {
			case w.Code == http.StatusTooManyRequests && w.Header().Get("Retry-After") != "":
				return true
			case w.Code != 404:
				t.Errorf("got %d %s", w.Code, w.Body)
			}
		}
		return false
	}
	letter := func(n int) string { return string(rune('a' + n%26)) }
	before := asked.Load()
	if !waits(func(n int) *httptest.ResponseRecorder {
		return send("10.1.0."+string(rune('1'+n%9))+":1", "POST", confirmedID, wrongValue)
	}) {
		t.Error("a subscription can be asked for without end")
	}
	if n := asked.Load() - before; n > 5 {
		t.Errorf("it was looked for %d times", n)
	}
	if !waits(func(n int) *httptest.ResponseRecorder {
		return send("[2001:db8:ffff:ffff::"+letter(n%6)+"]:1", "POST", "sub_"+letter(n)+letter(n/26)+strings.Repeat("x", 24), wrongValue)
	}) {
		t.Error("a client can ask without end")
	}
	if w := send("10.2.0.1:1", "POST", "sub_"+strings.Repeat("y", 26), wrongValue); w.Code != 404 {
		t.Errorf("another client gets %d", w.Code)
	}
}
