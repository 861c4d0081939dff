// Package uninstall removes what rowhook has made in databases: the replication slot, the publication, and the schema of the store. It needs
// only the config, and no rowhook that runs.
package uninstall

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/config"
)

// Part is one thing that rowhook has made.
type Part struct {
	// Name says what it is, with its name; Database where it is.
	Name, Database string
	// There says that it is.
	There bool
	// SQL removes it, and changes nothing where it is not there.
	SQL string

	inStore bool
}

// Plan is what there is to remove, in the order in which it is removed: the slot first, since it holds the log.
type Plan struct {
	cfg   *config.Config
	Parts []Part
	// Left are statements about what is not rowhook's to remove, for a person to decide; with comments.
	Left []string
}

// New says what is removed by the config alone, whether it is there or not.
func New(cfg *config.Config) *Plan {
	db, store := cfg.Database.Name(), config.Database{URL: cfg.Store.URL}.Name()
	return &Plan{cfg: cfg, Parts: []Part{
		{Name: "the replication slot " + cfg.Database.Slot, Database: db,
			SQL: "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = " + cdc.QuoteLiteral(cfg.Database.Slot) + ";"},
		{Name: "the publication " + cfg.Database.Publication, Database: db,
			SQL: "DROP PUBLICATION IF EXISTS " + cdc.QuoteIdent(cfg.Database.Publication) + ";"},
		{Name: "the schema " + cfg.Store.Schema + ", with subscriptions, events and deliveries", Database: store, inStore: true,
			SQL: "DROP SCHEMA IF EXISTS " + cdc.QuoteIdent(cfg.Store.Schema) + " CASCADE;"},
	}}
}

// Script is all of it as SQL for psql.
func (p *Plan) Script() string {
	var b strings.Builder
	fmt.Fprintf(&b, "-- Removes what rowhook has made. Stop rowhook first.\n")
	at := ""
	for _, part := range p.Parts {
		if part.Database != at {
			at = part.Database
			fmt.Fprintf(&b, "\n\\connect %s\n", connectName(at))
		}
		fmt.Fprintf(&b, "\n-- %s\n%s\n", part.Name, part.SQL)
	}
	b.WriteString("\n-- If a role was made for rowhook alone, name it here:\n-- DROP OWNED BY rowhook; DROP ROLE rowhook;\n" +
		"\n-- A replica identity that was changed for rowhook: put it back, then drop its index if nothing else needs it.\n" +
		"-- ALTER TABLE … REPLICA IDENTITY DEFAULT;\n")
	return b.String()
}

// connectName is a database's name for psql's \connect.
func connectName(name string) string { return cdc.QuoteIdent(name) }

// Look finds out what is there. The error says what must not be removed, and why: a slot that somebody reads, or what is not rowhook's.
func Look(ctx context.Context, cfg *config.Config) (*Plan, error) {
	p := New(cfg)
	conn, err := p.connect(ctx, false)
	if err != nil {
		return nil, err
	}
	defer closeConn(conn)
	var refused []error
	if p.Parts[0].There, err = p.slot(ctx, conn); err != nil {
		refused = append(refused, err)
	}
	if err := conn.QueryRow(ctx, `select exists (select from pg_publication where pubname = $1)`, cfg.Database.Publication).Scan(&p.Parts[1].There); err != nil {
		return nil, fmt.Errorf("look for the publication %s: %w", cfg.Database.Publication, err)
	}
	if p.Left, err = identities(ctx, conn, cfg); err != nil {
		return nil, err
	}
	in, err := p.connect(ctx, true)
	if err != nil {
		return nil, err
	}
	defer closeConn(in)
	if p.Parts[2].There, err = p.schema(ctx, in); err != nil {
		refused = append(refused, err)
	}
	return p, errors.Join(refused...)
}

// slot says whether the slot is there, and refuses one that is read or that is somebody else's.
func (p *Plan) slot(ctx context.Context, conn *pgx.Conn) (bool, error) {
	name := p.cfg.Database.Slot
	var plugin, database, here string
	var active bool
	var pid *int32
	err := conn.QueryRow(ctx, `select coalesce(plugin, ''), coalesce(database, ''), current_database(), active, active_pid
		from pg_replication_slots where slot_name = $1`, name).Scan(&plugin, &database, &here, &active, &pid)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for the replication slot %s: %w", name, err)
	case plugin != "pgoutput" || database != here:
		return true, fmt.Errorf("the replication slot %s is not rowhook's: it uses the plugin %q, in the database %q\n  hint: see database.slot in the config", name, plugin, database)
	case active && pid != nil:
		return true, fmt.Errorf("a rowhook reads the replication slot %s now (process %d of the server)\n  hint: stop it, and its standbys, first", name, *pid)
	case active:
		return true, fmt.Errorf("a rowhook reads the replication slot %s now\n  hint: stop it, and its standbys, first", name)
	}
	return true, nil
}

