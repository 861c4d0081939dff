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
	"github.com/rowhook/rowhook/internal/identity"
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
	f, err := a.newFront(a.cfg)
	if err != nil {
		return fmt.Errorf("proxy: %w", err)
	}
	a.useFront(f)
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
	s := proxy.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { a.front.Load().ServeHTTP(w, r) }), a.log)
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
		a.front.Load().close()
	}
}

// front is the proxy, and who says who calls.
type front struct {
	*proxy.Proxy
	callers identity.Source
}

func (f *front) close() {
	f.Close()
	f.callers.Close()
}

// newFront makes what the config says.
func (a *App) newFront(cfg *config.Config) (*front, error) {
	app, err := url.Parse(cfg.App.URL)
	if err != nil {
		return nil, err
	}
	f := &front{}
	f.callers, err = identity.New(cfg.Proxy.Identity, identity.Options{
		AppURL: cfg.App.URL, UserAgent: "rowhook/" + a.opts.Version, Log: a.log,
		Forward: func(question, caller *http.Request) { f.Forward(question, caller) },
	})
	if err != nil {
		return nil, err
	}
	f.Proxy = proxy.New(proxy.Config{
		App:  app,
		Ours: oursUnder(a.cfg.API.BasePath),
		API: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			(*a.behind.Load()).ServeHTTP(w, api.From(r, f.Client(r)))
		}),
		Before:          f.callers.Strip,
		TrustedNetworks: cfg.Proxy.TrustedNetworks,
		Log:             a.log,
	})
	return f, nil
}

// reloadedFront is the front of a changed config, nil where it is the one that there is.
func (a *App) reloadedFront(now, next *config.Config) (*front, error) {
	if a.proxyListener == nil || now.App.URL == next.App.URL && reflect.DeepEqual(now.Proxy, next.Proxy) {
		return nil, nil
	}
	return a.newFront(next)
}

// useFront lets new requests go through another front; nil changes nothing. Those under way end as they began.
func (a *App) useFront(f *front) {
	if f == nil {
		return
	}
	if old := a.front.Swap(f); old != nil {
		old.close()
	}
}

// oursUnder says which paths on the proxy's listener are the subscription API's. Whatever is for the admin or for operators is not,
// nor are openapi.json and docs: applications have these themselves, often at the very same path.
func oursUnder(base string) func(path string) bool {
	prefix := strings.TrimSuffix(base, "/") + "/"
	return func(path string) bool {
		rest, ok := strings.CutPrefix(path, prefix)
		if !ok {
			return false
		}
		first, id, _ := strings.Cut(rest, "/")
		// An application may have deliveries of its own.
		return first == "subscription" || first == "event-type" || first == "delivery" && strings.HasPrefix(id, api.DeliveryPrefix)
	}
}

// behindProxy answers the subscription API's requests of callers whom the application knows.
func (a *App) behindProxy(s *api.Server) http.Handler {
	return s.Behind(func(r *http.Request) (api.Caller, error) { return Callers(a.front.Load().callers)(r) })
}
