package preview

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
)

// rowByKey reads the row as the stream would send it: each value in the text form of its type.
func rowByKey(ctx context.Context, conn *pgx.Conn, info mapping.ResourceInfo, key string) (cdc.Row, error) {
	values, err := SplitKey(key, len(info.Key))
	if err != nil {
		return nil, &KeyError{fmt.Sprintf("the key of %s is %s: %v", info.Name, strings.Join(info.Key, ", "), err)}
	}
	return ReadRow(ctx, conn, info, key, values)
}

// ReadRow reads the row as the stream would send it, by the values of the key.
func ReadRow(ctx context.Context, conn *pgx.Conn, info mapping.ResourceInfo, key string, values []string) (cdc.Row, error) {
	columns := make([]string, len(info.Table.Columns))
	for i, c := range info.Table.Columns {
		columns[i] = cdc.QuoteIdent(c.Name)
	}
	where, args := make([]string, len(info.Key)), make([][]byte, len(info.Key))
	for i, k := range info.Key {
		where[i], args[i] = fmt.Sprintf("%s = $%d", cdc.QuoteIdent(k), i+1), []byte(values[i])
	}
	sql := "select " + strings.Join(columns, ", ") + " from " + info.Table.Quote() + " where " + strings.Join(where, " and ")
	// Without result formats, all come as text, which is not the same as a cast to text: booleans, char(n).
	result := conn.PgConn().ExecParams(ctx, sql, args, nil, nil, nil).Read()
	if result.Err != nil {
		switch cdc.SQLState(result.Err) {
		case "22P02", "22003", "22007", "22008", "22021":
			return nil, &KeyError{fmt.Sprintf("%q is not a key of %s: its %s cannot be that", key, info.Name, strings.Join(info.Key, ", "))}
		case "42501":
			return nil, errMayNotRead(conn, info)
		}
		return nil, fmt.Errorf("read the row: %w", result.Err)
	}
	if len(result.Rows) == 0 {
		return nil, &NoRowError{info.Name, key, info.Table.String()}
	}
	row := make(cdc.Row, len(columns))
	for i, v := range result.Rows[0] {
		switch {
		case info.Table.Columns[i].Generated:
			// not in the stream
		case v == nil:
			row[i].Kind = cdc.Null
		default:
			row[i] = cdc.Value{Kind: cdc.Text, Data: v}
		}
	}
	return row, nil
}

// NoRowError says that there is no row of a key.
type NoRowError struct{ resource, key, table string }

func (e *NoRowError) Error() string {
	if e.key == "" {
		return fmt.Sprintf("there is no %s: table %s has no row that the role can see", e.resource, e.table)
	}
	return fmt.Sprintf("there is no %s %s: table %s has no such row that the role can see", e.resource, e.key, e.table)
}

// KeyError says that a text is no key of the resource.
type KeyError struct{ text string }

func (e *KeyError) Error() string { return e.text }

// SplitKey cuts a key into the values of n columns. A comma or a \ in a value of a composite key has a \ before it, as in
// the events' instances.
func SplitKey(key string, n int) ([]string, error) {
	values := mapping.SplitInstance(key, n)
	if len(values) != n {
		return nil, fmt.Errorf("give %d values, joined by commas; %q has %d", n, key, len(values))
	}
	return values, nil
}

// sampleKey is the highest key of a table, as preview takes it.
func sampleKey(ctx context.Context, conn *pgx.Conn, info mapping.ResourceInfo) (string, error) {
	columns, order := make([]string, len(info.Key)), make([]string, len(info.Key))
	for i, k := range info.Key {
		columns[i] = cdc.QuoteIdent(k) + "::text"
		order[i] = "t." + cdc.QuoteIdent(k) + " desc" // not of the text, which has the column's name too
	}
	sql := "select " + strings.Join(columns, ", ") + " from " + info.Table.Quote() + " t order by " + strings.Join(order, ", ") + " limit 1"
	result := conn.PgConn().ExecParams(ctx, sql, nil, nil, nil, nil).Read()
	if cdc.SQLState(result.Err) == "42501" {
		return "", errMayNotRead(conn, info)
	}
	if result.Err != nil {
		return "", fmt.Errorf("read the highest key: %w", result.Err)
	}
	if len(result.Rows) == 0 {
		return "", &NoRowError{info.Name, "", info.Table.String()}
	}
	values := make([]string, len(info.Key))
	for i, v := range result.Rows[0] {
		values[i] = string(v)
		if len(info.Key) > 1 {
			values[i] = strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(values[i])
		}
	}
	return strings.Join(values, ","), nil
}

func errMayNotRead(conn *pgx.Conn, info mapping.ResourceInfo) error {
	return fmt.Errorf("the role may not read %s\n  hint: GRANT SELECT ON %s TO %s;", info.Table, info.Table.Quote(), cdc.QuoteIdent(conn.Config().User))
}
