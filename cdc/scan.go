package cdc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Scan says how a table is read from one end to the other, by pages. It is made once, shared and never changed: its pointer keys
// what is known of it.
type Scan struct {
	// Name is what errors call it: contact.
	Name  string
	Table TableName
	// Key names a row: NOT NULL columns of which no two rows have the same, in the order of an index.
	Key []Column
	// Columns are what is read, in this order.
	Columns []Column
	// Since is a column with a time; nil where the time is not asked for.
	Since *Column
}

// ScanRequest asks for the next page.
type ScanRequest struct {
	Scan *Scan
	// After is the text of the last key of the page before; nil at the beginning.
	After [][]byte
	// Since leaves out rows whose time is known and before it, where the Scan has a column for it: 2026-11-22T08:00:00Z.
	Since string
	// Rows is how many rows are looked at, at most. A statement is prepared for each number: there should be few.
	Rows int
	// MaxBytes bounds the values; one row comes in any case.
	MaxBytes int
}

// ScanPage is a page.
type ScanPage struct {
	// Rows are those that are wanted, of the Read that were looked at.
	Rows []Row
	Read int
	// Last is the key of the last one that was looked at; More says that there may be others behind it.
	Last [][]byte
	More bool
}

// ReadScan reads the next page, in the order of the keys. It reads as ReadRelated does, and has the same errors; a LookupError's
// Lookup is made for it.
func (r *RowReader) ReadScan(ctx context.Context, txs []*Tx, q *ScanRequest) (*ScanPage, error) {
	var refused *LookupError
	var page *ScanPage
	err := r.repeat(ctx, txs, "the rows of a table cannot be read", func(ctx context.Context, conn *pgx.Conn) (unseen *Tx, err error) {
		x := scanReading{relatedReading: relatedReading{reader: r, conn: conn, left: q.MaxBytes}, request: q, page: &ScanPage{}}
		unseen, err = x.run(ctx, txs)
		page = x.page
		if refused = nil; errors.As(err, &refused) {
			return nil, nil
		}
		return unseen, err
	})
	if err == nil && refused != nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	return page, nil
}

// scanReading is one try.
type scanReading struct {
	relatedReading
	request *ScanRequest
	page    *ScanPage
	full    bool
}

// scanKey is a statement: that of the first page or of others, for so many rows.
type scanKey struct {
	scan  *Scan
	first bool
	rows  int
}

func (x *scanReading) run(ctx context.Context, txs []*Tx) (unseen *Tx, err error) {
	q := x.request
	key := scanKey{q.Scan, q.After == nil, q.Rows}
	blame := &Lookup{Name: q.Scan.Name, Table: q.Scan.Table}
	name, err := x.reader.lookups.prepareAs(ctx, x.conn, key, func(ctx context.Context, conn *pgx.Conn) (string, error) {
		return q.Scan.statement(ctx, conn, key)
	})
	if err != nil {
		return nil, x.refusal(ctx, blame, err)
	}
	args := q.After
	if q.Scan.Since != nil {
		args = append([][]byte{[]byte(q.Since)}, args...)
	}
	unseen, err = x.runOne(ctx, oneReading{name: name, key: key, args: args, blame: blame, fields: x.check, row: x.collect}, txs)
	x.page.More = err == nil && (x.full || x.page.Read == q.Rows)
	return unseen, err
}

// check refuses columns that have other types by now: their values would be read wrongly.
func (x *scanReading) check(fields []pgconn.FieldDescription) error {
	s := x.request.Scan
	for i, c := range s.Columns {
		if f := fields[1+len(s.Key)+i]; f.DataTypeOID != baseOf(c.Type).OID {
			return &LookupError{Lookup: &Lookup{Name: s.Name, Table: s.Table}, Reason: fmt.Sprintf("column %s of %s has another type by now: reload the config", c.Name, s.Table)}
		}
	}
	return nil
}

// collect keeps what fits.
func (x *scanReading) collect(values [][]byte) {
	keys := len(x.request.Scan.Key)
	wanted := values[0] != nil && values[0][0] == 't'
	size := len(values) * rowOverhead
	for _, v := range values[1:] {
		size += len(v)
	}
	if !wanted {
		size = 0
	}
	if x.left -= size; x.full || x.page.Read > 0 && x.left < 0 {
		x.full = true
		return
	}
	x.page.Read++
	copied := func(v []byte) []byte { return append([]byte{}, v...) }
	x.page.Last = x.page.Last[:0]
	for _, v := range values[1 : 1+keys] {
		x.page.Last = append(x.page.Last, copied(v))
	}
	if !wanted {
		return
	}
	row := make(Row, len(values)-1-keys)
	for i, v := range values[1+keys:] {
		if row[i].Kind = Null; v != nil {
			row[i] = Value{Kind: Text, Data: copied(v)}
		}
	}
	x.page.Rows = append(x.page.Rows, row)
}

