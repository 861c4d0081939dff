package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/subscriptions"
)

var catalogue = subscriptions.Catalogue{
	{Name: "contact.create", Resource: "contact"},
	{Name: "contact.delete", Resource: "contact", AccountReason: "the identity lacks account_id"},
	{Name: "contact.won", Resource: "contact", Reason: "the old row is not known"},
	{Name: "plan.create", Resource: "plan", AdminOnly: true},
}

// logged collects the log of a server.
type logged struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logged) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// bench is a running server and what it stands on.
type bench struct {
	url string
	// transport holds every answer against the document of the API.
	transport  http.RoundTripper
	server     *api.Server
	config     api.Config
	repository *memory
	log        *logged
	catalogue  atomic.Pointer[subscriptions.Catalogue]
	ready      atomic.Bool
}

const (
	tokenOne   = "token-of-one"
	tokenTwo   = "token-of-two"
	tokenAdmin = "token-of-admin"
)

func start(t testing.TB, changes ...func(*api.Config)) *bench {
	t.Helper()
	b := &bench{repository: newMemory(), log: &logged{}}
	b.catalogue.Store(&catalogue)
	b.ready.Store(true)
	refuse := func(a netip.Addr) error {
		if a.IsLoopback() {
			return errors.New("not a public address")
		}
		return nil
	}
	config := api.Config{
		BasePath: "/api/v1",
		Tokens: []api.Token{
			{Name: "one", Token: tokenOne, Account: "1"}, {Name: "two", Token: tokenTwo, Account: "2"},
			{Name: "ops", Token: tokenAdmin, Account: "*"}, {Name: "empty", Account: "*"}, {Name: "nobody", Token: "token-of-nobody"},
		},
		Repository:    b.repository,
		Catalogue:     func() subscriptions.Catalogue { return *b.catalogue.Load() },
		Admin:         subscriptions.Policy{AllowHTTP: true, CheckAddress: func(netip.Addr) error { return nil }},
		Accounts:      subscriptions.Policy{CheckAddress: refuse},
		ConfigRetries: 9,
		Ready: func() client.Readiness {
			if b.ready.Load() {
				return client.Readiness{Ready: true, Role: "active", Parts: []client.Part{{Name: "source", Ready: true, State: "streaming"}}}
			}
			return client.Readiness{Role: "active", Reason: "the source is away"}
		},
		Ping: func(_ context.Context, s *subscriptions.Subscription) (*client.Pinged, error) {
			return &client.Pinged{Delivered: true, Detail: s.ID}, nil
		},
		Metrics: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "rowhook_up 1\n") }),
		Log:     slog.New(slog.NewTextHandler(b.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Version: "1.2.3",
	}
	for _, change := range changes {
		change(&config)
	}
	s := httptest.NewUnstartedServer(nil)
	b.server, b.config = api.New(config), config
	b.transport = validating{t, contractFor(t, config.BasePath, b.server)}
	s.Config = b.server.HTTPServer("")
	s.Start()
	t.Cleanup(s.Close)
	b.url = s.URL
	return b
}

func (b *bench) client(token string) *client.Client {
	return &client.Client{URL: b.url + "/api/v1", Token: token, HTTP: &http.Client{Transport: b.transport}}
}

// do sends a request as it is and returns the answer with its body read.
func (b *bench) do(t testing.TB, method, path, token, contentType, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, b.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	// No redirects are followed: there must be none.
	resp, err := b.transport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	got, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp, string(got)
}

