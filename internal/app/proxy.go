package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/proxy"
)

// proxyDrain is how long requests of the application may take to end when rowhook stops. Then those that never end by
// themselves are cut: long polls, server-sent events, websockets.
const proxyDrain = 10 * time.Second

// listenProxy opens the proxy's listener, if there is one.
func (a *App) listenProxy() error {
	at := a.cfg.Proxy.Listen
	if at == "" {
		return nil
	}
	l, err := net.Listen("tcp", at)
	if err != nil {
		return fmt.Errorf("listen for the proxy: %w\n  hint: choose another address in proxy.listen, or end what listens there; "+
			"beside rowhook proxy, start rowhook run with --proxy=false", err)
	}
	a.proxyListener = l
	return nil
}

// ProxyAddr is where the proxy listens; nil if it does not.
func (a *App) ProxyAddr() net.Addr {
	if a.proxyListener == nil {
		return nil
	}
	return a.proxyListener.Addr()
}

// serveProxy passes the application's requests on until the function it returns is called, whatever else can be done.
func (a *App) serveProxy() func() {
	if a.proxyListener == nil {
		return func() {}
	}
	a.useProxy(a.cfg)
	s := proxy.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.proxy.Load().ServeHTTP(w, r) }), a.log)
	requests, cut := context.WithCancel(context.Background())
	s.BaseContext = func(net.Listener) context.Context { return requests }
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(a.proxyListener); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("the proxy ended", "error", err)
		}
	})
	a.log.Info("proxy", "listen", a.proxyListener.Addr().String(), "app", a.cfg.App.URL)
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), a.proxyDrain)
		defer cancel()
		err := s.Shutdown(ctx)
		cut()
		if err != nil {
			a.log.Warn("requests of the application were cut: they did not end in time", "waited", a.proxyDrain.String())
			_ = s.Close()
		}
		wg.Wait()
		a.proxy.Load().Close()
	}
}

// useProxy lets new requests go where the config says. Those under way end as they began.
func (a *App) useProxy(cfg *config.Config) {
	app, err := url.Parse(cfg.App.URL)
	if err != nil {
		// The config was refused if it were none.
		panic(err)
	}
	old := a.proxy.Swap(proxy.New(proxy.Config{
		App:             app,
		Ours:            oursUnder(a.cfg.API.BasePath),
		API:             http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*a.behind.Load()).ServeHTTP(w, r) }),
		TrustedNetworks: cfg.Proxy.TrustedNetworks,
		Log:             a.log,
	}))
	if old != nil {
		old.Close()
	}
}

// reloadProxy takes over what the proxy knows of a changed config.
func (a *App) reloadProxy(now, next *config.Config) {
	if a.proxyListener != nil && (now.App.URL != next.App.URL || !reflect.DeepEqual(now.Proxy, next.Proxy)) {
		a.useProxy(next)
	}
}

// oursUnder says which paths on the proxy's listener are the subscription API's. Whatever is for the admin or for
// operators is not: these paths are the application's there.
func oursUnder(base string) func(path string) bool {
	prefix := strings.TrimSuffix(base, "/") + "/"
	return func(path string) bool {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok {
			return false
		}
		first, below, deeper := strings.Cut(rest, "/")
		switch first {
		case "subscription", "event-type", "event":
			return true
		case "delivery", "job":
			return below != ""
		case "openapi.json", "docs":
			return !deeper || below == ""
		}
		return false
	}
}

// behindProxy answers the subscription API's requests of callers whom the application knows.
func behindProxy(*api.Server) http.Handler {
	// Who the caller is cannot be asked yet, so nobody is let in.
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		proxy.Problem(w, http.StatusServiceUnavailable, "this rowhook cannot ask the application who you are")
	})
}
