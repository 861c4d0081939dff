package cdc

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// Lookups ask for rows of other tables, level by level: Start for those that are known from the start, Next for those
// that the rows of the last level name, until there are none. Start may be called again, and begins anew.
type Lookups interface {
	Start() []LookupRequest
	Next() []LookupRequest
	// Row takes a row that was found for a key of a request of the last level, by their numbers. The rows of a key come in
	// their order. The row is the Lookups' own.
	Row(request, key int, row Row)
}

// LookupError is a lookup that cannot be answered, however often it is tried.
type LookupError struct {
	Lookup *Lookup
	// Reason never holds values of rows.
	Reason string
	// TooMuch says that fewer keys at once may be answered; Slow beside it that it took too long, which may pass.
	TooMuch, Slow bool
	// Undefined says that a column of the lookup is not there any more.
	Undefined bool
}

// Error implements error.
func (e *LookupError) Error() string { return "relation " + e.Lookup.Name + ": " + e.Reason }

// ReadRelated reads what the lookups ask for: a statement for each lookup of a level, all levels under one snapshot, which
// shows all the transactions; it waits for that as long as it takes. Values have the text form of the stream's. More than
// maxBytes are not read. The error is a *LookupError, or the context's.
func (r *RowReader) ReadRelated(ctx context.Context, txs []*Tx, lookups Lookups, maxBytes int) error {
	var refused *LookupError
	err := r.repeat(ctx, txs, "related rows cannot be read", func(ctx context.Context, conn *pgx.Conn) (unseen *Tx, err error) {
		x := relatedReading{reader: r, conn: conn, lookups: lookups, left: maxBytes}
		unseen, err = x.run(ctx, txs)
		if refused = nil; errors.As(err, &refused) {
			return nil, nil
		}
		return unseen, err
	})
	if err != nil || refused == nil {
		return err
	}
	if refused.Slow {
		// It is tried again with less, which may take as long.
		reason := refused.Error()
		r.waiting.Store(&reason)
	}
	return refused
}

// relatedReading is one try.
type relatedReading struct {
	reader  *RowReader
	conn    *pgx.Conn
	lookups Lookups
	// left is how many bytes may still come.
	left int
	// open says that a transaction is open: there may be more levels.
	open bool
}

// rowOverhead is what a value takes in memory beside its bytes.
const rowOverhead = 40

func (x *relatedReading) run(ctx context.Context, txs []*Tx) (unseen *Tx, err error) {
	defer func() {
		// What is not ended well ends with the connection.
		if x.open {
			closeConn(x.conn)
		}
	}()
	requests := x.lookups.Start()
	for first := true; len(requests) > 0; first = false {
		unseen, err = x.level(ctx, txs, requests, first)
		if unseen != nil || err != nil {
			return unseen, err
		}
		requests = x.lookups.Next()
	}
	if x.open {
		return nil, x.end(ctx, "commit")
	}
	return nil, nil
}

// level sends the statements of a level together.
func (x *relatedReading) level(ctx context.Context, txs []*Tx, requests []LookupRequest, first bool) (unseen *Tx, err error) {
	prepared := make([]string, len(requests))
	more := false
	for i, q := range requests {
		if prepared[i], err = x.reader.lookups.prepare(ctx, x.conn, q.Lookup); err != nil {
			return nil, x.refusal(ctx, q.Lookup, err)
		}
		more = more || q.Lookup.More
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout+time.Duration(len(requests))*readTimeout)
	defer cancel()
	batch := &pgconn.Batch{}
	var kinds []int // the request of each statement; negative for others
	add := func(kind int, sql string) {
		batch.ExecParams(sql, nil, nil, nil, nil)
		kinds = append(kinds, kind)
	}
	if first {
		if more {
			add(-2, "begin isolation level repeatable read read only")
			x.open = true
		}
		add(-1, "select pg_current_snapshot()::text")
	}
	for i, q := range requests {
		batch.ExecPrepared(prepared[i], q.arguments(), nil, nil)
		kinds = append(kinds, i)
	}
	results := x.conn.PgConn().ExecBatch(ctx, batch)
	at := 0
	for ; results.NextResult(); at++ {
		rr := results.ResultReader()
		switch {
		case kinds[at] == -1:
			for rr.NextRow() {
				s, err := parseSnapshot(string(rr.Values()[0]))
				if err != nil {
					return nil, errors.Join(err, results.Close())
				}
				unseen = s.missing(txs)
			}
		case kinds[at] >= 0 && unseen == nil:
			if err := x.collect(kinds[at], requests[kinds[at]].Lookup, rr); err != nil {
				closeConn(x.conn)
				x.open = false
				return nil, err
			}
		}
		if _, err := rr.Close(); err != nil {
			break
		}
	}
	err = results.Close()
	x.reader.queries.Add(uint64(len(requests)))
	switch {
	case unseen != nil:
		if x.open {
			err = x.end(ctx, "rollback")
		} else if permanent(SQLState(err)) {
			err = nil
		}
		return unseen, err
	case err == nil:
		return nil, nil
	case at >= len(kinds) || kinds[at] < 0:
		return nil, err
	}
	return nil, x.refusal(ctx, requests[kinds[at]].Lookup, err)
}