func make1(t testing.TB, c *client.Client) *client.Subscription {
	t.Helper()
	s, err := c.Create(t.Context(), &client.Subscription{Events: []string{"contact.create"}, TargetURL: "https://u:hunter2@example.com/h"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func status(err error) int {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

func TestLifeOfASubscription(t *testing.T) {
	t.Parallel()
	b := start(t)
	ctx, c := t.Context(), b.client(tokenOne)
	made, err := c.Create(ctx, &client.Subscription{
		Events: []string{"contact.create", "contact.*"}, TargetURL: "https://u:hunter2@example.com/h", Name: "first",
		Delivery: client.Delivery{Timeout: "5s", Retries: &client.Retries{Waits: []string{"5s", "1m0s"}}}, Metadata: map[string]string{"a": "b"},
	})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(made.Secret, "whsec_") || *made.Account != "1" || made.State != "active" || made.CreatedAt.IsZero() ||
		made.TargetURL != "https://***@example.com/h" {
		t.Errorf("made %+v", made)
	}
	got, err := c.Get(ctx, made.ID)
	if err != nil {
		t.Fatal(err)
	}
	made.Secret = ""
	if !reflect.DeepEqual(got, made) {
		t.Errorf("Get() = %+v, want %+v", got, made)
	}
	got.Name = "second"
	got.Delivery.Retries = &client.Retries{Count: 0}
	put, err := c.Replace(ctx, made.ID, got)
	if err != nil || put.Name != "second" || put.Delivery.Retries.Waits != nil || put.TargetURL != got.TargetURL {
		t.Errorf("Replace() = %+v, %v", put, err)
	}
	if s, _ := b.repository.Get(ctx, subscriptions.Scope{Admin: true}, made.ID); s.TargetURL.Reveal() != "https://u:hunter2@example.com/h" {
		t.Error("GET, edit, PUT loses the credentials")
	}
	patched, err := c.Update(ctx, made.ID, client.Patch{"name": nil, "metadata": client.Patch{"a": nil}, "events": []string{"*"}})
	if err != nil || patched.Name != "" || len(patched.Metadata) != 0 || patched.Events[0] != "*" || patched.Delivery.Timeout != "5s" {
		t.Errorf("Update() = %+v, %v", patched, err)
	}
	if err := c.Delete(ctx, made.ID); err != nil {
		t.Error(err)
	}
	if _, err := c.Get(ctx, made.ID); status(err) != 404 {
		t.Errorf("Get() of a deleted one: %v", err)
	}
	if err := c.Delete(ctx, made.ID); status(err) != 404 {
		t.Errorf("Delete() of a deleted one: %v", err)
	}
	if log := b.log.String(); strings.Contains(log, "hunter2") || strings.Contains(log, "whsec_") || strings.Contains(log, tokenOne) {
		t.Errorf("the log shows a secret:\n%s", log)
	}
}

func TestListIsPaged(t *testing.T) {
	t.Parallel()
	b := start(t)
	c := b.client(tokenOne)
	var want []string
	for i := range 250 {
		s := make1(t, c)
		want = append(want, s.ID)
		if i%50 == 0 {
			make1(t, b.client(tokenTwo))
		}
	}
	list := func(c *client.Client) (got []string) {
		for s, err := range c.List(t.Context()) {
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, s.ID)
		}
		return got
	}
	if got := list(c); !reflect.DeepEqual(got, want) {
		t.Errorf("List() gives %d, want %d in the order they were made", len(got), len(want))
	}
	if got := list(b.client(tokenAdmin)); len(got) != 255 {
		t.Errorf("the admin's List() gives %d, want 255", len(got))
	}
	for range c.List(t.Context()) {
		break // must not go on
	}
	resp, body := b.do(t, "GET", "/api/v1/subscription?limit=2", tokenOne, "", "")
	link := `</api/v1/subscription/?after=` + want[1] + `&limit=2>; rel="next"`
	if resp.Header.Get("Link") != link || strings.Count(body, `"id"`) != 2 || strings.Contains(body, "secret") || strings.Contains(body, "hunter2") {
		t.Errorf("Link %q, want %q\n%s", resp.Header.Get("Link"), link, body)
	}
	if resp, body := b.do(t, "GET", "/api/v1/subscription/?after="+want[249], tokenOne, "", ""); resp.Header.Get("Link") != "" || body != "[]\n" {
		t.Errorf("after the last: %q %s", resp.Header.Get("Link"), body)
	}
	for _, query := range []string{"limit=0", "limit=1001", "limit=x", "limit=-1", "after=sub_none"} {
		resp, body := b.do(t, "GET", "/api/v1/subscription/?"+query, tokenOne, "", "")
		if field, _, _ := strings.Cut(query, "="); resp.StatusCode != 400 || !strings.Contains(body, `"field":"`+field+`"`) {
			t.Errorf("%s: %d %s", query, resp.StatusCode, body)
		}
	}
}

// TestEveryRouteForEveryCaller is the table of who may do what. {own} is a subscription of account 1.
func TestEveryRouteForEveryCaller(t *testing.T) {
	t.Parallel()
	const good = `{"event":"*","target_url":"https://example.com/"}`
	callers := []struct{ name, token string }{
		{"none", ""}, {"wrong", "token-of-on"}, {"one", tokenOne}, {"two", tokenTwo}, {"admin", tokenAdmin},
	}
	const merge, plain = "application/merge-patch+json", "application/json; charset=UTF-8"
	for _, c := range []struct {
		method, path, contentType, body string
		want                            [5]int // none, wrong, account 1, account 2, admin
	}{
		{"GET", "/api/v1/subscription/", "", "", [5]int{401, 401, 200, 200, 200}},
		{"HEAD", "/api/v1/subscription/", "", "", [5]int{401, 401, 200, 200, 200}},
		{"POST", "/api/v1/subscription/", plain, good, [5]int{401, 401, 201, 201, 201}},
		{"PUT", "/api/v1/subscription/", plain, good, [5]int{405, 405, 405, 405, 405}},
		{"DELETE", "/api/v1/subscription/", "", "", [5]int{405, 405, 405, 405, 405}},
		{"OPTIONS", "/api/v1/subscription/", "", "", [5]int{204, 204, 204, 204, 204}},
		{"GET", "/api/v1/subscription/{own}/", "", "", [5]int{401, 401, 200, 404, 200}},
		{"HEAD", "/api/v1/subscription/{own}/", "", "", [5]int{401, 401, 200, 404, 200}},
		{"PUT", "/api/v1/subscription/{own}/", plain, good, [5]int{401, 401, 200, 404, 200}},
		{"PATCH", "/api/v1/subscription/{own}/", merge, `{"name":"x"}`, [5]int{401, 401, 200, 404, 200}},
		{"PATCH", "/api/v1/subscription/{own}/", plain, `{"name":"x"}`, [5]int{401, 401, 200, 404, 200}},
		{"PATCH", "/api/v1/subscription/{own}/", plain, `{"name":1}`, [5]int{401, 401, 422, 404, 422}},
		{"PATCH", "/api/v1/subscription/{own}/", plain, `{"name":`, [5]int{401, 401, 400, 404, 400}},
		{"PUT", "/api/v1/subscription/{own}/", merge, good, [5]int{401, 401, 415, 415, 415}},
		{"POST", "/api/v1/subscription/{own}/", plain, good, [5]int{405, 405, 405, 405, 405}},
		{"OPTIONS", "/api/v1/subscription/{own}/", "", "", [5]int{204, 204, 204, 204, 204}},
		{"DELETE", "/api/v1/subscription/{own}/", "", "", [5]int{401, 401, 204, 404, 204}},
		{"GET", "/api/v1/subscription/sub_none/", "", "", [5]int{401, 401, 404, 404, 404}},
		{"PUT", "/api/v1/subscription/sub_none/", plain, good, [5]int{401, 401, 404, 404, 404}},
		{"PATCH", "/api/v1/subscription/sub_none/", plain, `{"name":1}`, [5]int{401, 401, 404, 404, 404}},
		{"DELETE", "/api/v1/subscription/sub_none/", "", "", [5]int{401, 401, 404, 404, 404}},
		{"POST", "/api/v1/subscription/{own}/enable", "", "", [5]int{401, 401, 200, 404, 200}},
		{"POST", "/api/v1/subscription/{own}/disable", plain, `{"reason":"x"}`, [5]int{401, 401, 200, 404, 200}},
		{"POST", "/api/v1/subscription/{own}/disable", "text/plain", `x`, [5]int{401, 401, 415, 415, 415}},
		{"POST", "/api/v1/subscription/{own}/ping", "", "", [5]int{401, 401, 200, 404, 200}},
		{"POST", "/api/v1/subscription/{own}/ping", "text/plain", "x", [5]int{401, 401, 415, 415, 415}},
		{"POST", "/api/v1/subscription/{own}/rotate-secret", plain, `{}`, [5]int{401, 401, 200, 404, 200}},
		{"POST", "/api/v1/subscription/{own}/rotate-secret", "", `{}`, [5]int{401, 401, 415, 415, 415}},
		{"POST", "/api/v1/subscription/sub_none/rotate-secret", "", "", [5]int{401, 401, 404, 404, 404}},
		{"GET", "/api/v1/subscription/{own}/enable", "", "", [5]int{405, 405, 405, 405, 405}},
		{"POST", "/api/v1/subscription/{own}/nothing", "", "", [5]int{404, 404, 404, 404, 404}},
		{"GET", "/api/v1/event-type/", "", "", [5]int{200, 200, 200, 200, 200}},
		{"POST", "/api/v1/event-type/", plain, "{}", [5]int{405, 405, 405, 405, 405}},
		{"GET", "/healthz", "", "", [5]int{200, 200, 200, 200, 200}},
		{"GET", "/readyz", "", "", [5]int{200, 200, 200, 200, 200}},
		{"GET", "/metrics", "", "", [5]int{200, 200, 200, 200, 200}},
		{"GET", "/api/v1/", "", "", [5]int{404, 404, 404, 404, 404}},
		{"GET", "/api/v1/delivery/", "", "", [5]int{404, 404, 404, 404, 404}},
		{"GET", "/api/v1/subscription/{own}/event/", "", "", [5]int{404, 404, 404, 404, 404}},
		{"GET", "/api/v1/subscription//", "", "", [5]int{404, 404, 404, 404, 404}},
		{"GET", "/api/v1//subscription", "", "", [5]int{404, 404, 404, 404, 404}},
		{"GET", "/subscription/", "", "", [5]int{404, 404, 404, 404, 404}},
		{"GET", "/", "", "", [5]int{404, 404, 404, 404, 404}},
	} {
		t.Run(c.method+" "+strings.ReplaceAll(c.path, "/", "|"), func(t *testing.T) {
			t.Parallel()
			b := start(t)
			for i, caller := range callers {
				for _, slash := range []bool{true, false} {
					own := make1(t, b.client(tokenOne))
					path := strings.ReplaceAll(c.path, "{own}", own.ID)
					if !slash {
						if !strings.HasPrefix(path, "/api/v1/") || strings.Contains(path, "//") {
							continue
						}
						path = strings.TrimSuffix(path, "/")
					}
					resp, body := b.do(t, c.method, path, caller.token, c.contentType, c.body)
					if resp.StatusCode != c.want[i] {
						t.Errorf("%s: %s %s = %d, want %d: %s", caller.name, c.method, path, resp.StatusCode, c.want[i], body)
					}
					checkAnswer(t, resp, body, c.method, path)
				}
			}
		})
	}
}

// checkAnswer checks what holds for every answer.
func checkAnswer(t *testing.T, resp *http.Response, body, method, path string) {
	t.Helper()
	h := resp.Header
	if path == "/metrics" {
		return
	}
	if h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("%s %s lacks nosniff", method, path)
	}
	if strings.HasPrefix(path, "/api/v1") && h.Get("Cache-Control") != "no-store" {
		t.Errorf("%s %s has Cache-Control %q", method, path, h.Get("Cache-Control"))
	}
	if (resp.StatusCode == 405 || method == "OPTIONS") && !strings.Contains(h.Get("Allow"), "OPTIONS") {
		t.Errorf("%s %s has Allow %q", method, path, h.Get("Allow"))
	}
	if (resp.StatusCode == 401) != strings.HasPrefix(h.Get("WWW-Authenticate"), "Bearer") {
		t.Errorf("%s %s = %d has WWW-Authenticate %q", method, path, resp.StatusCode, h.Get("WWW-Authenticate"))
	}
	if resp.StatusCode >= 400 && method != "HEAD" {
		var p client.Problem
		if err := json.Unmarshal([]byte(body), &p); err != nil || p.Status != resp.StatusCode || p.Title == "" || p.Detail == "" ||
			p.Type == "" || h.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s %s answers %s with %s", method, path, h.Get("Content-Type"), body)
		}
	}
	if method == "HEAD" && body != "" {
		t.Errorf("HEAD %s has a body", path)
	}
	if resp.StatusCode == 201 && (h.Get("Location") == "" || !strings.Contains(body, h.Get("Location")[len("/api/v1/subscription/"):len(h.Get("Location"))-1])) {
		t.Errorf("Location %q of %s", h.Get("Location"), body)
	}
	if strings.Contains(body, "hunter2") || strings.Contains(body, "whsec_") && resp.StatusCode != 201 && !strings.Contains(path, "rotate-secret") {
		t.Errorf("%s %s shows a secret: %s", method, path, body)
	}
}

// TestAccountsCannotTellOthersFromNothing compares, byte for byte, what is said of another's object and of none.
func TestAccountsCannotTellOthersFromNothing(t *testing.T) {
	t.Parallel()
	b := start(t)
	other := make1(t, b.client(tokenOne))
	adminOwn, err := b.client(tokenAdmin).Create(t.Context(), &client.Subscription{Events: []string{"*"}, TargetURL: "http://127.0.0.1/"})
	if err != nil || adminOwn.Account != nil {
		t.Fatalf("%+v, %v", adminOwn, err)
	}
	for _, method := range []string{"GET", "PUT", "PATCH", "DELETE"} {
		for _, body := range []string{"", "{}", `{"name":1}`, "{", `{"event":"*","target_url":"https://example.com/"}`} {
			none, noneBody := b.do(t, method, "/api/v1/subscription/"+subscriptions.NewID(), tokenTwo, "application/json", body)
			for _, id := range []string{other.ID, adminOwn.ID} {
				resp, got := b.do(t, method, "/api/v1/subscription/"+id, tokenTwo, "application/json", body)
				resp.Header.Del("Date")
				none.Header.Del("Date")
				if resp.StatusCode != none.StatusCode || got != noneBody || !reflect.DeepEqual(resp.Header, none.Header) {
					t.Errorf("%s %q: %d %s, want %d %s", method, body, resp.StatusCode, got, none.StatusCode, noneBody)
				}
			}
		}
	}
	_, foreign := b.do(t, "GET", "/api/v1/subscription/?after="+other.ID, tokenTwo, "", "")
	if _, none := b.do(t, "GET", "/api/v1/subscription/?after=sub_none", tokenTwo, "", ""); foreign != none {
		t.Errorf("a cursor of another account: %s, want %s", foreign, none)
	}
	for s, err := range b.client(tokenTwo).List(t.Context()) {
		t.Errorf("account 2 lists %+v, %v", s, err)
	}
	if s, err := b.client(tokenOne).Get(t.Context(), other.ID); err != nil || s.Name != "" {
		t.Errorf("account 1's is %+v, %v", s, err)
	}
}

func TestLoginsAreExact(t *testing.T) {
	t.Parallel()
	b := start(t)
	for header, want := range map[string]int{
		"Bearer " + tokenOne:       200,
		"bearer " + tokenOne:       200,
		"Bearer  " + tokenOne:      200,
		"Bearer":                   401,
		"Bearer ":                  401,
		"Basic " + tokenOne:        401,
		tokenOne:                   401,
		"Bearer " + tokenOne + "x": 401,
		"Bearer token-of-nobody":   401, // has no account
	} {
		for _, twice := range []bool{false, true} {
			req, _ := http.NewRequestWithContext(t.Context(), "GET", b.url+"/api/v1/subscription/", nil)
			req.Header.Set("Authorization", header)
			if twice {
				req.Header.Add("Authorization", "Bearer "+tokenAdmin)
				want = 401
			}
			resp, err := b.transport.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != want {
				t.Errorf("%q (twice: %v) = %d, want %d", header, twice, resp.StatusCode, want)
			}
		}
	}
}

func TestMistakesNameTheirFields(t *testing.T) {
	t.Parallel()
	b := start(t)
	account := "7"
	for token, want := range map[string][]string{
		// The target is the account's, whoever writes it.
		tokenOne: {"account", "target_url", "events[1]"}, tokenAdmin: {"target_url", "events[1]"},
	} {
		_, err := b.client(token).Create(t.Context(), &client.Subscription{
			Account: &account, Events: []string{"contact.create", "plan.craete"}, TargetURL: "https://u:hunter2@127.0.0.1/",
		})
		var e *client.Error
		if !errors.As(err, &e) || e.Status != 422 || e.Title != "Invalid subscription" {
			t.Fatalf("got %v", err)
		}
		var got []string
		for _, f := range e.Fields {
			got = append(got, f.Field)
		}
		if !reflect.DeepEqual(got, want) || !strings.Contains(err.Error(), `did you mean "plan.create"?`) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("got %v, want %v: %v", got, want, err)
		}
	}
}

