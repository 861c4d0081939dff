package store

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/subscriptions"
)

// The states of a job.
const (
	JobQueued    = "queued"
	JobRunning   = "running"
	JobDone      = "done"
	JobFailed    = "failed"
	JobCancelled = "cancelled"
)

// Job is something that was asked for and takes longer than a request.
type Job struct {
	Key int64
	// ID begins with job_.
	ID, Kind string
	// Subscription is the Key of whose it is, SubscriptionID its ID.
	Subscription   int64
	SubscriptionID string
	// Parameters say what is wanted, Progress where it goes on; both in the words of the kind. Progress is nil at the beginning.
	Parameters, Progress json.RawMessage
	State                string
	// Total is how much there is to be done, nil where that is not known; Done how much has been.
	Total *int64
	Done  int64
	// Error is why it failed; RequestedBy who asked for it.
	Error, RequestedBy string
	CreatedAt          time.Time
	// StartedAt and FinishedAt are zero before.
	StartedAt, FinishedAt time.Time
}

var (
	// ErrNoJob says that there is no such job, or that it is somebody else's.
	ErrNoJob = errors.New("there is no such job")
	// ErrJobEnded says that it has ended, so that nothing can be changed any more.
	ErrJobEnded = errors.New("the job has ended")
	// ErrJobOpen says that there is one of the kind already for the subscription, which has not ended.
	ErrJobOpen = errors.New("the subscription has such a job already")
)

const jobColumns = `j.key, j.id, j.kind, j.subscription, s.id, j.parameters, j.progress, j.state, j.total, j.done, j.error, j.requested_by, j.created_at,
	j.started_at, j.finished_at`

const jobTables = `job j JOIN subscription s ON s.key = j.subscription AND s.deleted_at IS NULL`

func scanJob(row pgx.Row) (*Job, error) {
	j := &Job{}
	var started, finished *time.Time
	if err := row.Scan(&j.Key, &j.ID, &j.Kind, &j.Subscription, &j.SubscriptionID, &j.Parameters, &j.Progress, &j.State, &j.Total, &j.Done, &j.Error,
		&j.RequestedBy, &j.CreatedAt, &started, &finished); err != nil {
		return nil, err
	}
	j.CreatedAt, j.StartedAt, j.FinishedAt = j.CreatedAt.UTC(), timeOf(started), timeOf(finished)
	return j, nil
}

// keptJobs are how many jobs of a subscription are kept that have ended. Each holds what was asked for, which may be a list of a quarter of
// a megabyte, and nobody bounds how many are asked for in the time of the retention.
const keptJobs = 100

// CreateJob queues a job, and sets its Key, ID, State and CreatedAt. It returns ErrJobOpen where the subscription may have one of the
// kind at a time and has it, and subscriptions.ErrNotFound where it was deleted. Of those that have ended it keeps the newest.
func (s *Store) CreateJob(ctx context.Context, j *Job) error {
	j.ID, j.State = "job_"+strings.ToLower(rand.Text()), JobQueued
	err := s.pool.QueryRow(ctx, `
		WITH old AS (DELETE FROM job WHERE finished_at IS NOT NULL AND subscription = $3
			AND key <= (SELECT key FROM job WHERE subscription = $3 ORDER BY key DESC OFFSET $7 LIMIT 1))
		INSERT INTO job (id, kind, subscription, parameters, total, requested_by)
		SELECT $1, $2, $3, $4, $5, $6 FROM subscription WHERE key = $3 AND deleted_at IS NULL
		RETURNING key, created_at`, j.ID, j.Kind, j.Subscription, j.Parameters, j.Total, j.RequestedBy, keptJobs).Scan(&j.Key, &j.CreatedAt)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return subscriptions.ErrNotFound
	case sqlState(err) == "23505":
		return ErrJobOpen
	case err != nil:
		return unavailable(fmt.Errorf("create job: %w", err))
	}
	j.CreatedAt = j.CreatedAt.UTC()
	return nil
}

// Job returns a job that the caller may see, or ErrNoJob. Those of deleted subscriptions are seen by nobody.
func (s *Store) Job(ctx context.Context, scope subscriptions.Scope, id string) (*Job, error) {
	j, err := scanJob(s.pool.QueryRow(ctx, `SELECT `+jobColumns+` FROM `+jobTables+` AND ($1 OR s.account = $2) WHERE j.id = $3`, scope.Admin, scope.Account, id))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNoJob
	}
	if err != nil {
		return nil, unavailable(fmt.Errorf("read job: %w", err))
	}
	return j, nil
}

// OpenJob returns the job of the kind that the subscription, by its Key, has and that has not ended, or ErrNoJob.
func (s *Store) OpenJob(ctx context.Context, subscription int64, kind string) (*Job, error) {
	j, err := scanJob(s.pool.QueryRow(ctx, `SELECT `+jobColumns+` FROM `+jobTables+` WHERE j.subscription = $1 AND j.kind = $2 AND j.finished_at IS NULL
		ORDER BY j.key LIMIT 1`, subscription, kind))
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, ErrNoJob
	}
	if err != nil {
		return nil, unavailable(fmt.Errorf("read job: %w", err))
	}
	return j, nil
}

