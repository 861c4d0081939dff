package store

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/finding"
)

// Survey is what a look at the store found.
type Survey struct {
	Findings []finding.Finding
	// Good says in a line each what is as it should be.
	Good []string
	// Store reads what is there, and changes nothing; nil where there is none that this version can read. Close it.
	Store *Store
}

// Look looks at the store without making or changing anything. The error is the context's.
func Look(ctx context.Context, cfg Config) (*Survey, error) {
	v := &Survey{}
	pool, err := newReadOnlyPool(ctx, cfg.URL, cfg.Schema)
	if err != nil {
		return v, v.add(ctx, &cdc.Error{Class: cdc.Refused, What: "store.url cannot be read"})
	}
	s := &Store{cfg: cfg, pool: pool, days: map[string]bool{}}
	keep, err := s.look(ctx, v)
	if err != nil || !keep {
		pool.Close()
		if err != nil {
			return v, v.add(ctx, s.setupError("connect to the store", err))
		}
		return v, nil
	}
	v.Store = s
	if err := s.opens(ctx); err != nil {
		if !errors.Is(err, ErrSealed) {
			err = s.setupError("read the subscriptions", err)
		}
		return v, v.add(ctx, err)
	}
	return v, nil
}

// Made says whether the store was ever made.
func Made(ctx context.Context, cfg Config) (made bool, err error) {
	pool, err := newReadOnlyPool(ctx, cfg.URL, cfg.Schema)
	if err != nil {
		return false, err
	}
	defer pool.Close()
	err = pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relname = 'migration')`,
		cfg.Schema).Scan(&made)
	return made, err
}

// opens says whether the keys open what is sealed: one of each key is tried.
func (s *Store) opens(ctx context.Context) error {
	rows, err := s.pool.Query(ctx, `SELECT DISTINCT ON (split_part(secrets #>> '{}', '.', 3)) id, secrets FROM subscription
		WHERE deleted_at IS NULL AND jsonb_typeof(secrets) = 'string' ORDER BY split_part(secrets #>> '{}', '.', 3), key`)
	if err != nil {
		return err
	}
	var id string
	var secrets []byte
	_, err = pgx.ForEachRow(rows, []any{&id, &secrets}, func() error {
		if _, err := s.openSecrets(id, secrets); err != nil {
			return sealError(fmt.Errorf("subscription %s: %w", id, err))
		}
		return nil
	})
	return err
}

func (v *Survey) add(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var e *cdc.Error
	if !errors.As(err, &e) {
		e = &cdc.Error{What: err.Error()}
	}
	consequence := "rowhook run refuses to start"
	if e.Class == cdc.Unavailable {
		consequence = "rowhook run waits until that is over"
	}
	v.Findings = append(v.Findings, e.Finding("store", consequence))
	return nil
}

// look says whether the store can be read as it is.
func (s *Store) look(ctx context.Context, v *Survey) (keep bool, err error) {
	var readable, usable, mayCreate bool
	var version *string
	var applied []int64
	var state schemaState
	err = pgx.BeginTxFunc(ctx, s.pool, pgx.TxOptions{AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		var exists, recovery bool
		err := tx.QueryRow(ctx, `
			select n.oid is not null, coalesce(has_schema_privilege(n.oid, 'USAGE') and has_schema_privilege(n.oid, 'CREATE'), false),
				has_database_privilege(current_database(), 'CREATE'), pg_is_in_recovery()
			from (select 1) one left join pg_namespace n on n.nspname = $1`, s.cfg.Schema).Scan(&exists, &usable, &mayCreate, &recovery)
		switch {
		case err != nil:
			return err
		case recovery:
			return v.add(ctx, &cdc.Error{Class: cdc.Unavailable, What: "the store's server is a standby", Mend: "give the address of the primary, or wait until it is one"})
		case !exists && mayCreate:
			v.Good = append(v.Good, fmt.Sprintf("store: rowhook run makes the schema %s", s.cfg.Schema))
			return nil
		case !exists:
			return v.add(ctx, s.refusal("make the schema %s", "42501"))
		case !usable:
			return v.add(ctx, s.refusal("use the schema %s", "3F000"))
		}
		var others int
		err = tx.QueryRow(ctx, `select count(*) filter (where not pg_has_role(relowner, 'USAGE')), max(oid::int8) filter (where relname = 'migration')::text
			from pg_class where relnamespace = (select oid from pg_namespace where nspname = $1) and relkind in ('r', 'p')`, s.cfg.Schema).Scan(&others, &version)
		if err != nil {
			return err
		}
		if others > 0 {
			return v.add(ctx, s.refusal("use the tables in the schema %s", "table"))
		}
		if version == nil {
			v.Good = append(v.Good, fmt.Sprintf("store: schema %s is there, rowhook run makes its tables", s.cfg.Schema))
			return nil
		}
		readable = true
		if err := tx.QueryRow(ctx, `select coalesce(array_agg(version_id), '{}') from migration where is_applied`).Scan(&applied); err != nil || len(applied) < 2 {
			return err // goose notes a version 0 before it makes anything
		}
		state, err = readSchemaState(ctx, tx)
		return err
	})
	if err != nil || !readable {
		return false, err
	}
	known := knownMigrations()
	newest := known[len(known)-1]
	if err := state.refusal(newest); err != nil {
		return false, v.add(ctx, err)
	}
	// They may have been applied in another order, so that one in between is missing.
	for _, n := range known {
		if !slices.Contains(applied, n) {
			v.Good = append(v.Good, fmt.Sprintf("store: schema %s, version %d: rowhook run brings it to %d", s.cfg.Schema, n-1, newest))
			return false, nil
		}
	}
	if state.version > newest {
		v.Good = append(v.Good, fmt.Sprintf("store: schema %s, version %d, made by a later rowhook: this one, which knows %d, works with it", s.cfg.Schema, state.version, newest))
		return true, nil
	}
	v.Good = append(v.Good, fmt.Sprintf("store: schema %s, version %d", s.cfg.Schema, newest))
	return true, nil
}

// knownMigrations are the versions of the store that this program makes, in their order.
func knownMigrations() []int64 {
	files, _ := fs.Glob(migrations, "migrations/*.sql")
	known := []int64{}
	for _, f := range files {
		number, _, _ := strings.Cut(strings.TrimPrefix(f, "migrations/"), "_")
		if n, err := strconv.ParseInt(number, 10, 64); err == nil {
			known = append(known, n)
		}
	}
	slices.Sort(known)
	return known
}

// newestMigration is the version that this program brings a store to.
func newestMigration() int64 { return slices.Max(knownMigrations()) }

// refusal is what opening the store would be refused with: for making the schema (42501), for using it, for its tables.
func (s *Store) refusal(what, code string) *cdc.Error {
	schema, user := cdc.QuoteIdent(s.cfg.Schema), cdc.QuoteIdent(s.pool.Config().ConnConfig.User)
	e := &cdc.Error{Class: cdc.Refused, What: fmt.Sprintf("the role may not "+what, s.cfg.Schema)}
	switch code {
	case "42501":
		e.Mend = "let the database's owner make it, or give rowhook a database of its own in store.url"
		e.SQL = []finding.Statement{{Phase: finding.Schema, SQL: fmt.Sprintf("CREATE SCHEMA IF NOT EXISTS %s AUTHORIZATION %s;", schema, user), Note: asMember(user)}}
	case "3F000":
		e.Mend = "it exists, and is another role's: let its owner hand it over, or choose another one in store.schema"
		e.SQL = []finding.Statement{{Phase: finding.Schema, SQL: fmt.Sprintf("ALTER SCHEMA %s OWNER TO %s;", schema, user), Note: asMember(user)}}
	default:
		e.Mend = fmt.Sprintf("the tables in the schema %s are another role's; give rowhook a schema of its own in store.schema, or let their owner run\n    REASSIGN OWNED BY … TO %s;", s.cfg.Schema, user)
	}
	if s.cfg.SourceURL != "" {
		for i := range e.SQL {
			e.SQL[i].Database = s.pool.Config().ConnConfig.Database + " of store.url"
		}
	}
	return e
}

// asMember is what Postgres 16 and later want.
func asMember(role string) string {
	return "Without a superuser, Postgres 16 and later want GRANT " + role + " TO CURRENT_USER; before it."
}

// SchemaStatement makes the schema of a store that nobody could look at.
func SchemaStatement(cfg Config, role string) finding.Statement {
	q := cdc.QuoteIdent(role)
	return finding.Statement{Phase: finding.Schema, SQL: fmt.Sprintf("CREATE SCHEMA IF NOT EXISTS %s AUTHORIZATION %s;", cdc.QuoteIdent(cfg.Schema), q), Note: asMember(q)}
}
