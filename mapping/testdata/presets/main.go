// Command presets prints what encoding/json says of each column of table matrix, read by pgx into the type that sqlc
// gives it. See README.md.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"os"
	"reflect"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
)

func main() {
	if err := run(context.Background(), os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, url string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	rows, err := conn.Query(ctx, `select name, type from cases order by n`)
	if err != nil {
		return err
	}
	type column struct{ Name, Type string }
	cases, err := pgx.CollectRows(rows, pgx.RowToStructByPos[column])
	if err != nil {
		return err
	}
	for _, c := range cases {
		t := goType(c.Type)
		if strings.HasSuffix(c.Type, "[]") {
			// sqlc flattens; a list of lists is what a type of one's own would be.
			dimensions := 1
			if err := conn.QueryRow(ctx, "select coalesce(array_ndims("+c.Name+"), 1) from matrix").Scan(&dimensions); err != nil {
				return err
			}
			for range dimensions - 1 {
				t = reflect.SliceOf(t)
			}
		}
		value := reflect.New(t)
		err := conn.QueryRow(ctx, "select "+c.Name+" from matrix").Scan(value.Interface())
		var out []byte
		if err == nil {
			out, err = json.Marshal(value.Elem().Interface())
		}
		if err != nil {
			out = []byte("! " + fmt.Sprintf("%T", err))
		}
		fmt.Printf("%s\t%s\n", c.Name, out)
	}
	return nil
}

// types are those of sqlc's package for pgx/v5, nullable; json is raw instead of bytes, because base64 of JSON is of no
// use to anybody, and a text that it has no type for is a string.
var types = map[string]any{
	"int2": (*int16)(nil), "int4": (*int32)(nil), "int8": (*int64)(nil), "percent": (*int32)(nil),
	"float4": (*float32)(nil), "float8": (*float64)(nil), "bool": (*bool)(nil), "oid": (*uint32)(nil), "xid8": (*uint64)(nil),
	"numeric": pgtype.Numeric{}, "cents": pgtype.Numeric{}, "bytea": []byte(nil), "date": pgtype.Date{}, "time": pgtype.Time{},
	"timestamp": pgtype.Timestamp{}, "timestamptz": pgtype.Timestamptz{}, "interval": pgtype.Interval{}, "uuid": pgtype.UUID{},
	"json": json.RawMessage(nil), "jsonb": json.RawMessage(nil), "hstore": pgtype.Hstore(nil),
	"tags": []*string(nil), "point": pgtype.Point{}, "box": pgtype.Box{}, "line": pgtype.Line{}, "lseg": pgtype.Lseg{},
	"polygon": pgtype.Polygon{}, "path": pgtype.Path{}, "circle": pgtype.Circle{},
	"inet": (*netip.Prefix)(nil), "cidr": (*netip.Prefix)(nil), "bit": pgtype.Bits{}, "varbit": pgtype.Bits{}, "tsvector": pgtype.TSVector{},
	"int4multirange": pgtype.Multirange[pgtype.Range[pgtype.Int4]]{}, "nummultirange": pgtype.Multirange[pgtype.Range[pgtype.Numeric]]{},
	"int4range": pgtype.Range[pgtype.Int4]{}, "int8range": pgtype.Range[pgtype.Int8]{}, "numrange": pgtype.Range[pgtype.Numeric]{},
	"daterange": pgtype.Range[pgtype.Date]{}, "tsrange": pgtype.Range[pgtype.Timestamp]{}, "tstzrange": pgtype.Range[pgtype.Timestamptz]{},
}

func goType(name string) reflect.Type {
	if element, ok := strings.CutSuffix(name, "[]"); ok {
		return reflect.SliceOf(goType(element))
	}
	name, _, _ = strings.Cut(name, "(")
	if t, ok := types[name]; ok {
		return reflect.TypeOf(t)
	}
	return reflect.TypeFor[*string]()
}
