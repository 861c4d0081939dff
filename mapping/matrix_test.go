package mapping

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/internal/secret"
)

// matrixCase is a column of table matrix; what each preset makes of it is in the order of matrixFormats.
type matrixCase struct {
	name, typ string
	value     *string
	json      []string
}

// matrixFormats are rowhook's own format, those of the presets, and one with every rule of its own.
var matrixFormats = []struct {
	name  string
	rules Rules
}{
	{"rowhook", Rules{}},
	{"rails", Rules{Preset: "rails"}},
	{"django", Rules{Preset: "django"}},
	{"fastapi", Rules{Preset: "fastapi"}},
	{"node", Rules{Preset: "node"}},
	{"go", Rules{Preset: "go"}},
	{"rules", Rules{Timestamp: "seconds", TimestampZone: "utc", Date: "timestamp", Numeric: "number", Bigint: "string", Bytea: "hex",
		Interval: "seconds", UUID: "plain", Range: "object", Composite: "object", Geometry: "geojson", Keys: "camel"}},
}

// readMatrix makes the table, reads its row as the stream tells it, and maps it in every format.
func readMatrix(t *testing.T) []matrixCase {
	t.Helper()
	url := pgtest.Database(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.WithoutCancel(t.Context()))
	pgtest.Needs(t, url, 15, "numeric with a negative scale, which the matrix has")
	sql, err := os.ReadFile("testdata/presets/matrix.sql")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), string(sql)); err != nil {
		t.Fatal(err)
	}
	// What the database says of every new session must change nothing. This session is older than that.
	var database string
	if err := conn.QueryRow(t.Context(), `select current_database()`).Scan(&database); err != nil {
		t.Fatal(err)
	}
	for _, set := range []string{"datestyle = 'German'", "intervalstyle = 'postgres_verbose'", "timezone = 'Asia/Kolkata'", "bytea_output = 'escape'",
		"extra_float_digits = '-10'", "client_encoding = 'LATIN1'", "search_path = 'nowhere'", "quote_all_identifiers = on", "xmlbinary = 'hex'"} {
		if _, err := conn.Exec(t.Context(), "alter database "+cdc.QuoteIdent(database)+" set "+set); err != nil {
			t.Fatal(err)
		}
	}
	change := streamed(t, url, cdc.TableName{Schema: "public", Name: "matrix"}, func() {
		if _, err := conn.Exec(t.Context(), `select fill_matrix()`); err != nil {
			t.Fatal(err)
		}
	})
	rows, err := conn.Query(t.Context(), `select name, type, value from cases order by n`)
	if err != nil {
		t.Fatal(err)
	}
	cases, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c matrixCase, err error) {
		return c, row.Scan(&c.name, &c.typ, &c.value)
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range matrixFormats {
		r := renderer{row: change.New}
		for i := range cases {
			n := slices.IndexFunc(change.Relation.Columns, func(c cdc.Column) bool { return c.Name == cases[i].name })
			b := binder{scope: newScope(change.Relation.Table, change.Relation.Columns), format: f.rules.format()}
			node := b.columnNode(n, cases[i].name, problem.Place{})
			out, k := r.render(nil, &node)
			if k != known || !json.Valid(out) {
				t.Errorf("%s of %s as %s: %q is no JSON", cases[i].name, cases[i].typ, f.name, out)
			}
			checkTypeSchema(t, change.Relation.Columns[n], b.format, string(out), cases[i].value == nil)
			if v, err := readFilterValue(out); err != nil {
				t.Error(err)
			} else if told := jsonTypeOf(typeSchema(change.Relation.Columns[n].Type, b.format, nil)).fits(cases[i].typ, v); told != "" {
				t.Errorf("%s as %s: %s: %s", cases[i].name, f.name, told, out)
			}
			cases[i].json = append(cases[i].json, string(out))
		}
	}
	return cases
}

