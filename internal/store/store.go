package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/lock"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/sender"
)

// Config says where the store is.
type Config struct {
	// URL of the database that holds the store.
	URL secret.String
	// Schema is made when it does not exist.
	Schema string
	// SourceURL is the source's database when it is another one: subscriptions are announced there. Empty when the store
	// is in the source's database.
	SourceURL secret.String
	// Connections is the most connections to the store. Defaults to 4.
	Connections int
	// Keys seal secrets and targets. Without them these are stored in the clear.
	Keys *seal.Keys
	// Release is the rowhook that opens it, such as 1.2.3: who cannot use what it makes of the store tells it. May be empty.
	Release string
	Log     *slog.Logger
}

// Store is a pool of connections to the store. Its methods may be called from any goroutine.
type Store struct {
	cfg    Config
	pool   *pgxpool.Pool
	source *pgxpool.Pool
	id     string
	// logLook is taken by who looks into the delivery log; logBounds is how far he looks.
	logLook   chan struct{}
	logBounds logBounds
	// eventScan is how many events one look goes through at most.
	eventScan int64
	// instanceTime is how long one goes on by the index of instances.
	instanceTime time.Duration
	// summarized is up to which page each index of instances is, as far as this process knows.
	summarized map[string]int64
	// summaryLag is how many pages summaries stay behind.
	summaryLag int64

	mu sync.Mutex
	// days are those whose partitions are known to exist.
	days map[string]bool
	// slot and owner are what Own noted: nothing is written for another one. Empty before.
	slot, owner string
	// onChange is told of changes of subscriptions made through this process.
	onChange func(id string, version int64, deleted bool, key int64)
	// onWritten is told of records that are durable.
	onWritten func([]sender.Record)
}

// errURL stands for an error that could show a connection string.
var errURL = errors.New("the URL cannot be read")

// Open connects, and brings the schema up to date. It waits for nothing: an error that may pass by itself is told by
// Unavailable.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	if cfg.Connections == 0 {
		cfg.Connections = 4
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{cfg: cfg, days: map[string]bool{}, logLook: make(chan struct{}, 1), logBounds: defaultLogBounds(), eventScan: defaultEventScan, instanceTime: instanceTime, summaryLag: defaultSummaryLag}
	var err error
	if s.pool, err = newPool(ctx, cfg.URL, cfg.Schema, cfg.Connections); err != nil {
		return nil, fmt.Errorf("open store: %w", err)
	}
	if cfg.SourceURL != "" {
		if s.source, err = newPool(ctx, cfg.SourceURL, "", 2); err != nil {
			s.Close()
			return nil, fmt.Errorf("open the source for the store: %w", err)
		}
	}
	if err := s.migrate(ctx); err != nil {
		s.Close()
		return nil, err
	}
	if err := s.pool.QueryRow(ctx, `SELECT id::text FROM store`).Scan(&s.id); err != nil {
		s.Close()
		return nil, s.setupError("read the store's id", err)
	}
	if err := s.seal(ctx); err != nil {
		s.Close()
		return nil, fmt.Errorf("open store: %w", err)
	}
	return s, nil
}

// Close ends all connections.
func (s *Store) Close() {
	s.pool.Close()
	if s.source != nil {
		s.source.Close()
	}
}

// ID tells stores apart that share a source.
func (s *Store) ID() string { return s.id }

// Ping says whether the store answers.
func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// Connections returns the number of connections that are open.
func (s *Store) Connections() int { return int(s.pool.Stat().TotalConns()) }

func newPool(ctx context.Context, url secret.String, schema string, size int) (*pgxpool.Pool, error) {
	cfg, err := poolConfig(url, schema, size)
	if err != nil {
		return nil, err
	}
	return pgxpool.NewWithConfig(ctx, cfg)
}

// newReadOnlyPool is one whose connections the server lets change nothing.
func newReadOnlyPool(ctx context.Context, url secret.String, schema string) (*pgxpool.Pool, error) {
	cfg, err := poolConfig(url, schema, 2)
	if err != nil {
		return nil, err
	}
	cfg.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	return pgxpool.NewWithConfig(ctx, cfg)
}

