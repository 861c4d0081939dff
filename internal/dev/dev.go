// Package dev tries rowhook on somebody's own database, without a config file, and leaves nothing behind.
//
// What a run makes has one random name, that of a schema and of a publication, and is removed at its end, also after an
// error. A run that is killed leaves both; it has held an advisory lock derived from the name, so that the next run on
// that database knows from the server that nobody owns them any more, and removes them. The slot is temporary.
//
// Only loopback is listened on, and there are no accounts: whoever has the token, which is printed, sees everything that
// is not left out.
package dev

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/dev/watch"
	"github.com/rowhook/rowhook/internal/discover"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
)

// Options say what is tried.
type Options struct {
	// URL of the database.
	URL secret.String
	// Listen is the API's address, on loopback: see CheckListen.
	Listen string
	// Tables are the tables to map; empty means all that can be.
	Tables []string
	// Print has a receiver of its own print every hook.
	Print   bool
	Out     io.Writer
	Color   bool
	Version string
	Log     *slog.Logger
}

// CheckListen says why an address is not one to listen on: only loopback is.
func CheckListen(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("%q is not host:port", address)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf("%q is not on loopback", address)
	}
	return nil
}

// Run works until ctx is done. That it was stopped is no error.
func Run(ctx context.Context, o Options) error {
	if err := CheckListen(o.Listen); err != nil {
		return err
	}
	conn, err := connect(ctx, o)
	if err != nil {
		return quiet(ctx, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	removed, err := sweep(ctx, conn)
	if len(removed) > 0 {
		fmt.Fprintln(o.Out, "removed what a run that was killed had left:", strings.Join(removed, ", "))
	}
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		o.Log.Warn("leftovers of an earlier run stay", "error", err)
	}
	tables, err := discover.Tables(ctx, conn)
	if err != nil {
		return quiet(ctx, fmt.Errorf("read the database's tables: %w", err))
	}
	p, err := decide(tables, o.Tables)
	if err != nil {
		return err
	}
	o.show(conn, p)
	if len(p.resources) == 0 {
		return errors.New("no table is left that can be mapped\n  hint: a table needs a primary key, and has to be the role's own")
	}
	r := &session{opts: o, plan: p, name: newName(), token: "dev-" + strings.ToLower(rand.Text())}
	if err := hold(ctx, conn, r.name); err != nil {
		return quiet(ctx, fmt.Errorf("take the lock of this run: %w", err))
	}
	err = r.guarded(ctx, conn)
	if cleanErr := cleanUp(o, r.name); cleanErr != nil {
		return errors.Join(err, cleanErr)
	}
	if err == nil {
		fmt.Fprintln(o.Out, "stopped: slot, publication and schema are gone")
	}
	return err
}

// quiet is no error where ctx is done.
func quiet(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// connect opens an ordinary connection.
func connect(ctx context.Context, o Options) (*pgx.Conn, error) {
	return cdc.Connect(ctx, o.URL, map[string]string{"application_name": "rowhook dev", "idle_session_timeout": "0", "lock_timeout": "5s"})
}

// session is one run.
type session struct {
	opts  Options
	plan  plan
	name  string
	token string
	// console is its address, with the token.
	console string
	// watcher prints; nil where nothing is to be printed.
	watcher *watch.Watcher
}

// config is what a config file would say.
func (r *session) config() *config.Config {
	c := config.Default()
	c.Database = config.Database{URL: r.opts.URL, ReadURL: r.opts.URL, Slot: r.name, Publication: r.name, Environment: r.name}
	c.Store = config.Store{URL: r.opts.URL, Schema: r.name, EncryptionKey: seal.NewKey()}
	c.API.Listen = r.opts.Listen
	c.API.Tokens = []config.Token{{Name: "dev", Token: secret.String(r.token), Account: "*"}}
	c.Delivery.Targets.AllowHTTP = true
	for _, n := range []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"} {
		c.Delivery.Targets.AllowNetworks = append(c.Delivery.Targets.AllowNetworks, netip.MustParsePrefix(n))
	}
	for _, p := range r.plan.resources {
		m := mapping.Resource{Name: p.name, Table: p.table}
		// By name, not all of them: what is added later may be secret.
		for _, column := range p.columns {
			m.Columns = append(m.Columns, mapping.Source{Text: column})
		}
		c.Mapping.Resources = append(c.Mapping.Resources, m)
	}
	return &c
}

// guarded works until ctx is done, rowhook ends by itself, or the lock is lost: from then on another run could take what
// this one has made for a leftover.
func (r *session) guarded(ctx context.Context, holder *pgx.Conn) error {
	work, lose := context.WithCancelCause(ctx)
	defer lose(nil)
	holding, release := context.WithCancel(context.WithoutCancel(ctx))
	var guard sync.WaitGroup
	guard.Go(func() {
		// None comes: it waits for the end of the connection.
		_, err := holder.WaitForNotification(holding)
		if err != nil && holding.Err() == nil {
			lose(errLockLost)
		}
	})
	err := r.run(work)
	release()
	guard.Wait()
	if err == nil && errors.Is(context.Cause(work), errLockLost) {
		return errLockLost
	}
	return err
}

var errLockLost = errors.New("the connection to the database was lost, and with it the temporary slot\n  hint: start it again when the server is well")

// run works until ctx is done, or rowhook ends by itself.
func (r *session) run(ctx context.Context) error {
	cfg := r.config()
	ready := make(chan struct{})
	a, err := app.New(cfg, app.Options{Log: r.opts.Log, Version: r.opts.Version, Temporary: true, OnReady: func(string) { close(ready) }})
	if err != nil {
		return err
	}
	addr, err := a.Listen()
	if err != nil {
		return fmt.Errorf("listen on %s: %w\n  hint: end what listens there, or give another address: --listen 127.0.0.1:0 takes a free port", r.opts.Listen, rootCause(err))
	}
	root := "http://" + addr.String()
	base := root + cfg.API.BasePath
	r.console = root + "/console/#token=" + r.token

	// rowhook is stopped when ctx is done, and the receiver when rowhook has ended.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	watching, stopWatching := context.WithCancel(context.WithoutCancel(ctx))
	var running sync.WaitGroup
	ended := make(chan struct{})
	var appErr error
	running.Go(func() {
		defer close(ended)
		appErr = a.Run(work)
	})
	err = r.attend(ctx, watching, &running, base, ready, ended)
	stop()
	<-ended
	stopWatching()
	running.Wait()
	if r.watcher != nil {
		r.watcher.Close()
	}
	if appErr != nil {
		return appErr
	}
	return err
}

// attend waits for rowhook, subscribes, and shows the hooks until ctx is done or rowhook ends.
func (r *session) attend(ctx, watching context.Context, running *sync.WaitGroup, base string, ready, ended <-chan struct{}) error {
	select {
	case <-ready:
	case <-ended:
		return nil
	case <-ctx.Done():
		return nil
	}
	target := "http://127.0.0.1:3000/hooks"
	if r.opts.Print {
		keys := map[string][]string{}
		for _, p := range r.plan.resources {
			keys[p.name] = p.key
		}
		w, err := watch.Start(watch.Options{Out: r.opts.Out, Color: r.opts.Color, Keys: keys})
		if err != nil {
			return err
		}
		r.watcher = w
		c := client.Client{URL: base, Token: r.token}
		made, err := c.Create(ctx, &client.Subscription{Events: []string{"*"}, TargetURL: w.URL("/hooks"), Name: "rowhook dev prints"})
		if err != nil {
			return quiet(ctx, fmt.Errorf("subscribe: %w", err))
		}
		w.Trust("/hooks", made.Secret)
		r.showWay(base, target)
		w.Heading()
		running.Go(func() { w.Run(watching) })
	} else {
		r.showWay(base, target)
	}
	select {
	case <-ctx.Done():
		fmt.Fprintln(r.opts.Out, "stopping")
	case <-ended:
	}
	return nil
}

// rootCause is what is at the end of an error's chain.
func rootCause(err error) error {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err
		}
		err = next
	}
}
