package cdc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/rowhook/rowhook/internal/secret"
)

// RowReader reads rows of the source as they are now, over one ordinary connection whose values have the text form of
// the stream's. A read counts only if its own snapshot shows the transactions that it is made for, else it is repeated:
// a commit is in the stream before it is visible, and behind a synchronous standby that does not answer, long before.
//
// Read, AwaitVisible and Close are for one goroutine at a time; all else may be called at any time.
type RowReader struct {
	log *slog.Logger
	sql shared
	// shapes are the statements of tables; a relation's pointer changes with its definition.
	shapes  map[*Relation]*tableShape
	lookups lookupStatements
	// unreadable holds until when a column is not asked for, since it cannot be read; told are the reasons in the log.
	unreadable map[relationColumn]time.Time
	told       map[string]bool
	// ask is how many rows are asked for at once: fewer where they are large.
	ask int

	queries atomic.Uint64
	waiting atomic.Pointer[string]
}

// RowRequest is a row to read, by its primary key.
type RowRequest struct {
	Relation *Relation
	// Key is the text of the primary key's values, in the order of Relation.Key.
	Key [][]byte
	// Columns are indexes into the relation's columns, ascending.
	Columns []int
}

type relationColumn struct {
	relation *Relation
	column   int
}

const (
	// askMax is how many rows one statement asks for at most.
	askMax = BatchRows
	// readTimeout and lockTimeout bound a statement; answerTimeout beyond that is a connection that is dead.
	readTimeout   = 10 * time.Second
	lockTimeout   = 2 * time.Second
	answerTimeout = 10 * time.Second
	// visibleMin and visibleMax are the pauses before a read is repeated; toldAfter is when a long wait is told.
	visibleMin = 10 * time.Millisecond
	visibleMax = 250 * time.Millisecond
	toldAfter  = 3 * time.Second
	// unreadableFor is how long what cannot be read is not asked for again, unansweredFor the same after a timeout, which
	// costs the stream its time.
	unreadableFor = 10 * time.Second
	unansweredFor = 30 * time.Second
	shapesMax     = 1000
)

// NewRowReader makes a RowReader; it connects when it is first used. A row larger than maxRow bytes is not read.
func NewRowReader(url secret.String, maxRow int64, log *slog.Logger) *RowReader {
	r := &RowReader{log: log, shapes: map[*Relation]*tableShape{},
		unreadable: map[relationColumn]time.Time{}, told: map[string]bool{}, ask: askMax}
	r.sql.connect = func(ctx context.Context) (*pgx.Conn, error) {
		conn, err := Connect(ctx, url, map[string]string{
			"application_name": "rowhook reads", "default_transaction_read_only": "on",
			// What is sent together runs under one snapshot: that of its first statement.
			"default_transaction_isolation": "repeatable read",
			"statement_timeout":             fmt.Sprint(readTimeout.Milliseconds()), "lock_timeout": fmt.Sprint(lockTimeout.Milliseconds()),
			// Rows that a policy hides must not look as if they were gone.
			"row_security": "off",
			// For a few hundred keys of a table of 100,000 rows the default, that of spinning disks, is where the planner begins
			// to go through the whole table instead of the index.
			"random_page_cost": "1.1",
			// Statements of lookups are prepared, and their plans do not depend on how many keys there are: planning would cost
			// more than running.
			"plan_cache_mode": "force_generic_plan"})
		if err == nil && maxRow > 0 {
			conn.PgConn().Frontend().SetMaxBodyLen(int(min(maxRow, 1<<30)))
		}
		return conn, err
	}
	return r
}

// Queries counts the statements that read rows.
func (r *RowReader) Queries() uint64 { return r.queries.Load() }

// Waiting says what a read has been waiting for, for longer than a few seconds; else it is empty.
func (r *RowReader) Waiting() string {
	if w := r.waiting.Load(); w != nil {
		return *w
	}
	return ""
}

// Close closes the connection. The RowReader may be used again.
func (r *RowReader) Close() { r.sql.close() }