func poolConfig(url secret.String, schema string, size int) (*pgxpool.Config, error) {
	cfg, err := pgxpool.ParseConfig(url.Reveal())
	if err != nil {
		return nil, errURL
	}
	cfg.MaxConns = int32(size)
	// Each one: a name may lead elsewhere tomorrow.
	cfg.AfterConnect = cdc.RefusePooler
	cfg.MinConns = 0
	cfg.MaxConnIdleTime = 5 * time.Minute
	if cfg.ConnConfig.ConnectTimeout == 0 {
		cfg.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	p := cfg.ConnConfig.RuntimeParams
	delete(p, "replication")
	p["application_name"] = "rowhook store"
	p["timezone"] = "UTC"
	p["client_encoding"] = "UTF8"
	// What is acknowledged must be on disk, whatever the role's default says.
	p["synchronous_commit"] = "on"
	p["statement_timeout"] = "60s"
	p["lock_timeout"] = "20s"
	p["idle_in_transaction_session_timeout"] = "60s"
	if schema != "" {
		p["search_path"] = cdc.QuoteIdent(schema)
	}
	return cfg, nil
}

// migrate makes the schema and brings it up to date, one process at a time.
func (s *Store) migrate(ctx context.Context) error {
	if err := s.ensureSchema(ctx); err != nil {
		return err
	}
	if err := s.refuseLater(ctx); err != nil {
		return err
	}
	locker, err := lock.NewPostgresSessionLocker(lock.WithLockTimeout(1, 60))
	if err != nil {
		return err
	}
	db := stdlib.OpenDBFromPool(s.pool)
	defer func() { _ = db.Close() }()
	all, err := readMigrations()
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, nil, goose.WithGoMigrations(all...),
		goose.WithTableName("migration"), goose.WithSessionLocker(locker), goose.WithDisableGlobalRegistry(true),
		// Versions that were developed at the same time may bring theirs in another order.
		goose.WithAllowOutofOrder(true),
		goose.WithLogger(goose.NopLogger()))
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	before, err := provider.GetDBVersion(ctx)
	if err != nil {
		return s.setupError("read the store's version", err)
	}
	results, err := provider.Up(ctx)
	if err != nil {
		return s.setupError("bring the store's tables up to date", err)
	}
	if len(results) > 0 {
		s.cfg.Log.Info("store brought up to date", "schema", s.cfg.Schema, "from", before, "to", results[len(results)-1].Source.Version)
		if _, err := s.pool.Exec(ctx, `UPDATE store SET release = $1`, s.cfg.Release); err != nil {
			return s.setupError("note who brought the store up to date", err)
		}
	}
	// A later one may have done it while this one waited for the lock.
	return s.refuseLater(ctx)
}

func (s *Store) ensureSchema(ctx context.Context) error {
	var exists bool
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_namespace WHERE nspname = $1)`, s.cfg.Schema).Scan(&exists); err != nil {
		return s.setupError("connect to the store", err)
	}
	if exists {
		return nil
	}
	if _, err := s.pool.Exec(ctx, `CREATE SCHEMA IF NOT EXISTS `+cdc.QuoteIdent(s.cfg.Schema)); err != nil && sqlState(err) != "23505" {
		return s.setupError("make the store's schema", err)
	}
	return nil
}

// setupError adds the mend to an error of making the schema.
func (s *Store) setupError(what string, err error) error {
	e := &cdc.Error{Class: cdc.Unavailable, What: what, Err: err}
	switch code := sqlState(err); code {
	case "42501", "3F000", "42P01":
		e.Class = cdc.Refused
		e.Mend = s.setupMend(code)
	case "28P01", "28000", "3D000":
		e.Class = cdc.Refused
		e.Mend = "mend database.url, which is the store's too"
		if s.cfg.SourceURL != "" {
			e.Mend = "mend store.url"
		}
	case "08P01":
		e.Class = cdc.Refused
		e.Mend = cdc.PoolerMend
	case "25006":
		e.Mend = "the server is read-only, a standby perhaps: give the address of the primary, or wait until it is one"
	case "53300":
		e.Mend = "the server has no free connection: raise max_connections or the role's or database's limit, or end idle ones"
	case "57P03":
		e.Mend = "the server is starting or stopping"
	case "":
		e.Mend = "check that Postgres runs there and that host and port are right"
	}
	var refused *cdc.Error
	if errors.As(err, &refused) {
		return err // it says all
	}
	var connect *pgconn.ConnectError
	if errors.As(err, &connect) {
		if strings.Contains(err.Error(), "unsupported startup parameter") {
			e.Class, e.Mend = cdc.Refused, cdc.PoolerMend
		}
		c := connect.Config
		e.What = fmt.Sprintf("%s at %s:%d/%s", what, c.Host, c.Port, c.Database)
		e.Err = connect.Unwrap()
	}
	var pg *pgconn.PgError
	if errors.As(err, &pg) {
		e.Err = fmt.Errorf("%s (SQLSTATE %s)", pg.Message, pg.Code)
	}
	return e
}

// setupMend is what mends a schema that cannot be made (42501) or used.
func (s *Store) setupMend(code string) string {
	user := s.pool.Config().ConnConfig.User
	if code == "42501" {
		return fmt.Sprintf("the role %q may not; let the database's owner run\n    CREATE SCHEMA %s AUTHORIZATION %s;\n    (or give rowhook a database of its own in store.url)",
			user, cdc.QuoteIdent(s.cfg.Schema), cdc.QuoteIdent(user))
	}
	// A schema that the role may not use is as if it were not there.
	return fmt.Sprintf("the role %q may not use the schema %s, which exists; let its owner run\n    ALTER SCHEMA %s OWNER TO %s;",
		user, s.cfg.Schema, cdc.QuoteIdent(s.cfg.Schema), cdc.QuoteIdent(user))
}

func sqlState(err error) string { return cdc.SQLState(err) }

// Drop removes the schema with all it holds.
func (s *Store) Drop(ctx context.Context) error {
	_, err := s.pool.Exec(ctx, `DROP SCHEMA IF EXISTS `+cdc.QuoteIdent(s.cfg.Schema)+` CASCADE`)
	return err
}

// transact runs f in a transaction.
func (s *Store) transact(ctx context.Context, f func(pgx.Tx) error) error {
	return pgx.BeginFunc(ctx, s.pool, f)
}
