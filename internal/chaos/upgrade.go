//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
)

// upgrade rolls from the release before to the program, Rounds times, and back between them: always one process at a
// time, first the standby. The program is killed in the middle of its migration, and whoever is at work in other steps.
func (r *run) upgrade(ctx context.Context) error {
	for round := range r.Rounds {
		if round > 0 {
			if err := r.roll(ctx, true, round%2 == 1); err != nil {
				return fmt.Errorf("roll back, round %d: %w", round+1, err)
			}
		} else if err := r.killMigrating(ctx); err != nil {
			return fmt.Errorf("kill it in its migration: %w", err)
		}
		if err := r.roll(ctx, false, round%2 == 1); err != nil {
			return fmt.Errorf("upgrade, round %d: %w", round+1, err)
		}
		r.Log("upgraded, round %d of %d, %d transactions", round+1, r.Rounds, r.load.transactions.Load())
		if round == 0 {
			if err := r.bringFurther(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// roll replaces the standby, then who is at work.
func (r *run) roll(ctx context.Context, back, kill bool) error {
	for _, n := range []int{1, 0} {
		wait(ctx, time.Duration(r.rng.Int64N(int64(r.Gap))))
		p := r.procs[n]
		var err error
		if at := time.Now(); kill {
			r.ledger.broke(killed, p.Kill())
		} else {
			err = p.Stop(patience)
			r.ledger.broke(stopped, at)
		}
		r.ended(p)
		r.older = back
		if err = errors.Join(err, r.launch(ctx)); err != nil {
			return err
		}
	}
	return nil
}

// killMigrating kills the program while its migration waits for a table. Where it has none to make, it is killed a moment
// after its start.
func (r *run) killMigrating(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, r.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	tx, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	// Every table, so that whatever is altered waits; they are read and written meanwhile.
	if _, err := tx.Exec(ctx, `do $$ declare t regclass; begin
		for t in select c.oid from pg_class c where relnamespace = 'rowhook'::regnamespace and relkind in ('r', 'p') and relname <> 'migration' loop
			execute format('lock table %s in access share mode', t);
		end loop; end $$`); err != nil {
		return err
	}
	r.older = false
	p, err := r.start()
	if err != nil {
		return err
	}
	waits := false
	for began := time.Now(); !waits && time.Since(began) < 10*time.Second; wait(ctx, 5*time.Millisecond) {
		if err := tx.QueryRow(ctx, `select exists (select from pg_locks where not granted and mode = 'AccessExclusiveLock'
			and relation in (select oid from pg_class where relnamespace = 'rowhook'::regnamespace))`).Scan(&waits); err != nil {
			return err
		}
	}
	r.ledger.broke(killed, p.Kill())
	r.ended(p)
	r.Log("killed the program in the middle of a migration: %t", waits)
	if !waits && r.MustMigrate {
		return errors.New("it made no migration: give a release before with an earlier version of the store")
	}
	return nil
}

// bringFurther does to the store what a release after the program may do.
func (r *run) bringFurther(ctx context.Context) error {
	if r.Further == "" {
		return nil
	}
	server := r.source
	if r.store != nil {
		server = r.store
	}
	conn, err := pgx.Connect(ctx, server.URL("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	// It locks all tables, in another order than those who write: as the start of a release does, it begins again when it was the one to give way.
	for began := time.Now(); ; wait(ctx, 50*time.Millisecond) {
		_, err := conn.Exec(ctx, r.Further)
		if cdc.SQLState(err) == deadlock && time.Since(began) < time.Minute && ctx.Err() == nil {
			r.Log("bringing the store further met a deadlock, and begins again")
			continue
		}
		if err != nil {
			return fmt.Errorf("bring the store further: %w", err)
		}
		return nil
	}
}

// deadlock is the SQLSTATE of a transaction that was ended for the others that it met in one:
// https://www.postgresql.org/docs/current/errcodes-appendix.html
const deadlock = "40P01"
