package demo

import (
	"context"
	"crypto/rand"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/dev/watch"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/subscriptions"
)

//go:embed schema.sql
var schema string

//go:embed demo.yaml
var configFile []byte

// database is the name of the CRM's.
const database = "crm"

// stage is everything that runs.
type stage struct {
	opts    Options
	server  *pgtest.Server
	conn    *pgx.Conn // the application's
	watcher *watch.Watcher
	config  string // the file
	base    string // the API's
	console string // the console's address, with the token of the admin
	tokens  map[string]string

	stopApp   context.CancelFunc
	stopWatch context.CancelFunc
	running   sync.WaitGroup
	ended     chan struct{} // closed when rowhook has ended; err is set by then
	err       error
}

// arrival is a hook with nothing in between but the printing.
type arrival = watch.Hook

// start starts all there is. What was started before an error is stopped.
func start(ctx context.Context, o Options, hooks chan<- arrival) (*stage, error) {
	s := &stage{opts: o, ended: make(chan struct{}), tokens: map[string]string{"ops": newToken("ops"), "acme": newToken("acme")}}
	if err := s.start(ctx, hooks); err != nil {
		if s.stopApp == nil {
			close(s.ended)
		}
		stopErr := s.stop()
		if s.err != nil {
			err = s.err // why rowhook ended
		}
		return nil, errors.Join(err, stopErr)
	}
	return s, nil
}

// newToken begins with its name, so that the lines to paste tell who is who.
func newToken(name string) string { return name + "-" + strings.ToLower(rand.Text()) }

func (s *stage) start(ctx context.Context, hooks chan<- arrival) error {
	options := pgtest.Options{Memory: true, Progress: func(what string) { fmt.Fprintln(s.opts.Out, what) }}
	if s.opts.Latency > 0 {
		// Figures are for a server that keeps what it has committed.
		options.Memory, options.Settings = false, map[string]string{"fsync": "on"}
	}
	var err error
	if s.server, err = pgtest.Start(ctx, options); err != nil {
		return fmt.Errorf("start Postgres: %w", err)
	}
	if err := s.fill(ctx); err != nil {
		return fmt.Errorf("make the CRM's database: %w", err)
	}
	var show = s.opts.Out
	if s.opts.Latency > 0 {
		show = nil
	}
	s.watcher, err = watch.Start(watch.Options{Out: show, Color: s.opts.Color, OnHook: func(h watch.Hook) {
		select {
		case hooks <- h:
		default: // nobody waits for them
		}
	}})
	if err != nil {
		return err
	}
	if err := s.writeConfig(); err != nil {
		return fmt.Errorf("write the config: %w", err)
	}
	if err := s.startApp(ctx); err != nil {
		return err
	}
	return s.subscribe(ctx)
}

// fill makes the database of the application.
func (s *stage) fill(ctx context.Context) error {
	admin, err := pgx.Connect(ctx, s.server.URL("postgres"))
	if err != nil {
		return err
	}
	defer admin.Close(context.WithoutCancel(ctx))
	if _, err := admin.Exec(ctx, "CREATE DATABASE "+database); err != nil {
		return err
	}
	if s.conn, err = pgx.Connect(ctx, s.server.URL(database)); err != nil {
		return err
	}
	_, err = s.conn.Exec(ctx, schema)
	return err
}

// writeConfig writes the config and the files that it refers to into the server's directory.
func (s *stage) writeConfig() error {
	dir := filepath.Join(s.server.Dir(), "demo")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	s.config = filepath.Join(dir, "demo.yaml")
	for name, content := range map[string]string{
		"demo.yaml":    string(configFile),
		"database_url": s.server.URL(database),
		"ops_token":    s.tokens["ops"],
		"acme_token":   s.tokens["acme"],
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// startApp starts rowhook and waits until it streams.
func (s *stage) startApp(ctx context.Context) error {
	cfg, err := config.Load(s.config)
	if err != nil {
		return err
	}
	ready := make(chan struct{})
	a, err := app.New(cfg, app.Options{Log: s.opts.Log, Version: s.opts.Version, OnReady: func(string) { close(ready) }})
	if err != nil {
		return err
	}
	addr, err := a.Listen()
	if err != nil {
		return err
	}
	root := "http://" + addr.(*net.TCPAddr).String()
	s.base, s.console = root+cfg.API.BasePath, root+"/console/#token="+s.tokens["ops"]
	// It is stopped in its turn, not when ctx is done.
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopApp = stop
	s.running.Go(func() {
		defer close(s.ended)
		s.err = a.Run(work)
	})
	select {
	case <-ready:
		return nil
	case <-s.ended:
		return errEnded // stop tells why
	case <-ctx.Done():
		return ctx.Err()
	}
}

// subscribe subscribes the receiver to everything, as anybody would: through the API.
func (s *stage) subscribe(ctx context.Context) error {
	c := client.Client{URL: s.base, Token: s.tokens["ops"]}
	made, err := c.Create(ctx, &client.Subscription{Events: []string{"*"}, TargetURL: s.watcher.URL("/hooks"), Name: "the demo's own"})
	if err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	s.watcher.Trust("/hooks", made.Secret)
	work, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.stopWatch = stop
	s.running.Go(func() { s.watcher.Run(work) })
	return nil
}

// stop ends everything in the order of the data: rowhook, when requests under way have ended, then the receiver and the
// server with its directory.
func (s *stage) stop() error {
	if s.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = s.conn.Close(ctx)
	}
	if s.stopApp != nil {
		s.stopApp()
	}
	<-s.ended
	if s.stopWatch != nil {
		s.stopWatch()
	}
	s.running.Wait()
	if s.watcher != nil {
		s.watcher.Close()
	}
	if s.server != nil {
		if err := s.server.Stop(); err != nil {
			return fmt.Errorf("stop Postgres: %w", err)
		}
	}
	return nil
}

// showWay says how to look further. Every line can be pasted.
func (s *stage) showWay() {
	out := s.opts.Out
	secret := subscriptions.NewSecret().Reveal()
	s.watcher.Trust("/acme", secret)
	fmt.Fprintf(out, `
  Postgres %s on port %d, database %s: accounts, companies, contacts, deals
  rowhook at %s, with the config %s
  receiver at %s, subscribed to every event

Watch and look into everything in the console:
  %s
List the subscriptions:
  curl -H 'Authorization: Bearer %s' %s/subscription/
Add one, as the customer with account 1, for deals; its hooks are shown here as well:
  curl -H 'Authorization: Bearer %s' -H 'Content-Type: application/json' -d '{"events": ["deal.*"], "target_url": "%s", "secret": "%s"}' %s/subscription/
See what would be sent for a row:
  %s preview --pretty --config %s contact 1
Change rows yourself, such as UPDATE contacts SET email = 'me@example.com' WHERE id = 1;
  psql '%s'

Ctrl-C ends it all.

`, strings.Fields(s.server.Version())[0], s.server.Port(), database, s.base, s.config, s.watcher.URL("/hooks"),
		s.console, s.tokens["ops"], s.base, s.tokens["acme"], s.watcher.URL("/acme"), secret, s.base, s.opts.Command, s.config, s.server.URL(database))
	s.watcher.Heading()
}