// Jobs returns the jobs of a subscription, by its Key, newest first, and whether there are more. Before is the id of the last one of the
// page before, empty for the first one; ErrNoJob where it is none of the subscription's.
func (s *Store) Jobs(ctx context.Context, subscription int64, before string, limit int) ([]*Job, bool, error) {
	fail := func(err error) ([]*Job, bool, error) {
		return nil, false, unavailable(fmt.Errorf("list jobs: %w", err))
	}
	var from *int64
	if before != "" {
		err := s.pool.QueryRow(ctx, `SELECT key FROM job WHERE id = $1 AND subscription = $2`, before, subscription).Scan(&from)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, false, ErrNoJob
		}
		if err != nil {
			return fail(err)
		}
	}
	rows, err := s.pool.Query(ctx, `SELECT `+jobColumns+` FROM `+jobTables+` WHERE j.subscription = $1 AND ($2::bigint IS NULL OR j.key < $2)
		ORDER BY j.key DESC LIMIT $3`, subscription, from, limit+1)
	if err != nil {
		return fail(err)
	}
	page, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Job, error) { return scanJob(row) })
	if err != nil {
		return fail(err)
	}
	if len(page) > limit {
		return page[:limit], true, nil
	}
	return page, false, nil
}

// CancelJob ends a job that has not ended, by its Key. One that was cancelled already stays so; one that has ended otherwise is
// ErrJobEnded.
func (s *Store) CancelJob(ctx context.Context, key int64) error {
	var state string
	err := s.pool.QueryRow(ctx, `
		WITH cancelled AS (
			UPDATE job SET state = 'cancelled', finished_at = now() WHERE key = $1 AND finished_at IS NULL RETURNING state)
		SELECT state FROM cancelled UNION ALL SELECT state FROM job WHERE key = $1 LIMIT 1`, key).Scan(&state)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrNoJob
	case err != nil:
		return unavailable(fmt.Errorf("cancel job: %w", err))
	case state != JobCancelled:
		return ErrJobEnded
	}
	return nil
}

// OpenJobs returns jobs that have not ended, the oldest first, but for those with the keys of running; of an account no more than
// perAccount together with those. It returns sender.ErrNotOwner when another process reads the slot: then they are that one's. Jobs
// of deleted subscriptions are ended.
func (s *Store) OpenJobs(ctx context.Context, running []int64, limit, perAccount int) (open []*Job, err error) {
	if running == nil {
		running = []int64{}
	}
	// An idle store is not written to, and not locked.
	var any bool
	if err := s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM job WHERE finished_at IS NULL AND key <> ALL ($1))`, running).Scan(&any); err != nil || !any {
		return nil, err
	}
	err = s.transact(ctx, func(tx pgx.Tx) error {
		if err := s.stillOwner(ctx, tx); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `
			UPDATE job j SET state = 'cancelled', finished_at = now(), error = 'the subscription was deleted'
			WHERE finished_at IS NULL AND NOT EXISTS (SELECT FROM subscription s WHERE s.key = j.subscription AND s.deleted_at IS NULL)`); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+jobColumns+` FROM `+jobTables+` JOIN (
				SELECT j.key, row_number() OVER (PARTITION BY s.account ORDER BY j.key <> ALL ($1), j.key) AS n
				FROM `+jobTables+` WHERE j.finished_at IS NULL) o ON o.key = j.key AND o.n <= $3
			WHERE j.key <> ALL ($1) ORDER BY j.key LIMIT $2`, running, limit, perAccount)
		if err != nil {
			return err
		}
		open, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*Job, error) { return scanJob(row) })
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read jobs: %w", err)
	}
	return open, nil
}

// SaveJob writes State, Total, Done, Progress and Error of a job: FinishedAt is set with a state that is an end, StartedAt with the
// first one that is none. It returns ErrJobEnded when it was ended meanwhile, and sender.ErrNotOwner when another process reads the slot.
func (s *Store) SaveJob(ctx context.Context, j *Job) error {
	err := s.transact(ctx, func(tx pgx.Tx) error {
		if err := s.stillOwner(ctx, tx); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE job SET state = $2, total = $3, done = $4, progress = $5, error = $6, started_at = coalesce(started_at, now()),
				finished_at = CASE WHEN $2 IN ('done', 'failed', 'cancelled') THEN now() END
			WHERE key = $1 AND finished_at IS NULL`, j.Key, j.State, j.Total, j.Done, j.Progress, j.Error)
		if err == nil && tag.RowsAffected() == 0 {
			err = ErrJobEnded
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("write what has become of %s: %w", j.ID, err)
	}
	return nil
}

// JobOpen says whether a job, by its Key, has not ended.
func (s *Store) JobOpen(ctx context.Context, key int64) (open bool, err error) {
	err = s.pool.QueryRow(ctx, `SELECT EXISTS (SELECT FROM job WHERE key = $1 AND finished_at IS NULL)`, key).Scan(&open)
	if err != nil {
		return false, fmt.Errorf("read job: %w", err)
	}
	return open, nil
}

// expireJobs removes those that ended before the time.
func (s *Store) expireJobs(ctx context.Context, before time.Time) error {
	if _, err := s.pool.Exec(ctx, `DELETE FROM job WHERE finished_at < $1`, before); err != nil {
		return fmt.Errorf("remove jobs that have ended: %w", err)
	}
	return nil
}
