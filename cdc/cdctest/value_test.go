package cdctest_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"gopkg.in/yaml.v3"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/cdc/cdctest"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
)

// values are tried in Postgres and in a case, by type. Postgres' own type is called as ours unless own says otherwise.
var values = []struct {
	typ, own string
	values   []string
}{
	{"boolean", "", []string{"true", "T", "tru", "yes", "y", "on", "1", " t ", "false", "f", "no", "of", "off", "0", "o", "", "2", "wahr", "oui"}},
	{"smallint", "", []string{"0", "-0", "+7", "007", " 7 ", "32767", "32768", "-32768", "-32769", "", " ", "1.0", "1e2", "x", "--1", "1 2", "99999999999999999999"}},
	{"int", "", []string{"2147483647", "2147483648", "-2147483648", "-2147483649", "abc"}},
	{"bigint", "", []string{"9223372036854775807", "9223372036854775808", "-9223372036854775808", "-9223372036854775809", "１"}},
	{"oid", "", []string{"0", "4294967295", "4294967296", "-1", "x"}},
	{"numeric", "", []string{"0", "-0", "-0.00", "1.50", "007.10", ".5", "5.", "+1", "-.5e1", "1e3", "1.5e1", "1.25e-3", "12E+2", "1e-0", "123.456e1", "12.5e-5", "NaN", "nan", "Infinity", "-inf",
		"inf", "12345678901234567890.10", ".", "", "e1", "1e", "1.2.3", "1,5", "0e10", "1e131071", "1e131073", "1e-16383", "one"}},
	{"real", "", []string{"1.1", "100000", "999999", "1000000", "1234567", "1e38", "1e39", "1e-46", "0.0001", "0.00001", "-0", "16777217", "nan"}},
	{"double precision", "", []string{"1.1", "0.1", "100000000000000", "1e14", "999999999999999", "1e15", "123456789012345678", "1e22", "1e-4", "1e-5", "0.00001234", "1e308", "1e309", "-1e309", "1e-324", "5e-324", "0e-400", "-0",
		"Infinity", "-Infinity", "NaN", ".5", "5.", "", "x", "1e", "1_0"}},
	{"uuid", "", []string{"0f8fad5b-d9cb-469f-a165-70867728950e", "0F8FAD5B-D9CB-469F-A165-70867728950E", "{0f8fad5b-d9cb-469f-a165-70867728950e}", "0f8fad5bd9cb469fa16570867728950e",
		"0f8f-ad5b-d9cb-469f-a165-7086-7728-950e", "0f8fad5b-d9cb-469f-a165-70867728950", "0f8fad5b-d9cb-469f-a165-70867728950g", "", "0f-8fad5bd9cb469fa16570867728950e", "-0f8fad5bd9cb469fa16570867728950e",
		"{0f8fad5b-d9cb-469f-a165-70867728950e", " 0f8fad5b-d9cb-469f-a165-70867728950e", "0f8fad5b--d9cb-469f-a165-70867728950e", "0f8fad5b-d9cb-469f-a165-70867728950e-"}},
	{"date", "", []string{"2026-11-22", "2026-1-2", "2024-02-29", "2023-02-29", "2026-13-01", "2026-00-01", "2026-01-00", "0000-01-01", "0001-01-01", "0044-03-15 BC", "0001-02-29 BC", "0004-02-29 BC", "4714-11-24 BC", "4714-11-23 BC", "10000-01-01",
		"5874897-12-31", "5874898-01-01", "infinity", "-infinity", "2026-11-22T23:00:00Z", "2026-11-22 23:00:00-05", " 2026-11-22 ", "", "22", "2026-11", "gestern"}},
	{"timestamp", "", []string{"2026-11-22 01:02:03", "2026-11-22T01:02:03.5Z", "2026-11-22T01:02:03+02:00", "2026-11-22", "2026-11-22 01:02", "2026-11-22 01:02:03.1234567", "2026-11-22 01:02:03.9999999", "2026-11-22 24:00:00", "2026-11-22 24:00:01", "2026-11-22 25:00",
		"2026-11-22 01:60", "2026-11-22 01:02:60", "2026-11-22 01:02:61", "2026-12-31 23:59:60", "0044-03-15 01:02:03 BC", "294276-12-31 23:59:59", "294277-01-01 00:00:00", "4714-11-24 00:00:00 BC", "4714-11-23 23:00:00 BC", "infinity", "x", "2026-02-30 00:00:00", "2026-11-22 01:02:03.120000"}},
	{"timestamp with time zone", "", []string{"2026-11-22 01:02:03.5+00", "2026-11-22T01:02:03.5Z", "2026-11-22T01:02:03+02:00", "2026-11-22 01:02:03-0530", "2026-11-22 01:02:03 +02", "2026-11-22 01:02:03 UTC", "2026-11-22 01:02:03", "2026-11-22",
		"2026-11-22 01:02:03+15:59:59", "2026-11-22 01:02:03+16", "2026-11-22 01:02:03+02:60", "0001-01-01 00:00:00+02", "0044-03-15 01:02:03+00 BC", "-infinity", "2026-11-22 01:02:03+2:00:00:00", ""}},
	{"time", "", []string{"01:02:03", "1:02", "01:02:03.5", "23:59:59.9999999", "24:00:00", "24:00:01", "25:00", "01:60:00", "01:02:60", "01:02:03Z", "01:02:03+02", "x", ""}},
	{"time with time zone", "", []string{"01:02:03+02", "01:02:03-05:30", "01:02:03.50Z", "01:02:03", "24:00:00+00", "01:02:03+05:30:15", "01:02:03-00:30", "01:02:03+16", "x"}},
	{"mood enum(sad, ok, 'so so', 'it''s')", "mood", []string{"sad", "so so", "it's", "Sad", "glad", "", " sad"}},
	{"mood enum", "mood", []string{"sad", "ok"}},
	{"bytea", "", []string{`\x`, `\xDEADbeef`, `\xde ad be ef`, `\xd`, `\xdg`, `abc`, `a\\b`, `a\001\377`, `\400`, `a\b`, `\`, `é`, `\Xab`, `\xd ead`}},
	{"json", "", []string{`{"b": 1, "a": [1, 2.50]}`, ` {"a":1 } `, `"a"`, `1.50`, `null`, `{"a":1,"a":2}`, `{a: 1}`, `x`, ``, `[1,]`, `01`, `{"a":"\u0000"}`, "[\"a\tb\"]", `'a'`, `NaN`, `[1] 2`}},
	{"jsonb", "", []string{`{"bb": 1, "a": [1, 2.50], "c": {"z": null, "y": true}}`, `{"a":1,"a":2}`, `1e2`, `-0`, `1.0e1`, `"\u00e9\n\u0001\/"`, `"\ud83d\ude00"`, `{"a":"\u0000"}`, `{"é":1,"zz":2,"z":3}`, `[]`, `{}`, `x`, `{"a":}`, `""`, `"<&>"`}},
	{"text[]", "", []string{`{}`, `{a,b}`, ` { a , "b c" } `, `{NULL,null,"NULL",""}`, `{a\,b,c\ }`, `{"a\"b\\"}`, `{{a,b},{c,d}}`, `{{a,b},{c}}`, `{a,{b}}`, `{{a},b}`, `{a,}`, `{,a}`, `{a`, `a,b`, `{a}x`, `[0:1]={a,b}`, ``, `{a b}`, `{é}`, `{{{{{{1}}}}}}`, `{{{{{{{1}}}}}}}`, `{"a"`}},
	{"int[]", "", []string{`{1,2}`, `{1,x}`, `{01,+2}`, `{2147483648}`, `{NULL}`, `{""}`}},
	{"boolean[]", "", []string{`{true,f}`, `{maybe}`}},
	{"mood enum(sad, ok)[]", "mood[]", []string{`{sad,ok}`, `{sad,glad}`}},
	{"jsonb[]", "", []string{`{"{\"b\":1,\"a\":2}"}`, `{x}`}},
	{"uuid[]", "", []string{`{0F8FAD5B-D9CB-469F-A165-70867728950E}`, `{1}`}},
	{"cents domain numeric", "cents", []string{"1.5", "x"}},
	{"text", "", []string{"", "x", " y "}},
	{"varchar(20)", "", []string{"abc"}},
	{"inet", "", []string{"10.0.0.1"}},
}

// given is what a case makes of a value, or what is wrong with it.
func given(typ, value string) (string, error) {
	n := &yaml.Node{Kind: yaml.MappingNode, Content: []*yaml.Node{
		{Kind: yaml.ScalarNode, Tag: "!!str", Value: "v"}, {Kind: yaml.ScalarNode, Tag: "!!str", Value: value}}}
	row, problems := cdctest.Row("case.yaml", n, []cdc.Column{{Name: "v", Type: cdctest.Type(typ)}}, "t", cdc.Null)
	return string(row[0].Data), problems.Err()
}

// TestValues tries values in Postgres: what it takes is written as it writes it, and what it refuses is refused.
func TestValues(t *testing.T) {
	t.Parallel()
	settings := cdc.StartupParameters()
	settings["search_path"] = "public"
	conn, err := cdc.Connect(t.Context(), secret.String(pgtest.Database(t)), settings)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(t.Context(), `create type mood as enum ('sad', 'ok', 'so so', 'it''s'); create domain cents as numeric`); err != nil {
		t.Fatal(err)
	}
	for _, of := range values {
		own := of.own
		if own == "" {
			own = of.typ
		}
		for _, v := range of.values {
			results, refused := conn.PgConn().Exec(t.Context(), fmt.Sprintf("select '%s'::%s", strings.ReplaceAll(v, "'", "''"), own)).ReadAll()
			got, wrong := given(of.typ, v)
			switch {
			case refused == nil && wrong != nil:
				t.Errorf("%s %q: Postgres writes %q, and we refuse it: %v", of.typ, v, results[0].Rows[0][0], wrong)
			case refused != nil && wrong == nil:
				t.Errorf("%s %q: we write %q, and Postgres refuses it: %v", of.typ, v, got, refused)
			case refused == nil && got != string(results[0].Rows[0][0]):
				t.Errorf("%s %q: Postgres writes %q, and we write %q", of.typ, v, results[0].Rows[0][0], got)
			}
		}
	}
	// What Postgres writes stays as it is.
	for typ, sql := range map[string]string{
		"double precision": `select ((random() - 0.5) * 10 ^ (random() * 60 - 30))::float8 from generate_series(1, 2000)`,
		"real":             `select ((random() - 0.5) * 10 ^ (random() * 60 - 30))::float4 from generate_series(1, 2000)`,
		"timestamptz":      `select to_timestamp((random() - 0.3) * 1e11) from generate_series(1, 1000)`,
		"date":             `select (to_timestamp((random() - 0.3) * 1e11))::date from generate_series(1, 1000)`,
		"time":             `select (random() * interval '1 day')::time from generate_series(1, 1000)`,
		"numeric[]":        `select array[(random() * 1000)::numeric, null, round((random() * 10 ^ 20)::numeric, 3)] from generate_series(1, 100)`,
		"jsonb":            `select jsonb_build_object('b', random(), 'aa', n, 'a', array[n, null], chr(n), chr(n)) from generate_series(1, 300) n`,
		"text[]":           `select array[[chr(n), 'a' || chr(n), chr(n) || 'b'], [null, '', 'null']] from generate_series(1, 300) n`,
	} {
		rows, err := conn.Query(t.Context(), sql, pgx.QueryResultFormats{pgx.TextFormatCode})
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			want := string(rows.RawValues()[0])
			if got, wrong := given(typ, want); wrong != nil || got != want {
				t.Errorf("%s: Postgres writes %q, of which we make %q: %v", typ, want, got, wrong)
			}
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
	}
}

// FuzzValues takes any text for a value of any type: nothing panics, and what comes out stays as it is.
func FuzzValues(f *testing.F) {
	for _, of := range values {
		for _, v := range of.values {
			f.Add(of.typ, v)
		}
	}
	f.Fuzz(func(t *testing.T, typ, value string) {
		if len(value) > 100 || len(typ) > 100 {
			return
		}
		once, err := given(typ, value)
		if err != nil {
			return
		}
		if twice, err := given(typ, once); err != nil || twice != once {
			t.Errorf("%s %q becomes %q, and that %q: %v", typ, value, once, twice, err)
		}
	})
}
