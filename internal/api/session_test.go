package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/subscriptions"
)

var sessionKeys = newSessionKeys()

func newSessionKeys() *seal.Keys {
	k, err := seal.New(seal.NewKey())
	if err != nil {
		panic(err)
	}
	return k
}

// logInOften uses up what a client may try.
func (b *bench) logInOften(t testing.TB) {
	t.Helper()
	for range 100 {
		if resp, _ := b.do(t, "POST", "/api/v1/session", "", "application/json", `{"token":"none"}`); resp.StatusCode == http.StatusTooManyRequests {
			return
		}
	}
	t.Error("a hundred log-ins of one client are let through")
}

// logIn returns the cookie of a session.
func (b *bench) logIn(t testing.TB, token string) *http.Cookie {
	t.Helper()
	resp, body := b.do(t, "POST", "/api/v1/session", "", "application/json", fmt.Sprintf(`{"token":%q}`, token))
	if resp.StatusCode != http.StatusOK || len(resp.Cookies()) != 1 {
		t.Fatalf("log in: %d %s %v", resp.StatusCode, body, resp.Cookies())
	}
	return resp.Cookies()[0]
}

// host is where it listens, as a browser names it, and cookieName what its sessions' cookies are called.
func (b *bench) host() string { return strings.TrimPrefix(b.url, "http://") }
func (b *bench) cookieName() string {
	return "rowhook-" + b.host()[strings.LastIndex(b.host(), ":")+1:]
}

func with(c *http.Cookie, more ...string) map[string]string {
	h := map[string]string{"Cookie": c.Name + "=" + c.Value}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = more[i+1]
	}
	return h
}

func TestSession(t *testing.T) {
	t.Parallel()
	b := start(t, whole)
	for token, want := range map[string]client.Session{
		tokenAdmin: {Role: "admin", Name: "ops"},
		tokenOne:   {Role: "account", Account: new("1"), Name: "one"},
	} {
		c := b.logIn(t, token)
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Domain != "" || c.Secure || c.Name != b.cookieName() || c.MaxAge < 11*3600 {
			t.Errorf("the cookie is %+v", c)
		}
		if strings.Contains(c.Value, token) || strings.Contains(b.log.String(), token) || strings.Contains(b.log.String(), c.Value) {
			t.Errorf("the token is to be seen: %s %s", c.Value, b.log)
		}
		resp, body := b.send(t, "GET", "/api/v1/session", "", "", "", with(c))
		var got client.Session
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != 200 || got.Role != want.Role || got.Name != want.Name || (got.Account == nil) != (want.Account == nil) || got.ExpiresAt == nil || got.Version != "1.2.3" {
			t.Errorf("%d %s", resp.StatusCode, body)
		}
		if len(resp.Cookies()) > 0 {
			t.Errorf("a fresh session is renewed: %v", resp.Cookies())
		}
	}
	// A token of its own is told of too, and goes before a cookie.
	resp, body := b.send(t, "GET", "/api/v1/session", tokenTwo, "", "", with(b.logIn(t, tokenAdmin)))
	if resp.StatusCode != 200 || !strings.Contains(body, `"account":"2"`) || !strings.Contains(body, `"expires_at":null`) {
		t.Errorf("with a header: %s", body)
	}
	if resp, _ := b.send(t, "GET", "/api/v1/token/", "nobody", "", "", with(b.logIn(t, tokenAdmin))); resp.StatusCode != 401 {
		t.Errorf("a wrong header beside a good cookie = %d", resp.StatusCode)
	}
	// An account's session sees what its token sees.
	one := b.logIn(t, tokenOne)
	made, err := b.client(tokenTwo).Create(t.Context(), &client.Subscription{Events: []string{"contact.create"}, TargetURL: "https://example.com/"})
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]int{"/api/v1/subscription/" + made.ID + "/": 404, "/api/v1/token/": 403, "/api/v1/subscription/": 200} {
		if resp, body := b.send(t, "GET", path, "", "", "", with(one)); resp.StatusCode != want || strings.Contains(body, made.ID) {
			t.Errorf("GET %s = %d %s", path, resp.StatusCode, body)
		}
	}
	// What is made by it belongs to the account.
	if resp, body := b.send(t, "POST", "/api/v1/subscription/", "", "application/json", `{"event":"contact.create","target_url":"https://example.com/"}`, with(one)); resp.StatusCode != 201 || !strings.Contains(body, `"account":"1"`) {
		t.Errorf("POST = %d %s", resp.StatusCode, body)
	}
	resp, _ = b.send(t, "DELETE", "/api/v1/session", "", "", "", with(one))
	if c := resp.Cookies(); resp.StatusCode != 204 || len(c) != 1 || c[0].MaxAge >= 0 || c[0].Value != "" || c[0].Name != b.cookieName() {
		t.Errorf("log out: %d %v", resp.StatusCode, c)
	}
	if resp, _ := b.send(t, "GET", "/api/v1/session", "", "", "", nil); resp.StatusCode != 401 {
		t.Errorf("without a cookie = %d", resp.StatusCode)
	}
	if got, err := b.client(tokenAdmin).Session(t.Context()); err != nil || got.Role != "admin" {
		t.Errorf("%+v %v", got, err)
	}
}