// Read reads rows under a snapshot that shows all the transactions, and waits for that as long as it takes. It returns
// the rows of the first requests: of all, unless their values are larger than maxBytes together, and of one at least. A
// row holds the values of the request's columns, in their order, which belong to the caller. Values that cannot be read
// (no privilege, a column that was dropped, a lock that is held) are Absent, and the log says why. A row is nil where
// there is none now, or nothing of it can be read. The error is the context's.
func (r *RowReader) Read(ctx context.Context, txs []*Tx, requests []RowRequest, maxBytes int) ([]Row, error) {
	var rows []Row
	err := r.repeat(ctx, txs, "rows cannot be read again", func(ctx context.Context, conn *pgx.Conn) (unseen *Tx, err error) {
		for {
			asked := requests[:min(len(requests), r.ask)]
			read := newReading(r, asked, maxBytes)
			if unseen, err = read.run(ctx, conn, txs); err != nil || unseen != nil {
				return unseen, err
			}
			if read.failed == nil {
				rows = read.result()
				r.pace(len(rows), read.blown)
				return nil, nil
			}
			again, err := r.without(read, len(asked))
			if err != nil {
				return nil, err
			}
			if !again {
				rows = make([]Row, 1)
				return nil, nil
			}
		}
	})
	return rows, err
}

// AwaitVisible waits until the transactions are visible to others, as long as it takes. The error is the context's.
func (r *RowReader) AwaitVisible(ctx context.Context, txs ...*Tx) error {
	return r.repeat(ctx, txs, "what is visible cannot be asked", func(ctx context.Context, conn *pgx.Conn) (*Tx, error) {
		return newReading(r, nil, 0).run(ctx, conn, txs)
	})
}

