package store

import (
	"context"
	"encoding/binary"
	"errors"
	"math/big"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/retention"
)

// clockSlack is how far the order of commits' times may be from that of their positions. A clock that was set back further
// makes times of then no good for finding anything.
const clockSlack = 2 * time.Second

// eventSinceSQL is the first event from a position on of those of a day, lastEventSQL the last one.
const (
	eventSinceSQL = `SELECT position, committed_at FROM event WHERE position >= $1 AND committed_at >= $2 AND committed_at < $3 ORDER BY position LIMIT 1`
	lastEventSQL  = `SELECT position, committed_at FROM event WHERE position >= $1 AND committed_at >= $2 AND committed_at < $3 ORDER BY position DESC LIMIT 1`
)

// planned has a statement planned for its arguments. Days without a partition are seen then, and not looked for: in a store of one partition
// only, a plan for any arguments has no choice of partitions, and goes through all of its index.
const planned = pgx.QueryExecModeCacheDescribe

// positionSince returns from which position on events were committed at the time or later, nil where there are none. Events have
// no index by time: it is found by halves in the day's partition, some forty looks into an index.
func positionSince(ctx context.Context, tx pgx.Tx, t time.Time) ([]byte, error) {
	day := dayOf(t)
	end := day.Add(retention.Partition)
	look := func(sql string, from []byte, mode ...any) (position []byte, at time.Time, err error) {
		err = tx.QueryRow(ctx, sql, append(mode, from, day, end)...).Scan(&position, &at)
		return position, at, err
	}
	later := func() (position []byte, err error) {
		err = tx.QueryRow(ctx, `SELECT position FROM event WHERE committed_at >= $1 ORDER BY position LIMIT 1`, planned, end).Scan(&position)
		if errors.Is(err, pgx.ErrNoRows) {
			return nil, nil
		}
		return position, err
	}
	first, at, err := look(eventSinceSQL, []byte{}, planned)
	if errors.Is(err, pgx.ErrNoRows) {
		return later()
	}
	if err != nil || !at.Before(t) {
		return first, err
	}
	last, at, err := look(lastEventSQL, []byte{})
	if err != nil {
		return nil, err
	}
	if at.Before(t) {
		return later()
	}
	// What is before low was committed before the time, what is from high on was not. Within a transaction all have the same.
	low, high, one := commitOf(first), commitOf(last), big.NewInt(1)
	for {
		middle := new(big.Int).Add(low, high)
		middle.Rsh(middle, 1)
		if new(big.Int).Sub(high, low).Cmp(one) <= 0 {
			return startOf(high), nil
		}
		position, at, err := look(eventSinceSQL, startOf(middle))
		if err != nil {
			return nil, err
		}
		if at.Before(t) {
			low = commitOf(position)
		} else {
			high = middle
		}
	}
}

// commitSize is how much of a position is the same in a transaction: epoch and commit LSN.
const commitSize = cdc.PositionSize - 8

func commitOf(position []byte) *big.Int { return new(big.Int).SetBytes(position[:commitSize]) }

// startOf is the first position that a transaction may have.
func startOf(commit *big.Int) []byte {
	var b [cdc.PositionSize]byte
	commit.FillBytes(b[:commitSize])
	binary.BigEndian.PutUint64(b[commitSize:], 0)
	return b[:]
}