// endedSessions are those that were ended.
type endedSessions struct {
	mu            sync.Mutex
	until         map[[16]byte]time.Time
	fail, failEnd error
}

func (e *endedSessions) EndSession(_ context.Context, id [16]byte, until time.Time) error {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.until == nil {
		e.until = map[[16]byte]time.Time{}
	}
	if e.failEnd == nil {
		e.until[id] = until
	}
	return e.failEnd
}

func (e *endedSessions) SessionEnded(_ context.Context, id [16]byte) (bool, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	_, ended := e.until[id]
	return ended, e.fail
}

// TestLogOut: who has a copy of the cookie is out too, at every process, and nobody else is.
func TestLogOut(t *testing.T) {
	t.Parallel()
	ended, keys := &endedSessions{}, newSessionKeys()
	shared := func(c *api.Config) { c.Sessions, c.SessionKeys = ended, keys }
	one, two := start(t, whole, shared), start(t, whole, shared)
	gets := func(b *bench, c *http.Cookie, want int) {
		t.Helper()
		for _, path := range []string{"/api/v1/session", "/api/v1/subscription/"} {
			if resp, body := b.send(t, "GET", path, "", "", "", with(&http.Cookie{Name: b.cookieName(), Value: c.Value})); resp.StatusCode != want {
				t.Errorf("GET %s = %d %s, want %d", path, resp.StatusCode, body, want)
			}
		}
	}
	out := func(b *bench, c *http.Cookie, want int) {
		t.Helper()
		resp, body := b.send(t, "DELETE", "/api/v1/session", "", "", "", with(c))
		if c := resp.Cookies(); resp.StatusCode != want || len(c) != 1 || c[0].MaxAge >= 0 || c[0].Value != "" {
			t.Errorf("log out: %d %s %v, want %d", resp.StatusCode, body, c, want)
		}
	}
	first, second := one.logIn(t, tokenOne), one.logIn(t, tokenOne)
	out(one, first, 204)
	gets(one, first, 401)
	gets(two, first, 401)
	gets(one, second, 200)
	gets(two, second, 200)
	for id, until := range ended.until {
		if left := time.Until(until); left < 12*time.Hour || left > 14*time.Hour {
			t.Errorf("%v is kept for %s", id, left)
		}
	}

	// A cookie that was renewed is of the same session, and lets nobody in after the first one was given back.
	old := one.server.SessionCookie(one.host(), tokenOne, time.Now().Add(-time.Hour), time.Now().Add(-time.Hour))
	resp, _ := one.send(t, "GET", "/api/v1/session", "", "", "", with(old))
	renewed := resp.Cookies()
	if len(renewed) != 1 {
		t.Fatalf("renewed: %v", renewed)
	}
	out(one, old, 204)
	gets(one, renewed[0], 401)

	// What lets nobody in makes no row.
	n := len(ended.until)
	value, foreign := second.Value, one.server.SessionCookie(one.host(), "no-token-of-the-config", time.Now(), time.Now()).Value
	over := one.server.SessionCookie(one.host(), tokenOne, time.Now().Add(-24*time.Hour), time.Now().Add(-24*time.Hour)).Value
	for _, bad := range []string{"", "x", value[:len(value)-3], foreign, over} {
		out(one, &http.Cookie{Name: second.Name, Value: bad}, 204)
	}
	if len(ended.until) != n {
		t.Errorf("%d are kept, there were %d", len(ended.until), n)
	}

	// With the store away the cookie goes all the same, and the next try is told to the store.
	ended.failEnd = subscriptions.ErrUnavailable
	out(one, second, 503)
	ended.failEnd = nil
	gets(one, second, 200)
	out(two, &http.Cookie{Name: two.cookieName(), Value: second.Value}, 204)
	gets(one, second, 401)
}