// end ends the transaction.
func (x *relatedReading) end(ctx context.Context, how string) error {
	_, err := x.conn.Exec(ctx, how)
	if err == nil {
		x.open = false
	}
	return err
}

// refusal is what a failed statement means: an error of the lookup, or one that may pass.
func (x *relatedReading) refusal(ctx context.Context, l *Lookup, err error) error {
	var tooLong *pgproto3.ExceededMaxBodyLenErr
	var refused *LookupError
	code := SQLState(err)
	switch {
	case errors.As(err, &refused):
		return err
	case errors.As(err, &tooLong):
		closeConn(x.conn)
		x.open = false
		return &LookupError{Lookup: l, Reason: fmt.Sprintf("a row of %s of %d bytes is larger than limits.max_row", l.Table, tooLong.ActualBodyLen), TooMuch: true}
	case !permanent(code) || code == "55P03":
		return err
	}
	if x.open {
		if err := x.end(ctx, "rollback"); err != nil {
			return err
		}
	}
	// What is known of the types may be old.
	if err := x.reader.lookups.forget(ctx, x.conn, l); err != nil {
		return err
	}
	if code == "57014" {
		return &LookupError{Lookup: l, Reason: fmt.Sprintf("rows of %s were not read within %v", l.Table, readTimeout), TooMuch: true, Slow: true}
	}
	return &LookupError{Lookup: l, Reason: fmt.Sprintf("rows of %s cannot be read: %s", l.Table, withoutValues(err)), Undefined: code == "42703"}
}

// withoutValues is what the server says where that names only names: other messages quote what they stumble over.
func withoutValues(err error) string {
	code := SQLState(err)
	var e *pgconn.PgError
	if errors.As(err, &e) && strings.HasPrefix(code, "42") && code != "42P22" {
		return e.Message + " (SQLSTATE " + code + ")"
	}
	return "SQLSTATE " + code
}

func (q *LookupRequest) arguments() [][]byte {
	numbers := make([][]byte, len(q.Keys))
	for i := range numbers {
		numbers[i] = fmt.Append(nil, i)
	}
	args := [][]byte{arrayLiteral(numbers)}
	for m := range q.Lookup.Match {
		values := make([][]byte, len(q.Keys))
		for i, key := range q.Keys {
			values[i] = key[m]
		}
		args = append(args, arrayLiteral(values))
	}
	return args
}

// collect takes the rows of a statement.
func (x *relatedReading) collect(request int, l *Lookup, rr *pgconn.ResultReader) error {
	for i, f := range rr.FieldDescriptions() {
		if i > 0 && f.DataTypeOID != baseOf(l.Columns[i-1].Type).OID {
			return &LookupError{Lookup: l, Reason: fmt.Sprintf("column %s of %s has another type by now: reload the config", l.Columns[i-1].Name, l.Table)}
		}
	}
	for rr.NextRow() {
		values := rr.Values()
		key, size := 0, 0
		for _, digit := range values[0] {
			key = key*10 + int(digit-'0')
		}
		for _, v := range values[1:] {
			size += len(v)
		}
		if x.left -= size + len(values)*rowOverhead; x.left < 0 {
			return &LookupError{Lookup: l, Reason: "the related rows of one row are larger than limits.max_row", TooMuch: true}
		}
		row, data := make(Row, len(values)-1), make([]byte, 0, size)
		for i, v := range values[1:] {
			if v == nil {
				row[i].Kind = Null
				continue
			}
			from := len(data)
			data = append(data, v...)
			row[i] = Value{Kind: Text, Data: data[from:len(data):len(data)]}
		}
		x.lookups.Row(request, key, row)
	}
	return nil
}

// baseOf is the type that a domain comes as.
func baseOf(t *Type) *Type {
	for t.Base != nil {
		t = t.Base
	}
	return t
}

// equalityOperator and greaterOperator are those by which the default index of the type t compares, in SQL.
var equalityOperator, greaterOperator = indexOperator(3, "="), indexOperator(5, ">")

func indexOperator(strategy int, otherwise string) string {
	return fmt.Sprintf(`coalesce((
			select format('operator(%%I.%%s)', n.nspname, p.oprname)
			from pg_opclass o
			join pg_amop a on a.amopfamily = o.opcfamily and a.amopstrategy = %d and a.amoplefttype = o.opcintype and a.amoprighttype = o.opcintype
			join pg_operator p on p.oid = a.amopopr
			join pg_namespace n on n.oid = p.oprnamespace
			where o.opcintype = coalesce(nullif(t.typbasetype, 0), t.oid) and o.opcdefault and o.opcmethod = (select oid from pg_am where amname = 'btree')
			limit 1), '%s')`, strategy, otherwise)
}