// builtin says that an operator is found without its schema.
const builtin = "operator(pg_catalog."

// statement reads a page. How many rows is said in it, not by a parameter: the planner has to know that they are few, to go by the
// index of the key.
func (s *Scan) statement(ctx context.Context, conn *pgx.Conn, key scanKey) (string, error) {
	var oids []uint32
	for _, k := range s.Key {
		oids = append(oids, baseOf(k.Type).OID)
	}
	types, err := sqlTypes(ctx, conn, oids)
	if err != nil {
		return "", err
	}
	var kind string
	if err := conn.QueryRow(ctx, `select coalesce((select relkind::text from pg_class where oid = to_regclass($1)), '')`, s.Table.Quote()).Scan(&kind); err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("select ")
	parameter := 1
	if s.Since != nil {
		fmt.Fprintf(&b, "coalesce(t.%s >= $1::text::timestamptz, true)", QuoteIdent(s.Since.Name))
		parameter++
	} else {
		b.WriteString("true")
	}
	var names, given []string
	plain := true
	for i, k := range s.Key {
		t, known := types[oids[i]]
		if !known {
			return "", &LookupError{Lookup: &Lookup{Name: s.Name, Table: s.Table}, Reason: "the type of its key is not there any more: reload the config"}
		}
		names, given = append(names, "t."+QuoteIdent(k.Name)), append(given, fmt.Sprintf("$%d::text::%s", parameter+i, t.name))
		plain = plain && (t.greater == ">" || strings.HasPrefix(t.greater, builtin))
	}
	for _, n := range names {
		b.WriteString(", " + n + "::text")
	}
	for _, c := range s.Columns {
		b.WriteString(", t." + QuoteIdent(c.Name))
	}
	b.WriteString(" from ")
	if kind == "r" {
		b.WriteString("only ") // a table that inherits may hold another row of the same key
	}
	b.WriteString(s.Table.Quote() + " t")
	switch {
	case key.first:
	case plain && len(names) > 1:
		fmt.Fprintf(&b, " where (%s) > (%s)", strings.Join(names, ", "), strings.Join(given, ", "))
	default:
		behind := ""
		for i := len(names) - 1; i >= 0; i-- {
			t := types[oids[i]]
			more := fmt.Sprintf("%s %s %s", names[i], t.greater, given[i])
			if behind != "" {
				more += fmt.Sprintf(" or %s %s %s and (%s)", names[i], t.equals, given[i], behind)
			}
			behind = more
		}
		b.WriteString(" where " + behind)
	}
	fmt.Fprintf(&b, " order by %s limit %d", strings.Join(names, ", "), key.rows)
	return b.String(), nil
}

// Size tells how many rows a table has: counted, if there are no more than so many and it does not take long, else about.
func (r *RowReader) Size(ctx context.Context, table TableName, exactly int64) (rows int64, exact bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	err = r.sql.do(ctx, func(conn *pgx.Conn) error {
		if err := conn.QueryRow(ctx, `select coalesce(sum(greatest(reltuples, 0)), 0)::int8 from pg_class
			where relkind in ('r', 'm') and oid in (select relid from pg_partition_tree(to_regclass($1)) union select to_regclass($1))`,
			table.Quote()).Scan(&rows); err != nil || rows > exactly {
			return err
		}
		counted, whole, err := countRows(ctx, conn, fmt.Sprintf("select from %s", table.Quote()), exactly)
		if err == nil && (whole || counted > rows) {
			rows, exact = counted, whole
		}
		return err
	})
	return rows, exact, err
}

// Count counts the rows that have a text in a column. It is false where there are more than so many, or it takes too long.
func (r *RowReader) Count(ctx context.Context, table TableName, column, text string, most int64) (rows int64, exact bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	err = r.sql.do(ctx, func(conn *pgx.Conn) (err error) {
		rows, exact, err = countRows(ctx, conn, fmt.Sprintf("select from %s where %s::text = $1", table.Quote(), QuoteIdent(column)), most, text)
		return err
	})
	return rows, exact, err
}

// countTimeout bounds counting.
const countTimeout = "3s"

// countRows counts what a statement finds. It is false where that is more than so many, or takes too long.
func countRows(ctx context.Context, conn *pgx.Conn, statement string, most int64, args ...any) (rows int64, whole bool, err error) {
	if _, err := conn.Exec(ctx, "set statement_timeout = '"+countTimeout+"'"); err != nil {
		return 0, false, err
	}
	err = conn.QueryRow(ctx, fmt.Sprintf("select count(*) from (%s limit %d) x", statement, most+1), args...).Scan(&rows)
	if SQLState(err) == "57014" {
		rows, whole, err = 0, false, nil
	} else {
		whole = rows <= most
	}
	if err != nil {
		return 0, false, err
	}
	_, err = conn.Exec(ctx, "reset statement_timeout")
	return rows, whole, err
}