// TestSessionsWithoutTheStore: where nobody knows whether a session was ended it sees what is wrong for a while, and is not made to last.
func TestSessionsWithoutTheStore(t *testing.T) {
	t.Parallel()
	b := start(t, whole, func(c *api.Config) {
		c.Sessions = &endedSessions{fail: fmt.Errorf("connect: %w", subscriptions.ErrUnavailable)}
	})
	c := b.logIn(t, tokenAdmin)
	const body = `{"event":"contact.create","target_url":"https://example.com/"}`
	for _, r := range []struct {
		method, path, body string
		used               time.Duration
		want               int
	}{
		{"GET", "/session", "", 0, 200}, {"GET", "/status", "", 0, 200}, {"GET", "/check", "", -50 * time.Minute, 200}, {"GET", "/config", "", 0, 200}, {"GET", "/resource/contact/", "", 0, 200},
		{"GET", "/subscription/", "", 0, 503}, {"GET", "/log-level", "", 0, 503}, {"GET", "/event-type/contact.update/sample", "", 0, 503},
		{"POST", "/subscription/", body, 0, 503}, {"DELETE", "/subscription/sub_x/", "", 0, 503}, {"POST", "/resource/contact/preview", `{"id":"42"}`, 0, 503},
		{"POST", "/pause", "{}", 0, 503},
		{"GET", "/session", "", -61 * time.Minute, 401}, {"GET", "/subscription/", "", -2 * time.Hour, 401},
	} {
		given := c
		if r.used != 0 {
			given = b.server.SessionCookie(b.host(), tokenAdmin, time.Now().Add(-3*time.Hour), time.Now().Add(r.used))
		}
		kind := ""
		if r.body != "" || r.method != "GET" {
			kind = "application/json"
		}
		resp, got := b.send(t, r.method, "/api/v1"+r.path, "", kind, r.body, with(given))
		if resp.StatusCode != r.want || len(resp.Cookies()) > 0 {
			t.Errorf("%s %s after %s = %d %s %v, want %d", r.method, r.path, r.used, resp.StatusCode, got, resp.Cookies(), r.want)
		}
	}
	// A token in the header needs no session.
	if resp, got := b.send(t, "POST", "/api/v1/subscription/", tokenAdmin, "application/json", body, nil); resp.StatusCode != 201 {
		t.Errorf("with a token: %d %s", resp.StatusCode, got)
	}
	// Another error is no reason to let somebody in.
	broken := start(t, whole, func(c *api.Config) { c.Sessions = &endedSessions{fail: errors.New("broken")} })
	if resp, got := broken.send(t, "GET", "/api/v1/session", "", "", "", with(broken.logIn(t, tokenAdmin))); resp.StatusCode != 500 {
		t.Errorf("with a broken store: %d %s", resp.StatusCode, got)
	}
}