// lookupStatements are the prepared statements of lookups and Roots on a connection, by their names.
type lookupStatements struct {
	conn  *pgx.Conn
	names map[any]string
	// made counts those that were ever made, so that no name comes twice.
	made int
}

// preparedMax bounds the statements of a connection: a reload makes new ones of all lookups.
const preparedMax = 1000

// prepare returns the name of the lookup's statement.
func (p *lookupStatements) prepare(ctx context.Context, conn *pgx.Conn, l *Lookup) (string, error) {
	return p.prepareAs(ctx, conn, l, l.statement)
}

// prepareAs returns the name of the statement of what the key stands for, which is made where there is none.
func (p *lookupStatements) prepareAs(ctx context.Context, conn *pgx.Conn, key any, statement func(context.Context, *pgx.Conn) (string, error)) (string, error) {
	if p.conn != conn {
		p.conn, p.names = conn, map[any]string{}
	}
	if name, ok := p.names[key]; ok {
		return name, nil
	}
	if len(p.names) >= preparedMax {
		closeConn(conn)
		return "", errors.New("the connection has too many statements, and is made anew")
	}
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	sql, err := statement(ctx, conn)
	if err != nil {
		return "", err
	}
	p.made++
	name := fmt.Sprint("rowhook_lookup_", p.made)
	if _, err := conn.PgConn().Prepare(ctx, name, sql, nil); err != nil {
		return "", err
	}
	p.names[key] = name
	return name, nil
}

// forget lets go of a statement.
func (p *lookupStatements) forget(ctx context.Context, conn *pgx.Conn, key any) error {
	name, ok := p.names[key]
	if !ok || p.conn != conn {
		return nil
	}
	delete(p.names, key)
	return conn.PgConn().Deallocate(ctx, name)
}

// statement looks up the types of the key and makes the statement; the first parameter are the numbers of the keys, then
// come their values, by column. Values are cast to a type that they fit: integers to the one that they have, which
// compares with all others.
func (l *Lookup) statement(ctx context.Context, conn *pgx.Conn) (string, error) {
	oids := make([]uint32, len(l.Match))
	for i, m := range l.Match {
		ours := baseOf(m.Type)
		if oids[i] = baseOf(m.Column.Type).OID; isInteger(ours.OID) {
			oids[i] = ours.OID
		}
	}
	rows, err := conn.Query(ctx, `select format_type(t.oid, -1), `+equalityOperator+`
		from unnest($1::oid[]) with ordinality as w(oid, n) join pg_type t on t.oid = w.oid order by w.n`, oids)
	if err != nil {
		return "", err
	}
	var casts, equals []string
	var cast, equal string
	if _, err := pgx.ForEachRow(rows, []any{&cast, &equal}, func() error {
		casts, equals = append(casts, cast), append(equals, equal)
		return nil
	}); err != nil {
		return "", err
	}
	if len(casts) != len(l.Match) {
		return "", &LookupError{Lookup: l, Reason: "the type of its key is not there any more: reload the config"}
	}
	for i := range equals {
		if isInteger(oids[i]) {
			equals[i] = "operator(pg_catalog.=)"
		}
	}
	return l.sql(casts, equals), nil
}

func isInteger(oid uint32) bool { return slices.Contains([]uint32{20, 21, 23}, oid) }

func (l *Lookup) sql(casts, equals []string) string {
	var b strings.Builder
	b.WriteString("select n")
	for i := range l.Columns {
		fmt.Fprintf(&b, ", c%d", i)
	}
	b.WriteString(" from (select k.n, row_number() over (partition by k.n")
	for i, o := range l.Order {
		if i == 0 {
			b.WriteString(" order by t.")
		} else {
			b.WriteString(", t.")
		}
		b.WriteString(QuoteIdent(o.Column))
		if o.Descending {
			b.WriteString(" desc")
		}
	}
	b.WriteString(") as r")
	for i, c := range l.Columns {
		fmt.Fprintf(&b, ", t.%s as c%d", QuoteIdent(c.Name), i)
	}
	b.WriteString(" from unnest($1::int8[]")
	names := "n"
	for i := range l.Match {
		fmt.Fprintf(&b, ", $%d::text[]", i+2)
		names += fmt.Sprintf(", k%d", i)
	}
	fmt.Fprintf(&b, ") as k(%s) join %s t on ", names, l.Table.Quote())
	for i, m := range l.Match {
		if i > 0 {
			b.WriteString(" and ")
		}
		fmt.Fprintf(&b, "t.%s %s k.k%d::%s", QuoteIdent(m.Name), equals[i], i, casts[i])
	}
	limit := l.Max
	if !l.First {
		limit++
	}
	fmt.Fprintf(&b, ") x where r <= %d order by n, r", limit)
	return b.String()
}
