package cdc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// RootsRequest asks for the keys of rows that are found from below, in the order of the askers' numbers and then of the
// keys, each once for a number.
type RootsRequest struct {
	Roots *Roots
	// Asked has what is known of the rows below, by Ascent; the Roots' Ascents that are missing at its end ask for nothing.
	Asked []RootsAsked
	// After is the last key that is had already; nil at the beginning.
	After *RootKey
	// Max is how many keys are wanted at most, MaxBytes the size of their values together; one comes at least.
	Max, MaxBytes int
}

// RootsAsked are values of the rows below: each with the number of who asks, and the text of the columns that the ascent's
// first step calls Theirs. A number may ask for several.
type RootsAsked struct {
	Numbers []int
	Values  [][][]byte
}

// RootKey is the text of a primary key's values, and who asked for it.
type RootKey struct {
	Number int
	Key    [][]byte
}

// ReadRoots returns the first keys of those that are wanted, and whether there may be more. It reads as ReadRelated does,
// and has the same errors; a LookupError's Lookup is made for it.
func (r *RowReader) ReadRoots(ctx context.Context, txs []*Tx, q *RootsRequest) (keys []RootKey, more bool, err error) {
	var refused *LookupError
	err = r.repeat(ctx, txs, "the rows that related rows belong to cannot be looked for", func(ctx context.Context, conn *pgx.Conn) (unseen *Tx, err error) {
		x := rootsReading{relatedReading: relatedReading{reader: r, conn: conn, left: q.MaxBytes}, request: q}
		unseen, err = x.run(ctx, txs)
		keys, more = x.keys, x.more
		if refused = nil; errors.As(err, &refused) {
			return nil, nil
		}
		return unseen, err
	})
	if err != nil || refused == nil {
		return keys, more, err
	}
	if refused.Slow {
		reason := refused.Error()
		r.waiting.Store(&reason)
	}
	return nil, false, refused
}

// rootsReading is one try.
type rootsReading struct {
	relatedReading
	request *RootsRequest
	keys    []RootKey
	more    bool
}

// rootsKey is a statement: that for some of the ascents.
type rootsKey struct {
	roots *Roots
	// which has a byte for each.
	which string
}

func (x *rootsReading) run(ctx context.Context, txs []*Tx) (unseen *Tx, err error) {
	q := x.request
	asked := q.which()
	which := make([]byte, len(q.Roots.Ascents))
	for _, i := range asked {
		which[i] = 1
	}
	key := rootsKey{q.Roots, string(which)}
	blame := &Lookup{Name: q.Roots.Name, Table: q.Roots.Table}
	name, err := x.reader.lookups.prepareAs(ctx, x.conn, key, func(ctx context.Context, conn *pgx.Conn) (string, error) {
		return q.Roots.statement(ctx, conn, asked)
	})
	if err != nil {
		return nil, x.refusal(ctx, blame, err)
	}
	return x.runOne(ctx, oneReading{name: name, key: key, args: q.arguments(asked), blame: blame, row: x.collect}, txs)
}

// collect keeps what fits.
func (x *rootsReading) collect(values [][]byte) {
	size := 0
	for _, v := range values[1:] {
		size += len(v) + rowOverhead
	}
	if x.left -= size; x.more || len(x.keys) > 0 && x.left < 0 {
		x.more = true
		return
	}
	k := RootKey{Key: make([][]byte, len(values)-1)}
	for _, digit := range values[0] {
		k.Number = k.Number*10 + int(digit-'0')
	}
	data := make([]byte, 0, size)
	for i, v := range values[1:] {
		from := len(data)
		data = append(data, v...)
		k.Key[i] = data[from:len(data):len(data)]
	}
	x.keys = append(x.keys, k)
	x.more = len(x.keys) == x.request.Max
}

// which are the ascents that something is asked of.
func (q *RootsRequest) which() (asked []int) {
	for i, a := range q.Asked {
		if len(a.Numbers) > 0 {
			asked = append(asked, i)
		}
	}
	return asked
}

// arguments are, in this order: how many keys, the number and key to begin behind, and the numbers and values of each ascent.
func (q *RootsRequest) arguments(asked []int) [][]byte {
	args := [][]byte{fmt.Append(nil, q.Max), []byte("-1")}
	if q.After != nil {
		args[1] = fmt.Append(nil, q.After.Number)
		args = append(args, q.After.Key...)
	} else {
		args = append(args, make([][]byte, len(q.Roots.Key))...)
	}
	for _, i := range asked {
		a := &q.Asked[i]
		numbers := make([][]byte, len(a.Numbers))
		for n, number := range a.Numbers {
			numbers[n] = fmt.Append(nil, number)
		}
		args = append(args, arrayLiteral(numbers))
		for column := range q.Roots.Ascents[i].Steps[0].On {
			values := make([][]byte, len(a.Values))
			for n := range a.Values {
				values[n] = a.Values[n][column]
			}
			args = append(args, arrayLiteral(values))
		}
	}
	return args
}