func TestWritesNeedJSON(t *testing.T) {
	t.Parallel()
	b := start(t)
	const good = `{"event":"*","target_url":"https://example.com/"}`
	for contentType, want := range map[string]int{
		"application/json": 201, "application/json;charset=utf-8": 201, "": 415, "text/plain": 415, "application/json;charset=latin1": 415,
		"application/x-www-form-urlencoded": 415, "application/merge-patch+json": 415, "json": 415,
	} {
		if resp, body := b.do(t, "POST", "/api/v1/subscription/", tokenOne, contentType, good); resp.StatusCode != want {
			t.Errorf("%q = %d, want %d: %s", contentType, resp.StatusCode, want, body)
		}
	}
	large := `{"name":"` + strings.Repeat("a", subscriptions.MaxBody) + `"}`
	resp, body := b.do(t, "POST", "/api/v1/subscription/", tokenOne, "application/json", large)
	checkAnswer(t, resp, body, "POST", "/api/v1/subscription/")
	if resp.StatusCode != 413 {
		t.Errorf("a large body = %d: %s", resp.StatusCode, body)
	}
	req, _ := http.NewRequestWithContext(t.Context(), "POST", b.url+"/api/v1/subscription/", strings.NewReader(good))
	req.Header.Set("Authorization", "Bearer "+tokenOne)
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Content-Encoding", "gzip")
	if resp, err := b.transport.RoundTrip(req); err != nil || resp.StatusCode != 415 {
		t.Errorf("a packed body: %v %v", resp, err)
	} else {
		resp.Body.Close()
	}
}

func TestErrorsBecomeStatuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		err   error
		want  int
		level string
	}{
		{fmt.Errorf("dial 10.0.0.5: %w", subscriptions.ErrUnavailable), 503, "ERROR"},
		{context.DeadlineExceeded, 503, "ERROR"},
		{errors.New("password of 10.0.0.5 is hunter2"), 500, "ERROR"},
		{fmt.Errorf("get: %w", subscriptions.ErrNotFound), 404, "DEBUG"},
	} {
		b := start(t)
		b.repository.setFail(c.err)
		resp, body := b.do(t, "GET", "/api/v1/subscription/sub_1", tokenOne, "", "")
		checkAnswer(t, resp, body, "GET", "/api/v1/subscription/sub_1")
		if resp.StatusCode != c.want || strings.Contains(body, "10.0.0.5") || (resp.Header.Get("Retry-After") == "1") != (c.want == 503) {
			t.Errorf("%v: %d %v %s", c.err, resp.StatusCode, resp.Header, body)
		}
		var p client.Problem
		json.Unmarshal([]byte(body), &p)
		if (p.ID != "") != (c.want == 500) {
			t.Errorf("%v has id %q", c.err, p.ID)
		}
		// The line is written after the answer.
		waitFor(t, func() bool {
			log := b.log.String()
			return strings.Count(log, "\n") == 1 && strings.Contains(log, "level="+c.level) && strings.Contains(log, p.ID) &&
				(c.want < 500 || strings.Contains(log, c.err.Error()))
		}, b.log.String)
	}
}

