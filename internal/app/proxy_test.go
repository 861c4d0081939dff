package app_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/hooktest"
)

// proxied is a rowhook with a proxy before an application that answers "app METHOD PATH".
type proxied struct {
	*app.App
	t          *testing.T
	front, api string
	log        *lockedBuffer
	ready      chan string
	stop       func()
}

func application(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/me" && r.Header.Get("Authorization") != "" {
			fmt.Fprint(w, `{"account": 1}`)
			return
		}
		fmt.Fprintf(w, "app %s %s", r.Method, r.RequestURI)
	}))
	t.Cleanup(func() { s.CloseClientConnections(); s.Close() })
	return s.URL
}

func proxyConfig(t *testing.T, appURL, databaseURL, slot string) *config.Config {
	t.Helper()
	text := strings.Replace(configText, "api:\n", "app: {url: '"+appURL+"'}\nproxy: {listen: '127.0.0.1:0', identity: {path: /me, account: account}}\napi:\n", 1)
	return loadConfig(t, text, databaseURL, slot)
}

func startProxied(t *testing.T, cfg *config.Config, alone bool) *proxied {
	t.Helper()
	p := &proxied{t: t, log: &lockedBuffer{Writer: t.Output()}, ready: make(chan string, 1)}
	a, err := app.New(cfg, app.Options{Log: slog.New(slog.NewTextHandler(p.log, nil)), Version: "test", ProxyAlone: alone,
		OnReady: func(role string) { p.ready <- role }})
	if err != nil {
		t.Fatal(err)
	}
	p.App = a
	addr, err := a.Listen()
	if err != nil {
		t.Fatal(err)
	}
	p.front, p.api = "http://"+a.ProxyAddr().String(), "http://"+addr.String()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := a.Run(ctx); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	p.stop = func() {
		cancel()
		select {
		case <-ended:
		case <-time.After(60 * time.Second):
			t.Error("rowhook does not stop")
		}
	}
	t.Cleanup(func() { p.stop() })
	return p
}

// ask is the status and the body of an answer on the proxy's listener.
func (p *proxied) ask(method, path string) (int, string) {
	p.t.Helper()
	u, err := url.Parse(p.front)
	if err != nil {
		p.t.Fatal(err)
	}
	u.Opaque = path // as it is
	r, err := http.DefaultClient.Do(&http.Request{Method: method, URL: u, Header: http.Header{"Authorization": {"Bearer x"}}})
	if err != nil {
		p.t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Fatal(err)
	}
	return r.StatusCode, string(body)
}