// sqlType is how a type's values are written and compared in SQL.
type sqlType struct{ name, equals, greater string }

// sqlTypes looks types up. Their names have schemas, since search_path is empty.
func sqlTypes(ctx context.Context, conn *pgx.Conn, oids []uint32) (map[uint32]sqlType, error) {
	rows, err := conn.Query(ctx, `select t.oid, format_type(t.oid, -1), `+equalityOperator+`, `+greaterOperator+`
		from pg_type t where t.oid = any($1::oid[])`, oids)
	if err != nil {
		return nil, err
	}
	found := map[uint32]sqlType{}
	var oid uint32
	var t sqlType
	_, err = pgx.ForEachRow(rows, []any{&oid, &t.name, &t.equals, &t.greater}, func() error {
		if isInteger(oid) {
			t.equals = "operator(pg_catalog.=)" // compares integers of all sizes
		}
		found[oid] = t
		return nil
	})
	return found, err
}

// statement selects the keys of the rows that the ascents lead to.
func (r *Roots) statement(ctx context.Context, conn *pgx.Conn, asked []int) (string, error) {
	var oids []uint32
	for _, k := range r.Key {
		oids = append(oids, baseOf(k.Type).OID)
	}
	for _, i := range asked {
		for _, step := range r.Ascents[i].Steps {
			for _, p := range step.On {
				oids = append(oids, baseOf(p.Theirs.Type).OID)
			}
		}
	}
	types, err := sqlTypes(ctx, conn, oids)
	if err != nil {
		return "", err
	}
	for _, oid := range oids {
		if _, known := types[oid]; !known {
			return "", &LookupError{Lookup: &Lookup{Name: r.Name, Table: r.Table}, Reason: "the type of a key is not there any more: reload the config"}
		}
	}
	return r.sql(types, asked), nil
}

func (r *Roots) sql(types map[uint32]sqlType, asked []int) string {
	var b strings.Builder
	key := ""
	for i := range r.Key {
		key += fmt.Sprintf(", k%d", i)
	}
	fmt.Fprintf(&b, "select n%s from (", key)
	parameter := 3 + len(r.Key)
	for n, i := range asked {
		a := &r.Ascents[i]
		switch {
		case n > 0:
			b.WriteString(" union select")
		case len(asked) == 1 && len(a.Steps) > 1:
			b.WriteString("select distinct")
		default:
			// Values differ, and a row has one of each: so no row is found twice.
			b.WriteString("select")
		}
		r.ascend(&b, a, types, &parameter)
	}
	// Behind the number and the key that are given.
	behind := ""
	for i := len(r.Key) - 1; i >= 0; i-- {
		t := types[baseOf(r.Key[i].Type).OID]
		given := fmt.Sprintf("$%d::text::%s", 3+i, t.name)
		more := fmt.Sprintf("k%d %s %s", i, t.greater, given)
		if behind != "" {
			more += fmt.Sprintf(" or k%d %s %s and (%s)", i, t.equals, given, behind)
		}
		behind = more
	}
	fmt.Fprintf(&b, ") x where n > $2::int8 or n = $2::int8 and (%s) order by n%s limit $1::int8", behind, key)
	return b.String()
}

// ascend writes what one ascent leads to.
func (r *Roots) ascend(b *strings.Builder, a *Ascent, types map[uint32]sqlType, parameter *int) {
	last := len(a.Steps) - 1
	b.WriteString(" k.n")
	for i, k := range r.Key {
		fmt.Fprintf(b, ", s%d.%s as k%d", last, QuoteIdent(k.Name), i)
	}
	fmt.Fprintf(b, " from unnest($%d::int8[]", *parameter)
	*parameter++
	names := "n"
	for i := range a.Steps[0].On {
		fmt.Fprintf(b, ", $%d::text[]", *parameter)
		*parameter++
		names += fmt.Sprintf(", v%d", i)
	}
	fmt.Fprintf(b, ") as k(%s)", names)
	for i, step := range a.Steps {
		fmt.Fprintf(b, " join %s s%d on ", step.Table.Quote(), i)
		for n, p := range step.On {
			if n > 0 {
				b.WriteString(" and ")
			}
			// As the row below looks for ours: by the type of its column.
			theirs, ours := baseOf(p.Theirs.Type).OID, baseOf(p.Ours.Type).OID
			t := types[theirs]
			fmt.Fprintf(b, "s%d.%s", i, QuoteIdent(p.Ours.Name))
			if theirs != ours && !isInteger(theirs) {
				b.WriteString("::" + t.name)
			}
			b.WriteString(" " + t.equals + " ")
			if i == 0 {
				fmt.Fprintf(b, "k.v%d::%s", n, t.name)
			} else {
				fmt.Fprintf(b, "s%d.%s", i-1, QuoteIdent(p.Theirs.Name))
			}
		}
	}
}