// repeat tries until it succeeds under a snapshot that shows the transactions. Failing is what is told when it does not.
func (r *RowReader) repeat(ctx context.Context, txs []*Tx, failing string, try func(context.Context, *pgx.Conn) (unseen *Tx, err error)) error {
	defer r.waiting.Store(nil)
	began, warned := time.Now(), ""
	visible := true
	for pause := visibleMin; ; pause = min(2*pause, visibleMax) {
		var unseen *Tx
		err := r.sql.do(ctx, func(conn *pgx.Conn) (err error) {
			if !visible {
				// While it waits it does not read rows in vain.
				if unseen, err = newReading(r, nil, 0).run(ctx, conn, txs); err != nil || unseen != nil {
					return err
				}
			}
			unseen, err = try(ctx, conn)
			return err
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err == nil && unseen == nil {
			return nil
		}
		visible = unseen == nil
		if time.Since(began) > toldAfter {
			reason := ""
			if err != nil {
				reason = failing + ": " + cause(err).Error()
			} else {
				reason = fmt.Sprintf("commit %s is not visible yet: a synchronous standby does not answer; see pg_stat_replication, and that synchronous_standby_names does not match rowhook itself, as * does; or the standby that database.read_url names is behind", unseen.Commit)
			}
			r.waiting.Store(&reason)
			if reason != warned {
				r.log.Warn("reading waits", "reason", reason)
				warned = reason
			}
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}

// pace asks for fewer rows at once after a read that was too large, and for more after one that was not.
func (r *RowReader) pace(got int, blown bool) {
	if blown {
		r.ask = max(got, 1)
	} else if got >= r.ask {
		r.ask = min(2*r.ask, askMax)
	}
}

// without prepares another try after a statement failed: without what cannot be read, one column at a time where it is
// not known which. There is none where a single row is too large. An error is one that needs a new connection.
func (r *RowReader) without(read *reading, asked int) (again bool, err error) {
	f := read.failed
	var tooLong *pgproto3.ExceededMaxBodyLenErr
	if errors.As(f.err, &tooLong) {
		if asked == 1 {
			r.tell(f.relation, fmt.Sprintf("a row of %d bytes is larger than limits.max_row", tooLong.ActualBodyLen))
			// The connection is of no use any more.
			closeConn(read.conn)
			return false, nil
		}
		r.ask = 1
		return false, f.err
	}
	switch code := SQLState(f.err); {
	case !permanent(code):
		return false, f.err
	case code == "57014" || code == "55P03":
		r.leaveOut(f.relation, f.columns, unansweredFor)
	case len(f.columns) > 1:
		f.shape.apart = true
		return true, nil
	default:
		r.leaveOut(f.relation, f.columns, unreadableFor)
		// The others may do together.
		f.shape.apart = false
	}
	r.tell(f.relation, cause(f.err).Error())
	return true, nil
}

// permanent says that an error would come again: it is not of the connection, nor of a server that stops or is full.
func permanent(code string) bool {
	switch {
	case code == "", strings.HasPrefix(code, "08"), strings.HasPrefix(code, "53"), strings.HasPrefix(code, "40"), strings.HasPrefix(code, "57P"):
		return false
	}
	return true
}

func (r *RowReader) leaveOut(rel *Relation, columns []int, d time.Duration) {
	if len(r.unreadable) > shapesMax {
		clear(r.unreadable)
	}
	for _, c := range columns {
		r.unreadable[relationColumn{rel, c}] = time.Now().Add(d)
	}
}

// readable are the columns that are worth asking for.
func (r *RowReader) readable(rel *Relation, columns []int) []int {
	var out []int
	for _, c := range columns {
		at := relationColumn{rel, c}
		if until, found := r.unreadable[at]; found {
			if time.Now().Before(until) {
				continue
			}
			delete(r.unreadable, at)
		}
		out = append(out, c)
	}
	return out
}

// tell logs once for each table and reason.
func (r *RowReader) tell(rel *Relation, reason string) {
	key := rel.Table.String() + "\n" + reason
	if r.told[key] {
		return
	}
	if len(r.told) > shapesMax {
		clear(r.told)
	}
	r.told[key] = true
	r.log.Warn("values that the stream does not send cannot be read: they are left out and named in partial",
		"table", rel.Table.String(), "reason", reason)
}

// tableShape is how rows of a table are read.
type tableShape struct {
	// gone says that the catalog does not know the table, or a type of its key, any more.
	gone bool
	// apart reads each column by itself, to find the one that cannot be read.
	apart bool
	// from is the table; casts are the types of the key's columns, equals their operators.
	from          string
	casts, equals []string
	// columnTypes are the types that values are told to have: of a domain that of its base.
	columnTypes []uint32
}

// shape looks up how rows of the relation are found by key. The types have their schemas: search_path is empty.
func (r *RowReader) shape(ctx context.Context, conn *pgx.Conn, rel *Relation) (*tableShape, error) {
	if s := r.shapes[rel]; s != nil {
		return s, nil
	}
	oids := make([]uint32, len(rel.Key))
	for i, k := range rel.Key {
		oids[i] = rel.Columns[k].Type.OID
	}
	rows, err := conn.Query(ctx, `
		select c.relkind::text, format_type(t.oid, -1), `+equalityOperator+`
		from unnest($1::oid[]) with ordinality as w(oid, n)
		join pg_type t on t.oid = w.oid
		join pg_class c on c.oid = $2
		order by w.n`, oids, rel.OID)
	if err != nil {
		return nil, err
	}
	s := &tableShape{from: rel.Table.Quote()}
	var kind, typ, equals string
	if _, err = pgx.ForEachRow(rows, []any{&kind, &typ, &equals}, func() error {
		s.casts, s.equals = append(s.casts, typ), append(s.equals, equals)
		return nil
	}); err != nil {
		return nil, err
	}
	if kind == "r" {
		// A table that inherits may hold another row of the same key.
		s.from = "only " + s.from
	}
	s.gone = len(s.casts) != len(rel.Key) || len(s.casts) == 0
	for _, c := range rel.Columns {
		t := c.Type
		if t.Base != nil {
			t = t.Base
		}
		s.columnTypes = append(s.columnTypes, t.OID)
	}
	if len(r.shapes) > shapesMax {
		clear(r.shapes)
	}
	r.shapes[rel] = s
	return s, nil
}

// statement selects columns of rows by their keys; the first parameter is the rows' numbers. It finds nothing where the
// name belongs to another table by now. Rows beyond maxBytes come without values: the size of a value that is kept out of
// its row is known without fetching it, but as it is stored, perhaps compressed.
func (s *tableShape) statement(rel *Relation, columns []int, maxBytes int) string {
	var b strings.Builder
	b.WriteString("select n, fits")
	for i := range columns {
		fmt.Fprintf(&b, ", case when fits then c%d end", i)
	}
	b.WriteString(" from (select k.n, row_number() over w = 1 or sum(0")
	for _, c := range columns {
		fmt.Fprintf(&b, " + coalesce(pg_column_size(t.%s), 0)", QuoteIdent(rel.Columns[c].Name))
	}
	fmt.Fprintf(&b, ") over w <= %d as fits", maxBytes)
	for i, c := range columns {
		fmt.Fprintf(&b, ", t.%s as c%d", QuoteIdent(rel.Columns[c].Name), i)
	}
	b.WriteString(" from unnest($1::int8[]")
	names := "n"
	for i := range rel.Key {
		fmt.Fprintf(&b, ", $%d::text[]", i+2)
		names += fmt.Sprintf(", k%d", i)
	}
	fmt.Fprintf(&b, ") as k(%s) join %s t on ", names, s.from)
	for i, k := range rel.Key {
		if i > 0 {
			b.WriteString(" and ")
		}
		fmt.Fprintf(&b, "t.%s %s k.k%d::%s", QuoteIdent(rel.Columns[k].Name), s.equals[i], i, s.casts[i])
	}
	fmt.Fprintf(&b, " where to_regclass(%s)::oid = %d window w as (order by k.n)) x order by n", QuoteLiteral(rel.Table.Quote()), rel.OID)
	return b.String()
}

// reading is one try: the snapshot and all statements go together, and come back together.
type reading struct {
	reader   *RowReader
	requests []RowRequest
	max      int
	conn     *pgx.Conn
	queries  []*rowQuery
	// first is the request of the same row that comes first; rows are of these.
	first []int
	rows  []map[int]Value
	used  int
	// limit is the first request whose row did not fit any more; blown says that the server took it for smaller.
	limit  int
	blown  bool
	failed *rowQuery
}

// rowQuery is one statement: some columns of some rows of a table.
type rowQuery struct {
	relation *Relation
	shape    *tableShape
	columns  []int
	numbers  []int
	err      error
}

func newReading(r *RowReader, requests []RowRequest, maxBytes int) *reading {
	return &reading{reader: r, requests: requests, max: maxBytes, limit: len(requests), first: make([]int, len(requests)),
		rows: make([]map[int]Value, len(requests))}
}

// plan makes the statements: one for a table, unless its columns have to be read apart.
func (x *reading) plan(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	type rowKey struct {
		relation *Relation
		key      string
	}
	seen := map[rowKey]int{}
	byRelation := map[*Relation]*rowQuery{}
	var tables []*rowQuery
	for n, q := range x.requests {
		k := rowKey{q.Relation, string(arrayLiteral(q.Key))}
		first, again := seen[k]
		if !again {
			first, seen[k] = n, n
		}
		x.first[n] = first
		t := byRelation[q.Relation]
		if t == nil {
			t = &rowQuery{relation: q.Relation}
			byRelation[q.Relation] = t
			tables = append(tables, t)
		}
		if !again {
			t.numbers = append(t.numbers, n)
		}
		for _, c := range q.Columns {
			if !slices.Contains(t.columns, c) {
				t.columns = append(t.columns, c)
			}
		}
	}
	for _, t := range tables {
		s, err := x.reader.shape(ctx, x.conn, t.relation)
		if err != nil {
			return err
		}
		if s.gone {
			x.reader.tell(t.relation, "the table, or its key, is not there any more")
			continue
		}
		t.shape, t.columns = s, x.reader.readable(t.relation, t.columns)
		if !s.apart {
			if len(t.columns) > 0 {
				x.queries = append(x.queries, t)
			}
			continue
		}
		for _, c := range t.columns {
			x.queries = append(x.queries, &rowQuery{relation: t.relation, shape: s, columns: []int{c}, numbers: t.numbers})
		}
	}
	return nil
}

// run sends everything and reads what comes. It returns the first transaction that the snapshot does not show.
func (x *reading) run(ctx context.Context, conn *pgx.Conn, txs []*Tx) (unseen *Tx, err error) {
	x.conn = conn
	if err := x.plan(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout+time.Duration(len(x.queries))*readTimeout)
	defer cancel()
	batch := &pgconn.Batch{}
	batch.ExecParams("select pg_current_snapshot()::text", nil, nil, nil, nil)
	for _, q := range x.queries {
		batch.ExecParams(q.shape.statement(q.relation, q.columns, x.max), x.arguments(q), nil, nil, nil)
	}
	results := conn.PgConn().ExecBatch(ctx, batch)
	n := -1
	for results.NextResult() {
		rr := results.ResultReader()
		if n++; n == 0 {
			for rr.NextRow() {
				s, err := parseSnapshot(string(rr.Values()[0]))
				if err != nil {
					return nil, errors.Join(err, results.Close())
				}
				unseen = s.missing(txs)
			}
		} else if unseen == nil {
			x.collect(x.queries[n-1], rr)
		}
		if _, err := rr.Close(); err != nil {
			n--
			break
		}
	}
	err = results.Close()
	x.reader.queries.Add(uint64(len(x.queries)))
	if unseen != nil || err == nil {
		if err != nil && !permanent(SQLState(err)) {
			return nil, err
		}
		return unseen, nil
	}
	if n+1 < 1 || n+1 > len(x.queries) {
		return nil, err
	}
	// Everything after the first failure is skipped by the server.
	x.failed = x.queries[n]
	x.failed.err = err
	return nil, nil
}

func (x *reading) arguments(q *rowQuery) [][]byte {
	numbers := make([][]byte, len(q.numbers))
	for i, n := range q.numbers {
		numbers[i] = fmt.Append(nil, n)
	}
	args := [][]byte{arrayLiteral(numbers)}
	for k := range q.relation.Key {
		values := make([][]byte, len(q.numbers))
		for i, n := range q.numbers {
			values[i] = x.requests[n].Key[k]
		}
		args = append(args, arrayLiteral(values))
	}
	return args
}

// collect keeps what fits. Rows come in the order of their numbers.
func (x *reading) collect(q *rowQuery, rr *pgconn.ResultReader) {
	fits := make([]bool, len(q.columns))
	for i, c := range q.columns {
		// A value of another type than the stream's would be read wrongly.
		fits[i] = rr.FieldDescriptions()[i+2].DataTypeOID == q.shape.columnTypes[c]
		if !fits[i] {
			x.reader.tell(q.relation, "column "+q.relation.Columns[c].Name+" has another type by now")
		}
	}
	for rr.NextRow() {
		values := rr.Values()
		n := 0
		for _, digit := range values[0] {
			n = n*10 + int(digit-'0')
		}
		size := 0
		for _, v := range values[2:] {
			size += len(v)
		}
		switch {
		case values[1][0] != 't':
			x.limit = min(x.limit, n)
		case n > 0 && x.used+size > x.max:
			x.limit, x.blown = min(x.limit, n), true
		}
		if n >= x.limit {
			continue
		}
		x.used += size
		row := x.rows[n]
		if row == nil {
			row = make(map[int]Value, len(q.columns))
			x.rows[n] = row
		}
		for i, c := range q.columns {
			switch v := values[i+2]; {
			case !fits[i]:
			case v == nil:
				row[c] = Value{Kind: Null}
			default:
				row[c] = Value{Kind: Text, Data: append([]byte(nil), v...)}
			}
		}
	}
}

// result are the rows of the requests that are answered.
func (x *reading) result() []Row {
	rows := make([]Row, x.limit)
	for n := range rows {
		found := x.rows[x.first[n]]
		if found == nil {
			continue
		}
		rows[n] = make(Row, len(x.requests[n].Columns))
		for i, c := range x.requests[n].Columns {
			rows[n][i] = found[c]
		}
	}
	return rows
}

// arrayLiteral is the text form of a one-dimensional array.
func arrayLiteral(values [][]byte) []byte {
	size := 2
	for _, v := range values {
		size += len(v) + 3
	}
	b := append(make([]byte, 0, size), '{')
	for i, v := range values {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '"')
		for _, c := range v {
			if c == '"' || c == '\\' {
				b = append(b, '\\')
			}
			b = append(b, c)
		}
		b = append(b, '"')
	}
	return append(b, '}')
}