// TestForeignPages: a browser sends the cookie by itself, whoever's page makes it ask.
func TestForeignPages(t *testing.T) {
	t.Parallel()
	b := start(t, whole)
	c := b.logIn(t, tokenAdmin)
	const body = `{"event":"contact.create","target_url":"https://example.com/"}`
	own := "http://" + strings.TrimPrefix(b.url, "http://")
	for _, r := range []struct {
		name, method, path, kind, body string
		headers                        []string
		want                           int
	}{
		{"of another origin", "POST", "/subscription/", "application/json", body, []string{"Origin", "https://elsewhere.example"}, 403},
		{"of another site", "POST", "/subscription/", "application/json", body, []string{"Sec-Fetch-Site", "cross-site", "Origin", own}, 403},
		{"of a neighbour", "DELETE", "/subscription/x/", "", "", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"of nowhere", "POST", "/subscription/", "application/json", body, []string{"Origin", "null"}, 403},
		{"a form", "POST", "/subscription/", "application/x-www-form-urlencoded", "a=b", []string{"Sec-Fetch-Site", "same-origin"}, 415},
		{"a form in disguise", "POST", "/subscription/", "text/plain", body, []string{"Sec-Fetch-Site", "same-origin"}, 415},
		{"without a type", "POST", "/subscription/x/enable", "", "", []string{"Sec-Fetch-Site", "same-origin"}, 415},
		{"a log-in from elsewhere", "POST", "/session", "application/json", `{"token":"` + tokenOne + `"}`, []string{"Origin", "https://elsewhere.example"}, 403},
		{"a log-out from elsewhere", "DELETE", "/session", "", "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"its own page", "POST", "/subscription/", "application/json", body, []string{"Sec-Fetch-Site", "same-origin", "Origin", own}, 201},
		{"an old browser's own page", "POST", "/subscription/", "application/json", body, []string{"Origin", own}, 201},
		{"no browser", "POST", "/subscription/", "application/json", body, nil, 201},
		{"its own DELETE", "DELETE", "/subscription/x/", "", "", []string{"Sec-Fetch-Site", "same-origin"}, 404},
		{"what only reads", "GET", "/subscription/", "", "", []string{"Origin", "https://elsewhere.example"}, 200},
	} {
		if resp, got := b.send(t, r.method, "/api/v1"+r.path, "", r.kind, r.body, with(c, r.headers...)); resp.StatusCode != r.want {
			t.Errorf("%s: %s %s = %d %s, want %d", r.name, r.method, r.path, resp.StatusCode, got, r.want)
		}
	}
	// A token in the header is no browser's doing.
	if resp, got := b.send(t, "POST", "/api/v1/subscription/", tokenAdmin, "application/json", body, map[string]string{"Origin": "https://elsewhere.example"}); resp.StatusCode != 201 {
		t.Errorf("with a header: %d %s", resp.StatusCode, got)
	}
}

// TestSessionEnds: with its time, its token and its key.
// TestSessionsOfPorts: a browser sends the cookies of a host to all of its ports, and no session is in the way of one beside it.
func TestSessionsOfPorts(t *testing.T) {
	t.Parallel()
	a, b := start(t, whole), start(t, whole)
	one, two := a.logIn(t, tokenOne), b.logIn(t, tokenTwo)
	if one.Name == two.Name {
		t.Fatalf("both are called %s: a browser keeps the last one", one.Name)
	}
	both := map[string]string{"Cookie": one.Name + "=" + one.Value + "; " + two.Name + "=" + two.Value + "; rowhook=of-an-earlier-release"}
	for at, account := range map[*bench]string{a: "1", b: "2"} {
		if resp, body := at.send(t, "GET", "/api/v1/session", "", "", "", both); resp.StatusCode != 200 || !strings.Contains(body, `"account":"`+account+`"`) {
			t.Errorf("of account %s: %d %s", account, resp.StatusCode, body)
		}
	}
	// Where the address has no port, or one that is none, it has no number.
	for _, host := range []string{"hooks.example.com", "hooks.example.com:", "hooks.example.com:x=1"} {
		if c := a.server.SessionCookie(host, tokenOne, time.Now(), time.Now()); c.Name != "rowhook" {
			t.Errorf("at %s it is called %s", host, c.Name)
		}
	}
}

func TestSessionEnds(t *testing.T) {
	t.Parallel()
	made := &madeTokens{}
	hash := subscriptions.TokenHash("rht_made")
	if err := made.CreateToken(t.Context(), &subscriptions.Token{ID: "tok_m", Scope: subscriptions.Scope{Account: "7"}}, hash); err != nil {
		t.Fatal(err)
	}
	b := start(t, whole, func(c *api.Config) { c.Made = made })
	status := func(on *bench, c *http.Cookie) (int, []*http.Cookie) {
		t.Helper()
		resp, _ := on.send(t, "GET", "/api/v1/subscription/", "", "", "", with(c))
		return resp.StatusCode, resp.Cookies()
	}
	now := time.Now()
	for _, at := range []struct {
		began, used time.Duration
		want        int
		renewed     bool
	}{
		{0, 0, 200, false},
		{-time.Hour, -time.Minute, 200, false},
		{-time.Hour, -10 * time.Minute, 200, true},
		{-20 * time.Hour, -11 * time.Hour, 200, true},
		{-20 * time.Hour, -13 * time.Hour, 401, false},
		{-8 * 24 * time.Hour, -time.Minute, 401, false},
		{24 * time.Hour, 24 * time.Hour, 401, false},
	} {
		c := b.server.SessionCookie(b.host(), "rht_made", now.Add(at.began), now.Add(at.used))
		got, renewed := status(b, c)
		if got != at.want || (len(renewed) == 1) != at.renewed {
			t.Errorf("began %s, used %s: %d %v", at.began, at.used, got, renewed)
		}
		if at.renewed {
			if got, _ := status(b, renewed[0]); got != 200 || !renewed[0].HttpOnly {
				t.Errorf("the renewed one: %d %v", got, renewed[0])
			}
		}
	}
	c := b.logIn(t, "rht_made")
	for name, spoil := range map[string]string{
		"in the clear": "sub_x", "of nothing": "", "cut": c.Value[:len(c.Value)-4], "changed": strings.Replace(c.Value, c.Value[40:44], "AAAA", 1),
	} {
		if got, _ := status(b, &http.Cookie{Name: c.Name, Value: spoil}); got != 401 {
			t.Errorf("a cookie %s = %d", name, got)
		}
	}
	if resp, _ := b.send(t, "GET", "/api/v1/subscription/", "", "", "", map[string]string{"Cookie": c.Name + "=" + c.Value + "; " + c.Name + "=" + c.Value}); resp.StatusCode != 401 {
		t.Errorf("two cookies = %d", resp.StatusCode)
	}
	// Another process with the same key takes it; one with another key does not, and one that has the key as an older one does.
	old, fresh := seal.NewKey(), seal.NewKey()
	keys := func(all ...*seal.Keys) func(*api.Config) {
		return func(c *api.Config) { c.Made, c.SessionKeys = made, all[0] }
	}
	of := func(k *seal.Keys, err error) *seal.Keys {
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	first := start(t, whole, keys(of(seal.New(old))))
	c = first.logIn(t, "rht_made")
	for name, on := range map[string]struct {
		keys *seal.Keys
		want int
	}{"the same": {of(seal.New(old)), 200}, "another": {of(seal.New(fresh)), 401}, "the one before": {of(seal.New(fresh, old)), 200}} {
		// It is found at the same address, behind what lets the standby take over.
		next := start(t, whole, keys(on.keys))
		if got, _ := status(next, &http.Cookie{Name: next.cookieName(), Value: c.Value}); got != on.want {
			t.Errorf("a server with %s key = %d, want %d", name, got, on.want)
		}
	}
	// A sealed text of the store is no cookie.
	if got, _ := status(first, &http.Cookie{Name: first.cookieName(), Value: of(seal.New(old)).Seal(strings.Repeat("\x01", 49), "subscription/x/secrets")}); got != 401 {
		t.Errorf("what was sealed for another place = %d", got)
	}
	c = b.logIn(t, "rht_made")
	if err := made.DeleteToken(context.Background(), "tok_m"); err != nil {
		t.Fatal(err)
	}
	if got, _ := status(b, c); got != 401 {
		t.Errorf("after its token was deleted = %d", got)
	}
}

func TestLogInIsLimited(t *testing.T) {
	t.Parallel()
	b := start(t, whole, func(c *api.Config) { c.TrustedNetworks = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	from := func(addr, body string) *http.Response {
		t.Helper()
		resp, _ := b.send(t, "POST", "/api/v1/session", "", "application/json", body, map[string]string{"X-Forwarded-For": "1.2.3.4, " + addr, "X-Forwarded-Proto": "https"})
		return resp
	}
	var refused *http.Response
	for range 100 {
		if refused = from("203.0.113.9", `{"token":"none-of-them"}`); refused.StatusCode != 401 {
			break
		}
	}
	after, err := strconv.Atoi(refused.Header.Get("Retry-After"))
	if refused.StatusCode != 429 || err != nil || after < 1 {
		t.Fatalf("%d %v", refused.StatusCode, refused.Header)
	}
	// Another client is let in, with a cookie for https only, since the gateway says that it is.
	resp := from("203.0.113.10", `{"token":"`+tokenAdmin+`"}`)
	if c := resp.Cookies(); resp.StatusCode != 200 || len(c) != 1 || !c[0].Secure || c[0].Name != "__Host-"+b.cookieName() {
		t.Fatalf("%d %v", resp.StatusCode, c)
	}
	// Over http it is nothing.
	if resp, _ := b.send(t, "GET", "/api/v1/session", "", "", "", with(resp.Cookies()[0])); resp.StatusCode != 401 {
		t.Errorf("a cookie of https over http = %d", resp.StatusCode)
	}
	if resp, _ := b.send(t, "GET", "/api/v1/session", "", "", "", with(resp.Cookies()[0], "X-Forwarded-Proto", "https")); resp.StatusCode != 200 {
		t.Errorf("over https = %d", resp.StatusCode)
	}
	if log := b.log.String(); !strings.Contains(log, "log-in refused") || !strings.Contains(log, "203.0.113.9") || strings.Contains(log, "none-of-them") {
		t.Errorf("the log says %s", log)
	}
	// Nobody is believed who is not trusted.
	strict := start(t, whole)
	for i := range 100 {
		resp, body := strict.send(t, "POST", "/api/v1/session", "", "application/json", `{"token":"none"}`, map[string]string{"X-Forwarded-For": fmt.Sprintf("198.51.100.%d", i)})
		if resp.StatusCode == 429 {
			return
		}
		if resp.StatusCode != 401 {
			t.Fatalf("%d %s", resp.StatusCode, body)
		}
	}
	t.Error("whoever names other addresses is not limited")
}

// TestNoSessionBehindTheProxy: customers of the application log in there.
func TestNoSessionBehindTheProxy(t *testing.T) {
	t.Parallel()
	b := start(t, whole)
	asked := 0
	h := b.server.Behind(func(*http.Request) (api.Caller, error) {
		asked++
		return api.Caller{}, &api.Denied{Status: 401, Detail: "who are you"}
	})
	c := b.logIn(t, tokenAdmin)
	for _, r := range []struct {
		method, path string
		want         int
	}{{"POST", "/api/v1/session", 404}, {"GET", "/api/v1/session", 404}, {"GET", "/api/v1/subscription/", 401}} {
		req, err := http.NewRequestWithContext(t.Context(), r.method, r.path, strings.NewReader(`{"token":"`+tokenAdmin+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Host = b.host()
		req.AddCookie(c)
		w := record(h, req)
		if body, err := io.ReadAll(w.Body); err != nil || w.StatusCode != r.want {
			t.Errorf("%s %s = %d %s", r.method, r.path, w.StatusCode, body)
		}
	}
	if asked != 1 {
		t.Errorf("the application was asked %d times", asked)
	}
}

func record(h http.Handler, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}
