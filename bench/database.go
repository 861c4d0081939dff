//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// settings are those of the throw-away server that matter, over pgtest's own: what is committed is on the disk, and
// the caches and the log are as large as Postgres makes them by default or larger, so that checkpoints do not decide.
var settings = map[string]string{
	"fsync":              "on",
	"full_page_writes":   "on",
	"synchronous_commit": "on",
	"shared_buffers":     "128MB",
	"max_wal_size":       "4GB",
	"checkpoint_timeout": "30min",
}

// shown are the settings that stand in the results.
var shown = []string{"autovacuum", "checkpoint_timeout", "fsync", "full_page_writes", "logical_decoding_work_mem", "max_connections",
	"max_wal_size", "shared_buffers", "synchronous_commit", "wal_compression", "wal_level", "wal_sync_method"}

// tables are those of the application. A row of items has about 300 bytes. write_singly changes 32 instances in rounds,
// then the next 32: so near to each other that a sender which does not keep them in order is seen.
const tables = `
create table items (id bigint primary key, seq bigint not null, sent bigint not null, account_id text not null, name text not null,
	email text not null, city text not null, created_at timestamptz not null default now(), note text not null);
create table notes (id bigint primary key, account_id text not null, note text not null);
create table history (item bigint not null, seq bigint not null, at timestamptz not null default now());
create procedure write_singly(events bigint, rounds bigint, accounts bigint) language plpgsql as $$
declare
	near constant bigint := 32;
	id_ bigint;
	seq_ bigint;
begin
	for n in 0 .. events - 1 loop
		id_ := n / (near * rounds) * near + n % near;
		seq_ := n % (near * rounds) / near;
		if seq_ = 0 then
			insert into items (id, seq, sent, account_id, name, email, city, note)
				values (id_, 0, 0, (id_ % accounts)::text, 'Ada Lovelace', 'ada@example.com', 'London', repeat('n', 200));
		else
			update items set seq = seq_ where id = id_;
		end if;
		commit;
	end loop;
end$$;
`

// writeWhole is one transaction of many rows.
const writeWhole = `insert into items (id, seq, sent, account_id, name, email, city, note)
	select n, 0, 0, '1', 'Ada Lovelace', 'ada@example.com', 'London', repeat('n', 200) from generate_series(0, $1::bigint - 1) n`

// ourName is what our own connections are called, so that they can be told from rowhook's.
const ourName = "rowhook-bench"

// A database is a fresh one for one run, with the tables of the application.
type database struct {
	name string // also of the slot and the publication
	url  string
	conn *pgx.Conn
	// admin makes and drops databases.
	admin string
	// store is where rowhook keeps what it has to: this database, or one on another server, which storeAdmin drops.
	store, storeAdmin string
	config            string // rowhook's file
}

func (b *bench) newDatabase(ctx context.Context) (*database, error) {
	d := &database{name: pgtest.Name("bench"), admin: b.server.URL("postgres")}
	d.url = b.server.URL(d.name)
	d.store, d.config = d.url, b.config
	if err := execute(ctx, d.admin, "create database "+d.name); err != nil {
		return nil, fmt.Errorf("make a database: %w", err)
	}
	if err := d.connect(ctx); err != nil {
		return nil, errors.Join(err, d.drop())
	}
	if _, err := d.conn.Exec(ctx, tables); err != nil {
		return nil, errors.Join(fmt.Errorf("make the tables: %w", err), d.drop())
	}
	return d, nil
}

func (d *database) connect(ctx context.Context) (err error) {
	if d.conn, err = pgx.Connect(ctx, d.ownURL()); err != nil {
		return fmt.Errorf("connect to the database: %w", err)
	}
	return nil
}

func (d *database) ownURL() string { return d.url + "&application_name=" + ourName }