// schema says whether the store's schema is there, and refuses one that is not rowhook's, or not this rowhook's alone.
func (p *Plan) schema(ctx context.Context, conn *pgx.Conn) (bool, error) {
	name := p.cfg.Store.Schema
	var there, tables, ours bool
	err := conn.QueryRow(ctx, `select n.oid is not null, exists (select from pg_class c where c.relnamespace = n.oid),
			(select count(*) from pg_class c where c.relnamespace = n.oid and c.relname in ('checkpoint', 'subscription', 'migration', 'store')) = 4
		from (select 1) x left join pg_namespace n on n.nspname = $1`, name).Scan(&there, &tables, &ours)
	switch {
	case err != nil:
		return false, fmt.Errorf("look for the schema %s: %w", name, err)
	case !there:
		return false, nil
	case tables && !ours:
		return true, fmt.Errorf("the schema %s is not rowhook's: it holds something else\n  hint: see store.schema in the config", name)
	case !tables:
		return true, nil
	}
	rows, err := conn.Query(ctx, `select slot from `+cdc.QuoteIdent(name)+`.checkpoint where slot <> $1 order by slot`, p.cfg.Database.Slot)
	if err != nil {
		return true, fmt.Errorf("look into the schema %s: %w", name, err)
	}
	others, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return true, fmt.Errorf("look into the schema %s: %w", name, err)
	}
	if len(others) > 0 {
		return true, fmt.Errorf("the schema %s is also the store of the slot %s\n  hint: uninstall that one first; or drop only the slot and the publication: see rowhook uninstall --sql", name, strings.Join(others, ", "))
	}
	return true, nil
}

// identities are the statements that put replica identities back which are not the default, of the mapped tables.
func identities(ctx context.Context, conn *pgx.Conn, cfg *config.Config) ([]string, error) {
	var names []string
	for _, r := range cfg.Mapping.Resources {
		names = append(names, r.Table.Quote())
	}
	rows, err := conn.Query(ctx, `select format('ALTER TABLE %s REPLICA IDENTITY DEFAULT;', c.oid::regclass)
			|| case c.relreplident when 'f' then '  -- it is FULL' when 'n' then '  -- it is NOTHING' else
				coalesce('  -- it is by the index ' || (select i.indexrelid::regclass from pg_index i where i.indrelid = c.oid and i.indisreplident), '') end
		from pg_class c where c.oid in (select to_regclass(t) from unnest($1::text[]) t) and c.relreplident <> 'd' order by c.oid::regclass::text`, names)
	if err != nil {
		return nil, fmt.Errorf("look at replica identities: %w", err)
	}
	out, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("look at replica identities: %w", err)
	}
	return out, nil
}

// Any says whether there is anything to remove.
func (p *Plan) Any() bool {
	for _, part := range p.Parts {
		if part.There {
			return true
		}
	}
	return false
}

// Remove removes what is there, and calls done after each. One part that cannot be removed does not keep the others.
func (p *Plan) Remove(ctx context.Context, done func(Part)) error {
	var failed []error
	for _, part := range p.Parts {
		if !part.There {
			continue
		}
		if err := p.remove(ctx, part); err != nil {
			failed = append(failed, fmt.Errorf("%s stays: %w\n  hint: let its owner run in the database %s\n    %s", part.Name, err, part.Database, part.SQL))
			continue
		}
		done(part)
	}
	return errors.Join(failed...)
}

func (p *Plan) remove(ctx context.Context, part Part) error {
	conn, err := p.connect(ctx, part.inStore)
	if err != nil {
		return err
	}
	defer closeConn(conn)
	_, err = conn.Exec(ctx, part.SQL)
	return err
}

func (p *Plan) connect(ctx context.Context, store bool) (*pgx.Conn, error) {
	url := p.cfg.Database.URL
	if store {
		url = p.cfg.Store.URL
	}
	return cdc.Connect(ctx, url, map[string]string{"application_name": "rowhook uninstall", "lock_timeout": "20s"})
}

func closeConn(conn *pgx.Conn) { _ = conn.Close(context.Background()) }
