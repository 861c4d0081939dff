package store

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
)

// A rowhook works on a store that a later one has brought further, as long as nothing was taken away that it uses: the store
// says by usable_from which version of itself a rowhook must know. What only adds to the tables leaves that as it is. So two
// releases run beside each other during an upgrade, and there is a way back from it.

// querier is a pool or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// schemaState is what a store says of itself.
type schemaState struct {
	// version is the newest migration that was made, usableFrom the oldest that a rowhook must know, or 0 where it is not said.
	version, usableFrom int64
	// release is the rowhook that brought it there; empty where it is not known.
	release string
}

// readSchemaState reads it. Columns that are not there yet are none.
func readSchemaState(ctx context.Context, q querier) (st schemaState, err error) {
	err = q.QueryRow(ctx, `SELECT (SELECT coalesce(max(version_id), 0) FROM migration WHERE is_applied),
		coalesce((to_jsonb(s)->>'usable_from')::bigint, 0), coalesce(to_jsonb(s)->>'release', '') FROM store s`).
		Scan(&st.version, &st.usableFrom, &st.release)
	return st, err
}

// refusal says that a rowhook which knows the migrations up to newest cannot use it, or is nil. A later one that says
// nothing of who may use it is nobody's but its own.
func (st schemaState) refusal(newest int64) error {
	if st.version <= newest || st.usableFrom > 0 && st.usableFrom <= newest {
		return nil
	}
	return &cdc.Error{Class: cdc.Refused,
		What: fmt.Sprintf("the store was brought to version %d by a later rowhook (%s), which has taken away what this one uses: it takes one that knows version %d, this one knows %d",
			st.version, cmp.Or(st.release, "of a release that it does not name"), cmp.Or(st.usableFrom, st.version), newest),
		Mend: fmt.Sprintf("use %s; there is no way back but a backup", cmp.Or(withName(st.release), "the later rowhook"))}
}

func withName(release string) string {
	if release == "" {
		return ""
	}
	return "rowhook " + release + " or later"
}

// refuseLater refuses a store that this rowhook cannot use any more. Nothing is written for it.
func (s *Store) refuseLater(ctx context.Context) error {
	var there bool
	var st schemaState
	err := s.pool.QueryRow(ctx, `SELECT count(*) = 2 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
		WHERE n.nspname = $1 AND c.relname IN ('migration', 'store')`, s.cfg.Schema).Scan(&there)
	if err == nil && there {
		st, err = readSchemaState(ctx, s.pool)
	}
	if err != nil {
		return s.setupError("read the store's version", err)
	}
	return st.refusal(newestMigration())
}