// streamed is the first change of the table that the stream tells, which do makes.
func streamed(t *testing.T, url string, table cdc.TableName, do func()) *cdc.Change {
	t.Helper()
	first := &firstChange{began: make(chan struct{}, 1), came: make(chan *cdc.Change, 1)}
	source, err := cdc.New(cdc.Config{
		URL: secret.String(url), Slot: pgtest.Name("slot"), Publication: "matrix", Environment: "test", Temporary: true,
		Tables: []cdc.TableName{table}, Log: slog.New(slog.NewTextHandler(t.Output(), nil)),
	}, first, noCheckpoints{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- source.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	deadline := time.After(60 * time.Second)
	// The temporary slot tells what commits after it was made.
	select {
	case <-first.began:
	case <-deadline:
		t.Fatal("the stream did not begin")
	}
	do()
	select {
	case c := <-first.came:
		return c
	case <-deadline:
		t.Fatal("the change did not come")
		return nil
	}
}

// firstChange keeps a copy of the first change.
type firstChange struct {
	began chan struct{}
	came  chan *cdc.Change
}

func (f *firstChange) Begin(context.Context) error {
	select {
	case f.began <- struct{}{}:
	default:
	}
	return nil
}

func (f *firstChange) End() {}

func (f *firstChange) Handle(_ context.Context, b *cdc.Batch) (*cdc.Receipt, error) {
	for i := range b.Changes {
		c := &b.Changes[i]
		kept := *c
		kept.New = slices.Clone(c.New)
		for i := range kept.New {
			kept.New[i].Data = bytes.Clone(kept.New[i].Data)
		}
		select {
		case f.came <- &kept:
		default:
		}
	}
	receipt := cdc.NewReceipt(1)
	receipt.Done()
	return receipt, nil
}

// noCheckpoints remembers nothing: the slot lasts as long as the test.
type noCheckpoints struct{}

func (noCheckpoints) LoadCheckpoint(context.Context, string) (cdc.Checkpoint, bool, error) {
	return cdc.Checkpoint{}, false, nil
}
func (noCheckpoints) SaveCheckpoint(context.Context, cdc.Checkpoint) error { return nil }
func (noCheckpoints) SavePublished(context.Context, string, []cdc.Published, *cdc.Missed) error {
	return nil
}
func (noCheckpoints) Horizon(context.Context) (cdc.Position, error) { return cdc.Position{}, nil }

// TestMatrix holds every type through real replication against testdata/matrix.golden, and the presets to what the
// frameworks made of the same row; see testdata/presets/README.md.
func TestMatrix(t *testing.T) {
	t.Parallel()
	cases := readMatrix(t)
	t.Run("golden", func(t *testing.T) {
		var out strings.Builder
		for _, c := range cases {
			value := "null"
			if c.value != nil {
				value = string(appendString(nil, *c.value))
			}
			fmt.Fprintf(&out, "%s  %s  %s\n", c.name, c.typ, value)
			for i, f := range matrixFormats {
				if i == 0 || c.json[i] != c.json[0] {
					fmt.Fprintf(&out, "  %-8s %s\n", f.name, c.json[i])
				}
			}
		}
		const file = "testdata/matrix.golden"
		if *update {
			if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		wanted := strings.Split(string(want), "\n")
		for i, line := range strings.Split(out.String(), "\n") {
			if i >= len(wanted) || line != wanted[i] {
				t.Fatalf("%s:%d is not what came out: %s", file, i+1, line)
			}
		}
	})
	t.Run("docs", func(t *testing.T) {
		const file = "../docs/mapping.md"
		page, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		before, rest, ok1 := strings.Cut(string(page), "|---|---|---|---|---|---|---|\n")
		have, after, ok2 := strings.Cut(rest, "\n\n")
		if !ok1 || !ok2 {
			t.Fatal("docs/mapping.md has no table of the presets")
		}
		want := presetTable(cases)
		if *update {
			if err := os.WriteFile(file, []byte(before+"|---|---|---|---|---|---|---|\n"+want+"\n\n"+after), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if have != want {
			t.Errorf("the presets in docs/mapping.md are not what is written: go test -run TestMatrix ./mapping -update")
		}
	})
	for i, f := range matrixFormats {
		if f.rules.Preset != "" {
			t.Run(f.name, func(t *testing.T) { checkPreset(t, f.name, cases, i) })
		}
	}
}

// presetTable is the table of the docs: some cases in the formats that have a name.
func presetTable(cases []matrixCase) string {
	var rows []string
	for _, name := range []string{"int8_small", "numeric_scale", "numeric_nan", "float8_whole", "date_leap", "time_micros", "timestamp_micros",
		"timestamptz_short", "timestamptz_whole", "timestamptz_infinity", "interval_days", "bytea_empty", "hstore_pairs", "int4range_half", "inet_net",
		"money_minus", "point_plain"} {
		c := cases[slices.IndexFunc(cases, func(c matrixCase) bool { return c.name == name })]
		row := "| `" + c.typ + "` " + strings.ReplaceAll(*c.value, "|", `\|`)
		for i, f := range matrixFormats {
			if f.name != "rules" {
				row += " | `" + c.json[i] + "`"
			}
		}
		rows = append(rows, row+" |")
	}
	return strings.Join(rows, "\n")
}

// checkPreset compares with what the framework said.
func checkPreset(t *testing.T, preset string, cases []matrixCase, format int) {
	golden := readLines(t, "testdata/presets/"+preset+".golden")
	differences := readLines(t, "testdata/presets/"+preset+".differences")
	same := 0
	for _, c := range cases {
		want, ok := golden[c.name]
		if !ok {
			t.Errorf("%s.golden has no line for %s: make it again", preset, c.name)
			continue
		}
		got := c.json[format]
		document := strings.HasPrefix(c.typ, "json")
		equal := !strings.HasPrefix(want, "! ") && sameJSON(t, got, want, document)
		difference, told := differences[c.name]
		delete(differences, c.name)
		switch {
		case equal && told:
			t.Errorf("%s.differences tells of %s, which does not differ", preset, c.name)
		case equal:
			same++
		case strings.HasPrefix(want, "! "): // the framework refuses it, so anything is as good
		case !told:
			t.Errorf("%s (%s): got %s, want %s", c.name, c.typ, got, want)
		default:
			if value, reason, _ := strings.Cut(difference, "\t"); value != got || reason == "" {
				t.Errorf("%s.differences tells that %s is %s, not %s; or gives no reason", preset, c.name, value, got)
			}
		}
	}
	for name := range maps.Keys(differences) {
		t.Errorf("%s.differences tells of %s, which is no case", preset, name)
	}
	if same < 80 {
		t.Errorf("only %d cases are the same", same)
	}
}

// readLines reads lines of a name, a tab and a text.
func readLines(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := map[string]string{}
	for line := range strings.Lines(string(text)) {
		name, rest, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if !ok || lines[name] != "" {
			t.Fatalf("%s: %q is no line of a name and a text, or comes twice", file, line)
		}
		lines[name] = rest
	}
	return lines
}

// sameJSON compares texts by what they stand for, numbers by their text, members by their order. A document's numbers
// are compared by value, and its members by name: rowhook keeps the digits and the order of the database.
func sameJSON(t *testing.T, a, b string, document bool) bool {
	t.Helper()
	if a == b {
		return true
	}
	if document {
		var v, w any
		return json.Unmarshal([]byte(a), &v) == nil && json.Unmarshal([]byte(b), &w) == nil && reflect.DeepEqual(v, w)
	}
	return reflect.DeepEqual(tokens(t, a), tokens(t, b))
}

func tokens(t *testing.T, text string) []json.Token {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(text))
	d.UseNumber()
	var list []json.Token
	for {
		token, err := d.Token()
		if err == io.EOF {
			return list
		}
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		list = append(list, token)
	}
}
