package preview

import (
	"context"
	"encoding/hex"
	"fmt"
	"math/big"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
)

// SampleKeys chooses keys of n rows, spread over the range of keys, always the same ones of the same rows. Whole numbers
// and uuids are spread evenly between the lowest and the highest, and the next row from each point is taken: a look into
// the index for each, however large the table. Where gaps leave fewer, the first rows of the table fill up. Other keys
// are counted through in their order, which reads the whole index.
func SampleKeys(ctx context.Context, conn *pgx.Conn, info mapping.ResourceInfo, n int) ([][]string, error) {
	if len(info.Key) == 1 {
		switch typ := info.Table.Columns[info.Table.Column(info.Key[0])].Type; typ.OID {
		case pgtype.Int2OID, pgtype.Int4OID, pgtype.Int8OID:
			return spreadKeys(ctx, conn, info, n, typ.Name, parseInteger, (*big.Int).String)
		case pgtype.UUIDOID:
			return spreadKeys(ctx, conn, info, n, "uuid", parseUUID, showUUID)
		}
	}
	return countedKeys(ctx, conn, info, n)
}

func parseInteger(s string) (*big.Int, bool) { return new(big.Int).SetString(s, 10) }

func parseUUID(s string) (*big.Int, bool) {
	return new(big.Int).SetString(strings.ReplaceAll(s, "-", ""), 16)
}

func showUUID(i *big.Int) string { return hex.EncodeToString(i.FillBytes(make([]byte, 16))) }

// spreadKeys takes the rows at evenly spaced points.
func spreadKeys(ctx context.Context, conn *pgx.Conn, info mapping.ResourceInfo, n int, typ string, parse func(string) (*big.Int, bool), show func(*big.Int) string) ([][]string, error) {
	key, table := cdc.QuoteIdent(info.Key[0]), info.Table.Quote()
	ends, err := keysOf(ctx, conn, info, 1, fmt.Sprintf("(select %[1]s from %[2]s order by %[1]s limit 1) union all (select %[1]s from %[2]s order by %[1]s desc limit 1)", key, table))
	if err != nil || len(ends) < 2 {
		return nil, err
	}
	low, ok1 := parse(ends[0][0])
	high, ok2 := parse(ends[1][0])
	if !ok1 || !ok2 {
		return countedKeys(ctx, conn, info, n)
	}
	points := make([]string, n)
	width := new(big.Int).Sub(high, low)
	for i := range points {
		at := new(big.Int).Mul(width, big.NewInt(int64(i)))
		points[i] = show(at.Div(at, big.NewInt(int64(max(n-1, 1)))).Add(at, low))
	}
	chosen, err := keysOf(ctx, conn, info, 1, fmt.Sprintf("select distinct k.v from unnest($1::text[]) p cross join lateral (select %[1]s as v from %[2]s where %[1]s >= p::%[3]s order by %[1]s limit 1) k order by k.v",
		key, table, typ), arrayText(points))
	if err != nil || len(chosen) == n {
		return chosen, err
	}
	have := make([]string, len(chosen))
	for i := range chosen {
		have[i] = chosen[i][0]
	}
	more, err := keysOf(ctx, conn, info, 1, fmt.Sprintf("select %[1]s from %[2]s where %[1]s <> all($1::text[]::%[3]s[]) order by %[1]s limit %[4]d", key, table, typ, n-len(chosen)), arrayText(have))
	return append(chosen, more...), err
}

// arrayText is an array of numbers or uuids, which need no quotes.
func arrayText(values []string) []byte { return []byte("{" + strings.Join(values, ",") + "}") }

// countedKeys takes rows at even distances in the order of their keys; the first ones where that takes too long.
func countedKeys(ctx context.Context, conn *pgx.Conn, info mapping.ResourceInfo, n int) ([][]string, error) {
	quoted := make([]string, len(info.Key))
	for i, k := range info.Key {
		quoted[i] = cdc.QuoteIdent(k)
	}
	key, table := strings.Join(quoted, ", "), info.Table.Quote()
	keys, err := keysOf(ctx, conn, info, len(quoted), fmt.Sprintf(`select %[1]s from (select %[1]s, row_number() over (order by %[1]s) - 1 as rowhook_n, count(*) over () as rowhook_of from %[2]s) x
		where rowhook_of <= %[3]d or (rowhook_n * %[4]d + rowhook_of - 2) / (rowhook_of - 1) * (rowhook_of - 1) / %[4]d = rowhook_n
		order by rowhook_n limit %[3]d`, key, table, n, max(n-1, 1)))
	if cdc.SQLState(err) != "57014" {
		return keys, err
	}
	return keysOf(ctx, conn, info, len(quoted), fmt.Sprintf("select %[1]s from %[2]s order by %[1]s limit %[3]d", key, table, n))
}

// keysOf runs a statement whose rows are keys.
func keysOf(ctx context.Context, conn *pgx.Conn, info mapping.ResourceInfo, columns int, sql string, args ...[]byte) ([][]string, error) {
	result := conn.PgConn().ExecParams(ctx, sql, args, nil, nil, nil).Read()
	if result.Err != nil {
		if cdc.SQLState(result.Err) == "42501" {
			return nil, errMayNotRead(conn, info)
		}
		return nil, fmt.Errorf("choose rows of %s: %w", info.Table, result.Err)
	}
	keys := make([][]string, len(result.Rows))
	for i, row := range result.Rows {
		for _, v := range row[:columns] {
			keys[i] = append(keys[i], string(v))
		}
	}
	return keys, nil
}

// JoinKey is the instance of a key, as SplitKey takes it apart.
func JoinKey(values []string) string {
	if len(values) == 1 {
		return values[0]
	}
	escaped := make([]string, len(values))
	for i, v := range values {
		escaped[i] = strings.NewReplacer(`\`, `\\`, `,`, `\,`).Replace(v)
	}
	return strings.Join(escaped, ",")
}
