package app

import (
	"context"
	"net"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
)

const (
	// lookEvery is how often the proxy alone looks whether application and store are there, lookTimeout how long that may take.
	lookEvery   = 2 * time.Second
	lookTimeout = 2 * time.Second
)

// errNotHere is the answer to what only the process that reads the changes can do.
func errNotHere() error {
	return api.Unavailable("this is rowhook proxy, which reads no changes: ask the API of rowhook run")
}

// runProxy serves the proxy and the API without stream and dispatcher. Whatever is wrong with the databases is waited for:
// the application's traffic must not end for it.
func (a *App) runProxy(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	work, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { a.look(work) })
	if a.opts.OnReady != nil {
		wg.Go(func() { a.tellReady(work) })
	}
	a.log.Info("API", "listen", a.listener.Addr().String(), "base_path", a.cfg.API.BasePath)
	st, err := wait(ctx, a, "the store", func() (*store.Store, error) { return store.Open(ctx, a.storeConfig()) })
	if err != nil {
		return err
	}
	defer st.Close()
	a.store.Store(st)
	mapper, err := wait(ctx, a, "the tables", func() (*mapping.Mapper, error) { return a.offered(ctx, st, a.cfg, a.def) })
	if err != nil {
		return err
	}
	// For pings alone: it is not run.
	a.dispatcher.Store(sender.New(a.senderConfig(a.cfg), st))
	a.useMapper(a.cfg, mapper)
	offers := catalogueOf(mapper)
	a.catalogue.Store(&offers)
	a.tellResources(a.cfg, mapper)
	a.waiting.Store(nil)
	close(a.started)
	<-ctx.Done()
	a.log.Info("stopping: the application's requests under way may end")
	return ctx.Err()
}

// offered compiles the mapping, which says what can be subscribed to.
func (a *App) offered(ctx context.Context, st *store.Store, cfg *config.Config, def *mapping.Definition) (*mapping.Mapper, error) {
	tables, err := cdc.RelatedTables(ctx, cfg.Database.URL, def.Tables(), "")
	if err != nil {
		return nil, err
	}
	all, err := withRelated(ctx, cfg, def, tables, "")
	if err != nil {
		return nil, err
	}
	m, err := a.compile(ctx, st, def, all, "")
	if err == nil {
		a.loadLabels(ctx, all)
	}
	return m, err
}

// reloadAlone is what a reload comes to in the proxy alone.
func (a *App) reloadAlone(ctx context.Context, now, next *config.Config, def *mapping.Definition) error {
	mapper, err := a.offered(ctx, a.store.Load(), next, def)
	if err != nil {
		return notChecked(err)
	}
	front, err := a.reloadedFront(now, next)
	if err != nil {
		return err
	}
	a.live.Store(next)
	if !reflect.DeepEqual(now.App, next.App) {
		a.application.Swap(newApplication(next, a.opts.Version)).Close()
	}
	a.useFront(front)
	a.useMapper(next, mapper)
	a.dispatcher.Load().Reconfigure(a.senderConfig(next))
	offers := catalogueOf(mapper)
	a.catalogue.Store(&offers)
	a.useAPI(a.api(next))
	a.log.Info("config reloaded", "changed", strings.Join(now.Changed(next), " "))
	a.tellResources(next, mapper)
	return nil
}

// look finds out now and then whether the application accepts connections, and the store answers.
func (a *App) look(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		app, st := "", ""
		if err := dialApp(ctx, a.live.Load().App.URL); err != nil {
			app = err.Error()
		}
		if open := a.store.Load(); open != nil {
			bounded, cancel := context.WithTimeout(ctx, lookTimeout)
			if err := open.Ping(bounded); err != nil {
				st = err.Error()
			}
			cancel()
		}
		if ctx.Err() == nil {
			a.appTrouble.Store(&app)
			a.storeTrouble.Store(&st)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func dialApp(ctx context.Context, app string) error {
	u, err := url.Parse(app)
	if err != nil {
		return err
	}
	addr := u.Host
	if u.Port() == "" {
		addr = net.JoinHostPort(u.Hostname(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	}
	c, err := (&net.Dialer{Timeout: lookTimeout}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	return c.Close()
}

// proxyReadiness says whether the application's traffic flows. A store that is away is told and turns nothing red: who takes
// a proxy that is not ready out of service would take the application with it.
func (a *App) proxyReadiness() client.Readiness {
	r := client.Readiness{Role: "proxy"}
	app := client.Part{Name: "app", State: "connecting"}
	if reason := a.appTrouble.Load(); reason != nil {
		if app.Ready = *reason == ""; app.Ready {
			app.State = "accepts connections"
		} else {
			app.State, app.Detail = "cannot be reached", *reason
		}
	}
	if r.Ready = app.Ready; !r.Ready {
		r.Reason = "app: " + app.State
		if app.Detail != "" {
			r.Reason = "app: " + app.Detail
		}
	}
	st := client.Part{Name: "store", Ready: true, State: "open"}
	if w := a.waiting.Load(); w != nil {
		st.Ready, st.State, st.Detail = false, "opening", *w
	} else if a.catalogue.Load() == nil {
		st.Ready, st.State = false, "opening"
	} else if reason := a.storeTrouble.Load(); reason != nil && *reason != "" {
		st.Ready, st.State, st.Detail = false, "does not answer", *reason
	}
	r.Parts = []client.Part{app, st}
	return r
}
