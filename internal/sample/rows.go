package sample

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
)

// Reader reads rows. Its methods may be called from any goroutine.
type Reader struct {
	url secret.String
	// maxRow bounds a row, and what is read of its relations, in bytes.
	maxRow int64
	// ask asks the application for its answer at a path; missing says of an error of it that there is none.
	ask     func(ctx context.Context, path string) ([]byte, error)
	missing func(error) bool
	// slots bound how many connections are open.
	slots chan struct{}

	// turns let each account have one of them at a time.
	mu    sync.Mutex
	turns map[string]*turn
}

// turn is one account's, or the admin's. Users are those who have it or wait for it.
type turn struct {
	taken chan struct{}
	users int
}

const (
	// atOnce is how many samples are made at once. Others wait.
	atOnce = 2
	// keysLooked is how many rows are looked at, newest first.
	keysLooked = 100
	// statementTimeout bounds each statement, lockTimeout what it waits for locks, total all that one sample takes.
	statementTimeout = "2s"
	lockTimeout      = "500ms"
	total            = 10 * time.Second
)

// NewReader reads from the database at the URL, which may be a standby. Rows larger than maxRow bytes are not read. Ask asks the
// application for its answer at a path, and missing says of its error that there is none.
func NewReader(url secret.String, maxRow int64, ask func(context.Context, string) ([]byte, error), missing func(error) bool) *Reader {
	return &Reader{url: url, maxRow: maxRow, ask: ask, missing: missing, slots: make(chan struct{}, atOnce), turns: map[string]*turn{}}
}

// Rows are events of the type of the newest rows by key, at most n, as they are now, newest first: of the account's rows where
// one is given. There are none where no row is found in time. Errors hold no values of rows.
func (r *Reader) Rows(ctx context.Context, m *mapping.Mapper, event string, account *string, n int) ([]*mapping.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, total)
	defer cancel()
	leave, err := r.enter(ctx, account)
	if err != nil {
		return nil, err
	}
	defer leave()
	s, err := m.Sampler(event)
	if err != nil {
		return nil, err
	}
	conn, err := cdc.Connect(ctx, r.url, map[string]string{"application_name": "rowhook samples", "default_transaction_read_only": "on",
		"statement_timeout": statementTimeout, "lock_timeout": lockTimeout})
	if err != nil {
		return nil, err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = conn.Close(closing)
	}()
	if r.maxRow > 0 {
		conn.PgConn().Frontend().SetMaxBodyLen(int(min(r.maxRow, 1<<30)))
	}
	x := reading{Reader: r, conn: conn, sampler: s, account: account}
	return x.run(ctx, n)
}

// enter waits for a slot. Whoever asks again and again waits for itself, and others wait for one of its samples at most.
func (r *Reader) enter(ctx context.Context, account *string) (leave func(), err error) {
	key := "" // the admin's: no account has it
	if account != nil {
		key = *account
	}
	r.mu.Lock()
	t := r.turns[key]
	if t == nil {
		t = &turn{taken: make(chan struct{}, 1)}
		r.turns[key] = t
	}
	t.users++
	r.mu.Unlock()
	gone := func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if t.users--; t.users == 0 {
			delete(r.turns, key)
		}
	}
	select {
	case t.taken <- struct{}{}:
	case <-ctx.Done():
		gone()
		return nil, ctx.Err()
	}
	select {
	case r.slots <- struct{}{}:
	case <-ctx.Done():
		<-t.taken
		gone()
		return nil, ctx.Err()
	}
	return func() { <-r.slots; <-t.taken; gone() }, nil
}

// reading is one call of Rows.
type reading struct {
	*Reader
	conn    *pgx.Conn
	sampler *mapping.Sampler
	account *string
}

func (x *reading) run(ctx context.Context, n int) ([]*mapping.Event, error) {
	now, position, err := Present(ctx, x.conn)
	if err != nil {
		return nil, x.failed(ctx, err)
	}
	keys, err := x.keys(ctx)
	switch cdc.SQLState(err) {
	case "57014", "22P02", "22003", "22007", "22008", "22021":
		return nil, nil // it takes too long to find one, or the account's name is none that a row can have
	}
	if err != nil {
		return nil, x.failed(ctx, err)
	}
	var events []*mapping.Event
	for _, key := range keys {
		e, err := x.event(ctx, key)
		if err != nil {
			return nil, err
		}
		if e == nil {
			continue
		}
		e.Time = now.UTC()
		e.Position = position
		e.Position.Ordinal = uint32(n - len(events)) // the newest has the greatest
		e.ID = idOf(e)
		if events = append(events, e); len(events) == n {
			break
		}
	}
	return events, nil
}