// TestWhoAnswersOnTheProxysListener starts while the database is away: the application's traffic flows, and what is ours
// says that it cannot be done now.
func TestWhoAnswersOnTheProxysListener(t *testing.T) {
	t.Parallel()
	p := startProxied(t, proxyConfig(t, application(t), "postgres://rowhook@"+hooktest.FreeAddress(t)+"/away", "s"), false)
	for _, path := range []string{"/", "/contacts/1?a=%2F", "/healthz", "/readyz", "/metrics", "/api/v1", "/api/v1/", "/api/v1/contacts", "/api/v1/status", "/api/v1/token/",
		"/api/v1/resume", "/api/v1/dead-letter/", "/api/v1/check", "/api/v1/resource/", "/api/v1/pause", "/api/v1/subscriptions", "/api/v1/delivery/del_1",
		"/api/v1/event", "/api/v1/job/job_1/", "/api/v1/docs", "/api/v1/docs/app.js", "/api/v1/openapi.json", "/api/v2/subscription/"} {
		if status, body := p.ask("GET", path); status != 200 || body != "app GET "+path {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	for _, path := range []string{"/api/v1/subscription", "/api/v1/subscription/", "/api/v1/subscription/sub_1", "/api/v1/event-type/",
		"/api/v1/event-type/contact.create/sample"} {
		if status, body := p.ask("GET", path); strings.HasPrefix(body, "app ") || status != 503 || !strings.Contains(body, `"status":503`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, body := p.ask("GET", "/api/v1/subscription/../token"); status != 400 {
		t.Errorf("%d %s", status, body)
	}
	// Ready, for the proxy beside run, is still whether hooks flow.
	r, err := (&client.Client{URL: p.api + "/api/v1"}).Ready(t.Context())
	if err != nil || r.Ready {
		t.Errorf("ready %+v, %v", r, err)
	}
}

// TestProxyAlone serves proxy and API beside another process that has the slot, and alone: without it, without the store,
// and without the application.
func TestProxyAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	target := application(t)
	cfg := proxyConfig(t, target, r.url, r.slot)
	p := startProxied(t, cfg, true)
	if role := <-p.ready; role != "proxy" {
		t.Errorf("role %q", role)
	}
	c := &client.Client{URL: p.api + "/api/v1", Token: "admin-token-0123456789"}
	var sub *client.Subscription
	eventually(t, "a subscription can be made", func() (made bool) {
		var err error
		sub, err = c.Create(t.Context(), &client.Subscription{Events: []string{"*"}, TargetURL: r.recv.URL("/a")})
		return err == nil
	})
	var slots int
	if err := r.conn.QueryRow(t.Context(), `select (select count(*) from pg_replication_slots where slot_name = $1) + (select count(*) from pg_publication where pubname = $1)`, r.slot).Scan(&slots); err != nil || slots != 0 {
		t.Errorf("%d slots and publications, %v", slots, err)
	}
	if pinged, err := c.Ping(t.Context(), sub.ID); err != nil || !pinged.Delivered {
		t.Errorf("ping: %+v, %v", pinged, err)
	}
	if _, err := c.Resume(t.Context(), true); err == nil || !strings.Contains(err.Error(), "ask the API of rowhook run") {
		t.Errorf("resume: %v", err)
	}

	// What was made here is served by the process that has the slot.
	r.start()
	r.insertContact(1, 1)
	r.recv.WaitFor(t, func(q []hooktest.Request) bool { return len(hooktest.ByInstance(q)["contact/1"]) == 1 })

	// Reload: the application has moved, a resource is new.
	moved := application(t)
	if err := p.Reload(t.Context(), func() (*config.Config, error) {
		next := proxyConfig(t, moved, r.url, r.slot)
		next.API.Listen = cfg.API.Listen
		return next, nil
	}); err != nil {
		t.Fatal(err)
	}
	if status, body := p.ask("GET", "/x"); status != 200 || body != "app GET /x" {
		t.Errorf("%d %s", status, body)
	}
	p.stop()
	if _, err := net.Dial("tcp", strings.TrimPrefix(p.front, "http://")); err == nil {
		t.Error("the listener is still open")
	}
}

// TestProxyAloneNeverEndsForADatabase passes traffic on though the password is wrong, and is not ready when the application
// is away.
func TestProxyAloneNeverEndsForADatabase(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	u, err := url.Parse(r.url)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/no_such_database"
	p := startProxied(t, proxyConfig(t, application(t), u.String(), r.slot), true)
	<-p.ready
	c := &client.Client{URL: p.api + "/api/v1", Token: "admin-token-0123456789"}
	eventually(t, "the store is told to be away", func() bool {
		ready, err := c.Ready(t.Context())
		return err == nil && ready.Ready && ready.Role == "proxy" && len(ready.Parts) == 2 && !ready.Parts[1].Ready && strings.Contains(ready.Parts[1].Detail, "no_such_database")
	})
	s, err := c.Status(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if s.Role != "proxy" || s.State != client.StateServing || codes(s) != "error store_unavailable" || s.Stream != nil || s.Rates != nil {
		t.Errorf("the proxy alone says %s, %s: %s; %s", s.Role, s.State, s.Summary, codes(s))
	}
	says(t, finding(s, "store_unavailable"), client.SeverityError, "no_such_database", "the application's requests are passed on", "mend ")
	if status, body := p.ask("GET", "/x"); status != 200 || body != "app GET /x" {
		t.Errorf("%d %s", status, body)
	}
	p.stop()

	p = startProxied(t, proxyConfig(t, "http://"+hooktest.FreeAddress(t), u.String(), r.slot), true)
	c.URL = p.api + "/api/v1"
	eventually(t, "the application is told to be away", func() bool {
		ready, err := c.Ready(t.Context())
		return err == nil && !ready.Ready && strings.Contains(ready.Reason, "app: ") && strings.Contains(ready.Reason, "refused")
	})
	if s, err = c.Status(t.Context()); err != nil || s.State != client.StateWaiting {
		t.Errorf("without the application: %+v, %v", s, err)
	}
	says(t, finding(s, "application_unavailable"), client.SeverityError, "the application cannot be reached: ", "502", "app.url")
	if status, body := p.ask("GET", "/x"); status != 502 || !strings.Contains(body, "cannot be reached") {
		t.Errorf("%d %s", status, body)
	}
}