// waitFor polls until ok, or fails with what there is.
func waitFor(t *testing.T, ok func() bool, what func() string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("still: %s", what())
		}
	}
}

func TestPanicIsAnInternalError(t *testing.T) {
	t.Parallel()
	b := start(t, func(c *api.Config) { c.Catalogue = func() subscriptions.Catalogue { panic("hunter2") } })
	resp, body := b.do(t, "GET", "/api/v1/event-type/", "", "", "")
	if resp.StatusCode != 500 || strings.Contains(body, "hunter2") || !strings.Contains(body, `"id":"err_`) {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	waitFor(t, func() bool { return strings.Contains(b.log.String(), "stack=") }, b.log.String)
}

func TestWithoutASourceWritesWait(t *testing.T) {
	t.Parallel()
	b := start(t)
	own := make1(t, b.client(tokenOne))
	b.catalogue.Store(new(subscriptions.Catalogue))
	b.ready.Store(false)
	ctx, c := t.Context(), b.client(tokenOne)
	_, err := c.Create(ctx, own)
	if status(err) != 503 {
		t.Errorf("Create: %v", err)
	}
	if _, err := c.Update(ctx, own.ID, client.Patch{"name": "x"}); status(err) != 503 {
		t.Errorf("Update: %v", err)
	}
	if _, err := c.EventTypes(ctx); status(err) != 503 {
		t.Errorf("EventTypes: %v", err)
	}
	if _, err := c.Get(ctx, own.ID); err != nil {
		t.Errorf("Get: %v", err)
	}
	r, err := c.Ready(ctx)
	if err != nil || r.Ready || r.Reason != "the source is away" {
		t.Errorf("Ready() = %+v, %v", r, err)
	}
	if resp, body := b.do(t, "GET", "/readyz", "", "", ""); resp.StatusCode != 503 || body != `{"ready":false,"role":"active","reason":"the source is away","parts":[]}`+"\n" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if err := c.Delete(ctx, own.ID); err != nil {
		t.Errorf("Delete: %v", err)
	}
}

func TestPublicRoutes(t *testing.T) {
	t.Parallel()
	b := start(t)
	types, err := (&client.Client{URL: b.url + "/api/v1/"}).EventTypes(t.Context())
	want := []client.EventType{
		{Name: "contact.create", Resource: "contact"},
		{Name: "contact.delete", Resource: "contact", AdminOnly: true, Reason: "the identity lacks account_id"},
		{Name: "plan.create", Resource: "plan", AdminOnly: true, Reason: "it belongs to no account"},
	}
	if err != nil || !reflect.DeepEqual(types, want) {
		t.Errorf("EventTypes() = %+v, %v", types, err)
	}
	if r, err := b.client("").Ready(t.Context()); err != nil || !r.Ready || r.Role != "active" || r.Parts[0].State != "streaming" {
		t.Errorf("Ready() = %+v, %v", r, err)
	}
	if _, body := b.do(t, "GET", "/healthz", "", "", ""); body != `{"status":"alive","version":"1.2.3"}`+"\n" {
		t.Errorf("/healthz: %s", body)
	}
	if _, body := b.do(t, "GET", "/metrics", "", "", ""); body != "rowhook_up 1\n" {
		t.Errorf("/metrics: %s", body)
	}
	resp, _ := b.do(t, "OPTIONS", "/api/v1/subscription/x", "", "", "")
	if got := resp.Header.Get("Allow"); got != "DELETE, GET, HEAD, OPTIONS, PATCH, PUT" || resp.Header.Get("Accept-Patch") == "" {
		t.Errorf("OPTIONS: %v", resp.Header)
	}
}

func TestBasePathMayBeTheRoot(t *testing.T) {
	t.Parallel()
	for base, path := range map[string]string{"": "/subscription", "/": "/subscription/", "api/": "/api/subscription"} {
		b := start(t, func(c *api.Config) { c.BasePath = base; c.Metrics = nil })
		if resp, body := b.do(t, "GET", path, tokenOne, "", ""); resp.StatusCode != 200 {
			t.Errorf("base %q: %d %s", base, resp.StatusCode, body)
		}
		if resp, _ := b.do(t, "GET", "/metrics", "", "", ""); resp.StatusCode != 404 {
			t.Errorf("base %q: /metrics without a handler = %d", base, resp.StatusCode)
		}
	}
}
