package app

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/identity"
	"github.com/rowhook/rowhook/mapping"
)

// TestProxyEndsLast lets a request under way end when rowhook stops, and cuts one that never does, in bounded time.
func TestProxyEndsLast(t *testing.T) {
	t.Parallel()
	arrived, answer := make(chan struct{}, 2), make(chan struct{})
	application := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, "begun")
		w.(http.Flusher).Flush()
		arrived <- struct{}{}
		if r.URL.Path == "/hangs" {
			<-r.Context().Done()
			return
		}
		<-answer
		io.WriteString(w, " and ended")
	}))
	defer application.Close()
	cfg := config.Default()
	cfg.Database.URL, cfg.Store.URL, cfg.App.URL = "postgres://127.0.0.1:1/away", "postgres://127.0.0.1:1/away", application.URL
	cfg.API.Listen, cfg.Proxy.Listen = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Proxy.Identity = identity.Config{Path: "/me", Account: &mapping.Source{Text: "account"}}
	var lines bytes.Buffer
	a, err := New(&cfg, Options{Log: slog.New(slog.NewTextHandler(&lines, nil)), ProxyAlone: true})
	if err != nil {
		t.Fatal(err)
	}
	a.proxyDrain = time.Second
	if _, err := a.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	begin := func(path string) io.ReadCloser {
		r, err := http.Get("http://" + a.ProxyAddr().String() + path)
		if err != nil {
			t.Fatal(err)
		}
		<-arrived
		return r.Body
	}
	ends, hangs := begin("/ends"), begin("/hangs")
	defer func() { _, _ = ends.Close(), hangs.Close() }()
	stop()
	close(answer)
	if body, err := io.ReadAll(ends); string(body) != "begun and ended" || err != nil {
		t.Errorf("%q, %v", body, err)
	}
	if body, err := io.ReadAll(hangs); string(body) != "begun" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("%q, %v", body, err)
	}
	select {
	case err := <-ended:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(60 * time.Second):
		t.Fatal("rowhook does not stop")
	}
	if !strings.Contains(lines.String(), "were cut") {
		t.Errorf("it is not said that a request was cut:\n%s", lines.String())
	}
}

// TestWhatIsOursOnTheProxy: deliveries are, where the id is one of rowhook's. An application may have deliveries too.
func TestWhatIsOursOnTheProxy(t *testing.T) {
	t.Parallel()
	ours := oursUnder("/api/v1")
	for path, want := range map[string]bool{
		"/api/v1/subscription": true, "/api/v1/subscription/x/delivery/": true, "/api/v1/event-type/": true,
		"/api/v1/delivery/dlv_a_00/redeliver": true, "/api/v1/delivery/dlv_": true, "/api/v1/delivery/42": false, "/api/v1/delivery/": false,
		"/api/v1/delivery": false, "/api/v1/deliveries/dlv_a": false, "/api/v1/token/": false, "/api/v2/subscription/": false,
	} {
		if got := ours(path); got != want {
			t.Errorf("%s: %v", path, got)
		}
	}
}
