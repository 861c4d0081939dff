package cdc

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"regexp"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rowhook/rowhook/internal/secret"
)

// Config says what to read, and how.
type Config struct {
	// URL of the source: direct, since the replication protocol does not pass through poolers.
	URL secret.String
	// Slot and Publication are made when they do not exist and the role may. Slot matches ^[a-z0-9_]{1,63}$.
	Slot        string
	Publication string
	// Tables are published. None is an error.
	Tables []TableName
	// Temporary makes the slot last as long as the connection: nothing is left behind, and nothing survives.
	Temporary bool
	// Environment is kept with the checkpoint: a store of another environment is refused.
	Environment string
	// Prefixes are those of the logical messages that the handler gets, if they are transactional; the first one that is
	// not is logged.
	Prefixes []string
	// DrainTimeout is how long Run waits for outstanding receipts when it is stopped. Defaults to 10 s.
	DrainTimeout time.Duration
	// SlotTimeout bounds how long the making of a slot waits for running transactions before it is told, and tried again. Defaults to 20 s.
	SlotTimeout time.Duration
	// MaxMessage is the largest message taken, in bytes. Defaults to 64 MiB.
	MaxMessage int64
	// ReadOnly has the server refuse whatever would change something: for Survey.
	ReadOnly bool
	Log      *slog.Logger
}

var slotName = regexp.MustCompile(`^[a-z0-9_]{1,63}$`)

func (c Config) validate() error {
	switch {
	case c.URL == "":
		return errors.New("no database URL")
	case !slotName.MatchString(c.Slot):
		return fmt.Errorf("slot %q: a slot's name has lower-case letters, digits and _ only, 63 at most", c.Slot)
	case c.Publication == "":
		return errors.New("no publication")
	case len(c.Tables) == 0:
		return errors.New("no tables")
	}
	return nil
}

const (
	connectTimeout = 10 * time.Second
	closeTimeout   = 2 * time.Second
	// walSenderTimeout is asked of the server for our own connection, so that it does not depend on the server's settings
	// how soon a standby can take over.
	walSenderTimeout = 30 * time.Second
)

// StartupParameters fix how the server writes values. They beat every setting of role and database, so that these
// cannot change what a value's text looks like.
// https://www.postgresql.org/docs/current/runtime-config-client.html
func StartupParameters() map[string]string {
	return map[string]string{
		"client_encoding":    "UTF8",
		"timezone":           "UTC",
		"datestyle":          "ISO, YMD",
		"intervalstyle":      "iso_8601",
		"bytea_output":       "hex",
		"extra_float_digits": "3",
		"search_path":        "",
		// A regclass is written as an identifier.
		"quote_all_identifiers": "off",
	}
}

func (c Config) connConfig() (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(c.URL.Reveal())
	if err != nil {
		// The parser's error shows the URL.
		return nil, &Error{Class: Refused, What: "database.url cannot be read", Mend: "write it like postgres://user:password@127.0.0.1:5432/app"}
	}
	delete(cfg.RuntimeParams, "replication")
	maps.Copy(cfg.RuntimeParams, StartupParameters())
	cfg.RuntimeParams["application_name"] = "rowhook"
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = connectTimeout
	}
	return cfg, nil
}

// Connect opens an ordinary connection under the settings of StartupParameters, to a database that may be a source, with
// run-time parameters over them. Errors are of type Error, and say what helps.
func Connect(ctx context.Context, url secret.String, parameters map[string]string) (*pgx.Conn, error) {
	cfg, err := Config{URL: url}.connConfig()
	if err != nil {
		return nil, err
	}
	maps.Copy(cfg.RuntimeParams, parameters)
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return nil, connectError("connect to the database", &cfg.Config, err)
	}
	if err := RefusePooler(ctx, conn); err != nil {
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return conn, nil
}

// connectSQL opens an ordinary connection, with time limits of its own rather than those of role and database.
func (c Config) connectSQL(ctx context.Context) (*pgx.Conn, error) {
	parameters := map[string]string{
		"statement_timeout": "30s", "lock_timeout": "10s", "idle_in_transaction_session_timeout": "60s"}
	if c.ReadOnly {
		parameters["default_transaction_read_only"] = "on"
	}
	return Connect(ctx, c.URL, parameters)
}

// connectReplication opens a connection that speaks the replication protocol.
func (c Config) connectReplication(ctx context.Context) (*pgconn.PgConn, error) {
	cfg, err := c.connConfig()
	if err != nil {
		return nil, err
	}
	cfg.RuntimeParams["replication"] = "database"
	cfg.RuntimeParams["application_name"] = "rowhook " + c.Slot
	if c.ReadOnly {
		cfg.RuntimeParams["default_transaction_read_only"] = "on"
	}
	cfg.RuntimeParams["wal_sender_timeout"] = fmt.Sprintf("%dms", walSenderTimeout.Milliseconds())
	cfg.Config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { c.notice(n.SeverityUnlocalized, n.Code, n.Message) }
	most := thinAbove
	if c.MaxMessage > 0 {
		most = int(min(thinAbove, c.MaxMessage))
	}
	cfg.Config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return pgproto3.NewFrontend(&thinner{r: r, most: most}, w)
	}
	conn, err := pgconn.ConnectConfig(ctx, &cfg.Config)
	if err != nil {
		return nil, connectError("open a replication connection", &cfg.Config, err)
	}
	return conn, nil
}

// notice logs what the server says beside its answers.
func (c Config) notice(severity, code, message string) {
	level := slog.LevelDebug
	if severity == "WARNING" {
		level = slog.LevelWarn
	}
	c.Log.Log(context.Background(), level, "postgres says", "severity", severity, "code", code, "message", message)
}