// keys are those of the newest rows.
func (x *reading) keys(ctx context.Context) ([][][]byte, error) {
	t := x.sampler.Table()
	columns, order := make([]string, len(x.sampler.Key())), make([]string, len(x.sampler.Key()))
	for i, k := range x.sampler.Key() {
		columns[i] = cdc.QuoteIdent(t.Columns[k].Name)
		order[i] = columns[i] + " desc"
	}
	sql, args := "select "+strings.Join(columns, ", ")+" from "+t.Quote(), [][]byte(nil)
	if column, ok := x.sampler.AccountColumn(); ok && x.account != nil {
		sql += " where " + cdc.QuoteIdent(t.Columns[column].Name) + " = $1"
		args = [][]byte{[]byte(*x.account)}
	}
	result := x.conn.PgConn().ExecParams(ctx, fmt.Sprintf("%s order by %s limit %d", sql, strings.Join(order, ", "), keysLooked), args, nil, nil, nil).Read()
	return result.Rows, result.Err
}

// row is the row of a key, as the stream would tell it; nil where it is gone.
func (x *reading) row(ctx context.Context, key [][]byte) (cdc.Row, error) {
	t := x.sampler.Table()
	columns := make([]string, len(t.Columns))
	for i, c := range t.Columns {
		columns[i] = cdc.QuoteIdent(c.Name)
	}
	where := make([]string, len(key))
	for i, k := range x.sampler.Key() {
		where[i] = fmt.Sprintf("%s = $%d", cdc.QuoteIdent(t.Columns[k].Name), i+1)
	}
	result := x.conn.PgConn().ExecParams(ctx, "select "+strings.Join(columns, ", ")+" from "+t.Quote()+" where "+strings.Join(where, " and "), key, nil, nil, nil).Read()
	if result.Err != nil {
		return nil, x.failed(ctx, result.Err)
	}
	if len(result.Rows) == 0 {
		return nil, nil
	}
	row := make(cdc.Row, len(columns))
	for i, v := range result.Rows[0] {
		switch {
		case t.Columns[i].Generated: // not in the stream
		case v == nil:
			row[i].Kind = cdc.Null
		default:
			row[i] = cdc.Value{Kind: cdc.Text, Data: v}
		}
	}
	return row, nil
}

// event is the event of a key's row; nil where it has none that may be shown.
func (x *reading) event(ctx context.Context, key [][]byte) (*mapping.Event, error) {
	e, err := x.made(ctx, key)
	if e == nil || err != nil || !e.Incomplete() {
		return e, err
	}
	if dead, err := x.complete(ctx, e); dead || err != nil {
		return nil, err
	}
	// What was read behind the row is of whom the row belonged to by then.
	again, err := x.made(ctx, key)
	if again == nil || err != nil || again.Accounted != e.Accounted || again.Account != e.Account {
		return nil, err
	}
	return e, nil
}

func (x *reading) made(ctx context.Context, key [][]byte) (*mapping.Event, error) {
	row, err := x.row(ctx, key)
	if row == nil || err != nil {
		return nil, err
	}
	e, err := x.sampler.Event(row)
	if err != nil || e == nil || x.account != nil && (!e.Accounted || e.Account != *x.account) {
		return nil, nil // a row that cannot be mapped is a dead letter, and no sample
	}
	return e, nil
}

// complete puts in what an event waits for. Dead says that it cannot be had for this row.
func (x *reading) complete(ctx context.Context, e *mapping.Event) (dead bool, err error) {
	rows := cdc.NewRowReader(x.url, x.maxRow, slog.New(slog.DiscardHandler))
	defer rows.Close()
	c := mapping.NewCompletion([]*mapping.Event{e})
	if err := rows.ReadRelated(ctx, nil, c, int(min(x.maxRow, math.MaxInt32))); err != nil {
		var refused *cdc.LookupError
		if errors.As(err, &refused) && ctx.Err() == nil {
			return true, nil
		}
		return false, x.failed(ctx, err)
	}
	for _, d := range c.Documents() {
		answer, err := x.ask(ctx, d.Path)
		switch {
		case err == nil:
			c.Answer(d.Path, answer)
		case x.missing(err):
			c.Missing(d.Path)
		default:
			return false, fmt.Errorf("ask the application for a %s: %w", d.Resource, err)
		}
	}
	_, dead = c.Complete(e)
	return dead, nil
}

// failed is an error without what a row may hold.
func (x *reading) failed(ctx context.Context, err error) error {
	var pg *pgconn.PgError
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.As(err, &pg):
		return fmt.Errorf("read a row of %s: Postgres refuses it with SQLSTATE %s", x.sampler.Table().TableName, pg.Code)
	}
	return fmt.Errorf("read a row of %s: %w", x.sampler.Table().TableName, err)
}

// Present is the time and the position of now.
func Present(ctx context.Context, conn *pgx.Conn) (time.Time, cdc.Position, error) {
	var now time.Time
	var lsn string
	err := conn.QueryRow(ctx, `select now(), (case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end)::text`).Scan(&now, &lsn)
	if err != nil {
		return now, cdc.Position{}, fmt.Errorf("ask the server for its position: %w", err)
	}
	at, err := pglogrepl.ParseLSN(lsn)
	return now, cdc.Position{Epoch: 1, Commit: at, Ordinal: 1}, err
}
