//go:build unix

package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestMain is also the roles: the program runs itself, and here it is the program of the tests.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && strings.HasPrefix(os.Args[1], "-role=") {
		os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// TestQuick runs two scenarios as a user would: one of what waits, one of what is written meanwhile.
func TestQuick(t *testing.T) {
	t.Parallel()
	pgtest.Cluster(t, nil) // skips where no Postgres can be had
	file := filepath.Join(t.TempDir(), "results.json")
	var out, progress bytes.Buffer
	if code := run([]string{"-quick", "-repeats=1", "-run=^(backlog|batch|connections)$", "-json=" + file}, nil, &out, &progress); code != 0 {
		t.Fatalf("it ended with %d:\n%s%s", code, out.String(), progress.String())
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rep report
	if err := json.Unmarshal(text, &rep); err != nil {
		t.Fatal(err)
	}
	if rep.Settings["fsync"] != "on" || rep.Settings["wal_level"] != "logical" {
		t.Errorf("the settings of Postgres are %v", rep.Settings)
	}
	ran := map[string]*outcome{}
	for _, s := range rep.Scenarios {
		for _, v := range s.Variants {
			if len(v.Runs) != 1 {
				t.Fatalf("%s, %s: %d runs, want 1", s.Name, v.Name, len(v.Runs))
			}
			ran[s.Name+"/"+v.Name] = v.Runs[0]
		}
	}
	quick := sizesOf(true)
	for name, expected := range map[string]int64{
		"backlog/L": quick.backlog, "backlog/rowhook": quick.backlog,
		"batch/one event in a request": quick.batch, "batch/batches": quick.batch,
		"connections/rowhook": int64(quick.connectionRate) * quick.connections,
	} {
		o := ran[name]
		if o == nil {
			t.Errorf("%s was not run: %v", name, ran)
			continue
		}
		if o.Expected != expected || o.Lost != 0 || o.Doubled != 0 || o.Disordered != 0 {
			t.Errorf("%s: of %d (want %d): %d lost, %d doubled, %d out of order", name, o.Expected, expected, o.Lost, o.Doubled, o.Disordered)
		}
		if usageKnown && (o.Values[cpuPerEvent.Name] <= 0 || o.Values[peakRSS.Name] <= 0) {
			t.Errorf("%s has no figures of the system: %v", name, o.Values)
		}
	}
	if o := ran["backlog/rowhook"]; o != nil && o.Values[rate.Name] <= 0 {
		t.Errorf("backlog has no rate: %v", o.Values)
	}
	if o := ran["batch/batches"]; o != nil && o.Values[eventsPerRequest.Name] <= 1 {
		t.Errorf("no request of %s had several events", "batch/batches")
	}
	if o := ran["connections/rowhook"]; o != nil && o.Values[connectionsMax.Name] < 2 {
		t.Errorf("rowhook has at least two connections, counted were %v", o.Values)
	}
	if !strings.Contains(out.String(), "ratio: rate, rowhook / L") {
		t.Errorf("the table has no ratio:\n%s", out.String())
	}
}

// TestLedger shows that the ledger sees what is lost, doubled and out of order.
func TestLedger(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name                          string
		first                         int64
		numbers                       []int64
		distinct, doubled, disordered int64
	}{
		{"in order", 0, []int64{0, 1, 2}, 3, 0, 0},
		{"lost", 0, []int64{0, 2}, 2, 0, 0},
		{"first lost", 0, []int64{1}, 1, 0, 0},
		{"doubled at once", 0, []int64{0, 0, 1}, 2, 1, 0},
		{"doubled later", 0, []int64{0, 1, 2, 0}, 3, 1, 0},
		{"out of order", 0, []int64{1, 0, 2}, 3, 0, 1},
		{"late and doubled", 0, []int64{2, 0, 0, 1}, 3, 1, 2},
		{"begins at one", 1, []int64{1, 2}, 2, 0, 0},
		{"zero before one", 1, []int64{0, 1}, 1, 1, 0},
	} {
		l := ledger{instances: map[int64]*instance{}}
		for _, n := range c.numbers {
			l.add(&event{id: 7, seq: n}, c.first, time.Now())
			l.add(&event{id: 8, seq: c.first}, c.first, time.Now()) // another instance does not disturb
		}
		others := int64(len(c.numbers)) - 1
		if l.distinct != c.distinct+1 || l.doubled != c.doubled+others || l.disordered != c.disordered {
			t.Errorf("%s: %d distinct, %d doubled, %d out of order, want %d, %d, %d", c.name,
				l.distinct-1, l.doubled-others, l.disordered, c.distinct, c.doubled, c.disordered)
		}
	}
}

// TestWrongIsTold shows that a run with a wrong outcome is not one that has succeeded.
func TestWrongIsTold(t *testing.T) {
	t.Parallel()
	for _, o := range []outcome{{Lost: 1}, {Doubled: 1}, {Disordered: 1}} {
		r := report{Scenarios: []*scenarioResult{{Name: "s", Variants: []variantResult{{Name: "v", Runs: []*outcome{{}, &o}}}}}}
		if err := r.verdict(); err == nil || !strings.Contains(err.Error(), "s, v, run 2") {
			t.Errorf("%+v: got %v", o, err)
		}
	}
	r := report{Scenarios: []*scenarioResult{{Variants: []variantResult{{Runs: []*outcome{{}}}}}}}
	if err := r.verdict(); err != nil {
		t.Error(err)
	}
}

// TestBodyOfLimit shows that what L writes is JSON, and read as it was written.
func TestBodyOfLimit(t *testing.T) {
	t.Parallel()
	column := func(name string, oid uint32) *pglogrepl.RelationMessageColumn {
		return &pglogrepl.RelationMessageColumn{Name: name, DataType: oid}
	}
	value := func(text string) *pglogrepl.TupleDataColumn {
		return &pglogrepl.TupleDataColumn{DataType: pglogrepl.TupleDataTypeText, Data: []byte(text)}
	}
	relation := &pglogrepl.RelationMessage{Columns: []*pglogrepl.RelationMessageColumn{column("id", pgtype.Int8OID), column("seq", pgtype.Int8OID),
		column("sent", pgtype.Int8OID), column("note", pgtype.TextOID), column("city", pgtype.TextOID)}}
	row := &pglogrepl.TupleData{Columns: []*pglogrepl.TupleDataColumn{value("42"), value("3"), value("1795312800000001"), value("a \"b\"\n\\ ü"),
		{DataType: pglogrepl.TupleDataTypeNull}}}
	body, id := appendBody(nil, "update", []byte("2026-11-22T01:00:00.123456Z"), 7, relation, row)
	var decoded struct {
		Data map[string]any
	}
	if err := json.Unmarshal(body, &decoded); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	if decoded.Data["note"] != "a \"b\"\n\\ ü" || decoded.Data["city"] != nil || id != 42 {
		t.Errorf("got %v and the id %d", decoded.Data, id)
	}
	e, _, err := parseEvent(body)
	if err != nil || e.id != 42 || e.seq != 3 || e.sent != 1795312800000001 || !e.committed.Equal(time.Date(2026, 11, 22, 1, 0, 0, 123456000, time.UTC)) {
		t.Errorf("got %+v, %v", e, err)
	}
	if _, _, err := parseEvent([]byte(`{"type":"rowhook.ping","timestamp":"2026-11-22T01:00:00Z"}`)); err == nil {
		t.Error("a body without a row was taken")
	}
}

// TestBodyOfBatch shows that the members of an array are counted one by one.
func TestBodyOfBatch(t *testing.T) {
	t.Parallel()
	s := newState(manners{})
	array := func(bodies ...string) []byte {
		return []byte("[" + strings.ReplaceAll(strings.Join(bodies, ","), `{"type"`, `{"id":"evt_x","type"`) + "]")
	}
	to := s.target(hooks)
	s.take(to, array(eventBody(7, 0, 0), eventBody(8, 0, 0), eventBody(7, 1, 0)))
	s.take(to, array(eventBody(7, 1, 0), eventBody(8, 2, 0), eventBody(8, 1, 0), eventBody(9, 1, 0)))
	s.take(to, []byte(eventBody(7, 2, 0)))
	if got := s.receipts(false); got.Distinct != 7 || got.Doubled != 1 || got.Disordered != 1 || got.Requests != 3 || got.Strange != 0 {
		t.Errorf("got %+v", got)
	}
	if n := s.target(hooks).instances[9].missing; len(n) != 1 {
		t.Errorf("of instance 9 are missing %v", n)
	}
	for _, body := range []string{"[]", "[", string(array(eventBody(10, 0, 0), `{"type":"rowhook.ping","timestamp":"2026-11-22T01:00:00Z"}`))} {
		before := s.receipts(false)
		s.take(to, []byte(body))
		if got := s.receipts(false); got.Strange != before.Strange+1 || got.Distinct != before.Distinct {
			t.Errorf("%s was taken: %+v", body, got)
		}
	}
}

func TestSummary(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		values []float64
		want   summary
	}{
		{[]float64{3}, summary{Median: 3, Min: 3, Max: 3}},
		{[]float64{9, 1, 3}, summary{Median: 3, Min: 1, Max: 9}},
		{[]float64{4, 1, 9, 2}, summary{Median: 3, Min: 1, Max: 9}},
	} {
		if got := summaryOf("", "", c.values); got != c.want {
			t.Errorf("%v: got %+v, want %+v", c.values, got, c.want)
		}
	}
	// Ratios are of what was run in the same turn.
	s := scenario{variants: []variant{{Name: "a"}, {Name: "b"}}, ratios: []ratio{{metric: rate, of: "a", to: "b"}, {metric: rate, of: "a", to: "b", excess: true}}}
	var runs [][]*outcome
	for _, rates := range [][]float64{{10, 20, 30}, {5, 40, 30}} {
		var list []*outcome
		for _, v := range rates {
			o := newOutcome(0, receipts{})
			o.set(rate, v)
			list = append(list, o)
		}
		runs = append(runs, list)
	}
	got := summarise(s, runs).Ratios
	for i, want := range []summary{{Median: 1, Min: 0.5, Max: 2}, {Median: 0, Min: -0.5, Max: 1}} {
		if g := got[i]; g.Median != want.Median || g.Min != want.Min || g.Max != want.Max {
			t.Errorf("ratio %d is %+v, want %+v", i, g, want)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		args []string
		code int
		says string
	}{
		{[]string{"-list"}, 0, "fan-out"},
		{[]string{"-run=("}, 2, "-run"},
		{[]string{"-repeats=0"}, 2, "-repeats 0"},
		{[]string{"backlog"}, 2, "hint: -run backlog"},
		{[]string{"-role=nobody"}, 2, "nobody"},
		{[]string{"-run=nothing"}, 1, "-list"},
		{[]string{"-run=^transaction-large$"}, 1, "-large"},
	} {
		var out bytes.Buffer
		if code := run(c.args, strings.NewReader(""), &out, &out); code != c.code || !strings.Contains(out.String(), c.says) {
			t.Errorf("%v: ended with %d and said %q, want %d and %q", c.args, code, out.String(), c.code, c.says)
		}
	}
	if code := run([]string{"-nonsense"}, nil, io.Discard, io.Discard); code != 2 {
		t.Errorf("an unknown flag ended with %d", code)
	}
}

// TestNames shows that scenarios can be chosen one by one, and that ratios are of variants that there are.
func TestNames(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range scenarios(options{}) {
		if seen[s.Name] {
			t.Errorf("two scenarios are called %s", s.Name)
		}
		seen[s.Name] = true
		var names []string
		for _, v := range s.variants {
			names = append(names, v.Name)
		}
		for _, r := range s.ratios {
			if !slices.Contains(names, r.of) || !slices.Contains(names, r.to) {
				t.Errorf("%s: the ratio %q is not of its variants %v", s.Name, r.name(), names)
			}
		}
	}
}