// moveStore gives rowhook a database on another server for what it keeps.
func (b *bench) moveStore(ctx context.Context, d *database) (err error) {
	if b.apart == nil {
		if b.apart, err = b.startPostgres(ctx); err != nil {
			return err
		}
	}
	d.storeAdmin = b.apart.URL("postgres")
	if err := execute(ctx, d.storeAdmin, "create database "+d.name); err != nil {
		return fmt.Errorf("make a database for the store: %w", err)
	}
	d.store = b.apart.URL(d.name)
	return nil
}

// execute runs a statement on a connection of its own.
func execute(ctx context.Context, url, sql string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, sql)
	return err
}

// drop removes the database and its slot, which nobody uses any more.
func (d *database) drop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if d.conn != nil {
		_ = d.conn.Close(ctx)
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		// A walsender takes a moment to notice that its client has gone.
		err := execute(ctx, d.admin, `select pg_drop_replication_slot(slot_name) from pg_replication_slots where database = '`+d.name+`'`)
		if err == nil {
			err = execute(ctx, d.admin, "drop database if exists "+d.name+" with (force)")
		}
		if err == nil && d.storeAdmin != "" {
			err = execute(ctx, d.storeAdmin, "drop database if exists "+d.name+" with (force)")
		}
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("drop the database: %w", err)
		case <-tick.C:
		}
	}
}

// fill writes the events that wait when a run begins: in one transaction, or each in its own.
func (d *database) fill(ctx context.Context, l backlog) error {
	var err error
	if l.whole {
		_, err = d.conn.Exec(ctx, writeWhole, l.events)
	} else {
		_, err = d.conn.Exec(ctx, "set synchronous_commit = off")
		if err == nil {
			_, err = d.conn.Exec(ctx, fmt.Sprintf("call write_singly(%d, %d, %d)", l.events, max(l.perInstance, 1), max(l.accounts, 1)))
		}
	}
	if err != nil {
		return fmt.Errorf("write the backlog: %w", err)
	}
	if err := d.vacuum(ctx); err != nil {
		return err
	}
	return d.rest(ctx)
}

// rest leaves nothing to be written by the server that a run would pay for.
func (d *database) rest(ctx context.Context) error {
	if _, err := d.conn.Exec(ctx, "checkpoint"); err != nil {
		return fmt.Errorf("checkpoint: %w", err)
	}
	return nil
}

// catchUpTimeout bounds what reading the log of what was prepared may take.
const catchUpTimeout = 3 * time.Minute

// caughtUp waits until everything that is in the log now is acknowledged.
func (d *database) caughtUp(ctx context.Context) error {
	var end string
	if err := d.conn.QueryRow(ctx, `select pg_current_wal_insert_lsn()::text`).Scan(&end); err != nil {
		return fmt.Errorf("read the end of the log: %w", err)
	}
	deadline := time.Now().Add(catchUpTimeout)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		var done bool
		err := d.conn.QueryRow(ctx, `select confirmed_flush_lsn >= $2::text::pg_lsn from pg_replication_slots where slot_name = $1`, d.name, end).Scan(&done)
		if err != nil {
			return fmt.Errorf("look at the slot: %w", err)
		}
		if done {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("the slot has not reached %s within %s", end, catchUpTimeout)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// wal is how much WAL was written since the server was made, in bytes.
func (d *database) wal(ctx context.Context) (bytes int64, err error) {
	err = d.conn.QueryRow(ctx, `select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint`).Scan(&bytes)
	return bytes, err
}

// connections counts those to this database that are not ours.
func (d *database) connections(ctx context.Context) (n int, err error) {
	err = d.conn.QueryRow(ctx, `select count(*) from pg_stat_activity
		where datname = $1 and backend_type in ('client backend', 'walsender') and application_name <> $2`, d.name, ourName).Scan(&n)
	return n, err
}

// vacuum makes statistics and hint bits now, not when autovacuum finds the time.
func (d *database) vacuum(ctx context.Context) error {
	if _, err := d.conn.Exec(ctx, "vacuum analyze"); err != nil {
		return fmt.Errorf("vacuum: %w", err)
	}
	return nil
}
