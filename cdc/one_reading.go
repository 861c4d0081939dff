package cdc

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"
)

// oneReading is a prepared statement whose rows are read with the snapshot that they are of.
type oneReading struct {
	name string
	// key is what the statement is known by, blame what its errors are told of.
	key   any
	args  [][]byte
	blame *Lookup
	// fields, when set, is told of the columns; after its error no row is read.
	fields func([]pgconn.FieldDescription) error
	row    func(values [][]byte)
}

// runOne runs a statement behind a look at the snapshot. It returns the first transaction that the snapshot does not show: what was read
// is worth nothing then.
func (x *relatedReading) runOne(ctx context.Context, q oneReading, txs []*Tx) (unseen *Tx, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout+readTimeout)
	defer cancel()
	batch := &pgconn.Batch{}
	batch.ExecParams("select pg_current_snapshot()::text", nil, nil, nil, nil)
	batch.ExecPrepared(q.name, q.args, nil, nil)
	results := x.conn.PgConn().ExecBatch(ctx, batch)
	var wrong error
	for n := 0; results.NextResult(); n++ {
		rr := results.ResultReader()
		if n == 1 && q.fields != nil {
			wrong = q.fields(rr.FieldDescriptions())
		}
		for rr.NextRow() {
			if n == 1 {
				if wrong == nil {
					q.row(rr.Values())
				}
				continue
			}
			s, err := parseSnapshot(string(rr.Values()[0]))
			if err != nil {
				return nil, errors.Join(err, results.Close())
			}
			unseen = s.missing(txs)
		}
		if _, err := rr.Close(); err != nil {
			break
		}
	}
	if err = results.Close(); err == nil {
		err = wrong
	}
	x.reader.queries.Add(1)
	if err == nil || unseen != nil && permanent(SQLState(err)) {
		return unseen, nil
	}
	if err = x.refusal(ctx, q.blame, err); SQLState(err) != "" || x.conn.IsClosed() {
		return nil, err // the connection is made anew
	}
	if failed := x.reader.lookups.forget(ctx, x.conn, q.key); failed != nil {
		return nil, failed
	}
	return nil, err
}
