package mapping

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
	"github.com/rowhook/rowhook/internal/problem"
)

// newMapper compiles a config that must be right.
func newMapper(t testing.TB, config, tables string) (*Mapper, map[string]*cdc.Relation) {
	t.Helper()
	d, problems := Parse(loadConfig(t, config))
	if problems != nil {
		t.Fatal(problems)
	}
	tabs, relations := loadTables(t, tables)
	m, problems := d.Compile(tabs, "lineage")
	if problems != nil {
		t.Fatal(problems)
	}
	return m, relations
}

func TestIDsAreStableAndDistinct(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^evt_[a-z2-7]{26}$`)
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	base := func(lineage string, commit cdc.LSN, when time.Time, xid, ordinal uint32, event, instance string) string {
		ids := identifier{lineage: lineage}
		return ids.id(&cdc.Tx{Commit: commit, Time: when, XID: xid}, ordinal, event, instance)
	}
	seen := map[string]int{}
	for i, id := range []string{
		base("a", 1, at, 1, 1, "c.update", "1"),
		base("b", 1, at, 1, 1, "c.update", "1"),
		base("a", 2, at, 1, 1, "c.update", "1"),
		base("a", 1, at.Add(time.Microsecond), 1, 1, "c.update", "1"),
		base("a", 1, at, 2, 1, "c.update", "1"),
		base("a", 1, at, 1, 2, "c.update", "1"),
		base("a", 1, at, 1, 1, "c.delete", "1"),
		base("a", 1, at, 1, 1, "c.update", "2"),
		base("a", 1, at, 1, 1, "c.update1", ""),
		base("", 1, at, 1, 1, "c.update", "1"),
	} {
		if !form.MatchString(id) {
			t.Errorf("id %q has not the form", id)
		}
		if j, ok := seen[id]; ok {
			t.Errorf("ids %d and %d are the same", i, j)
		}
		seen[id] = i
	}
	// Another zone, the same instant. This id must never change: receivers have seen it.
	if got, want := base("a", 1, at.In(time.FixedZone("x", 3600)), 1, 1, "c.update", "1"), "evt_g6fwygpl7xz3z2yseoyehcty4u"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// TestNetIDs are those of blocks, apart from those of changes.
func TestNetIDs(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
	ids := identifier{lineage: "a"}
	net := func(block uint32, p coalesce.Place) string {
		return ids.netID(&cdc.Tx{Commit: 1, Time: at, XID: 1}, block, p, "c.update", "1")
	}
	seen := map[string]int{}
	for i, id := range []string{
		net(0, coalesce.Place{}), net(1, coalesce.Place{}), net(0, coalesce.Place{From: 1}), net(0, coalesce.Place{Cut: 1}),
		ids.id(&cdc.Tx{Commit: 1, Time: at, XID: 1}, 0, "c.update", "1"), ids.id(&cdc.Tx{Commit: 1, Time: at, XID: 1}, 1, "c.update", "1"),
	} {
		if j, ok := seen[id]; ok {
			t.Errorf("ids %d and %d are the same", i, j)
		}
		seen[id] = i
	}
	// Whether a change was alone in its block does not matter. And this id must never change, either.
	if got, want := net(0, coalesce.Place{Only: coalesce.Net}), net(0, coalesce.Place{}); got != want || got != "evt_kbhu35nqyp43wgg4lp7z53f2qa" {
		t.Errorf("got %s and %s", got, want)
	}
}

// TestMapPlaced makes events of each change, or of net ones, as a resource wants them.
func TestMapPlaced(t *testing.T) {
	t.Parallel()
	const config = `{contact: {table: public.contacts, columns: [id]}, log: {table: public.contacts, columns: [id], coalesce: false}}`
	m, relations := newMapper(t, config, benchTables)
	c := loadChanges(t, benchChanges, relations)[0]
	if w := m.Wanted(c.Relation); !m.Coalesces() || w != (coalesce.Wanted{Net: true, Each: true}) {
		t.Errorf("it wants %+v", w)
	}
	each := func(p coalesce.Place, sub, ordinal uint32) map[string]*Event {
		t.Helper()
		x := *c
		x.Ordinal = ordinal
		events, dead := m.MapPlaced(nil, nil, 1, &x, p, sub)
		if len(dead) > 0 {
			t.Fatal(dead)
		}
		by := map[string]*Event{}
		for i, e := range events {
			if e.Position.Sub != sub+uint32(i) || e.Position.Ordinal != ordinal {
				t.Errorf("%s stands at %s", e.Type, e.Position)
			}
			by[e.Resource] = e
		}
		return by
	}
	both, other := each(coalesce.Place{}, 0, 1), each(coalesce.Place{}, 0, 2)
	if len(both) != 2 || both["contact"].ID != other["contact"].ID || both["log"].ID == other["log"].ID {
		t.Errorf("ids %v and %v", both, other)
	}
	if net := each(coalesce.Place{Only: coalesce.Net}, 3, 1); len(net) != 1 || net["contact"].ID != both["contact"].ID {
		t.Errorf("net: %v", net)
	}
	if one := each(coalesce.Place{Only: coalesce.Each}, 3, 1); len(one) != 1 || one["log"].ID != both["log"].ID {
		t.Errorf("each: %v", one)
	}
	if cut := each(coalesce.Place{Only: coalesce.Net, Cut: 1}, 0, 1); cut["contact"].ID == both["contact"].ID {
		t.Error("an event of a part of a block has the id of the whole one")
	}
}

func TestSameChangeSameEvents(t *testing.T) {
	t.Parallel()
	const config = `contact: {table: public.contacts, account: account_id, representation: {id: "${id}", name: "${first_name + last_name}", g: "${groupBy(split(email, \"\"), #)}"}}`
	var first []byte
	for range 3 {
		m, relations := newMapper(t, config, benchTables)
		for range 3 {
			for _, c := range loadChanges(t, benchChanges, relations) {
				events, _ := m.Map(nil, nil, 1, c)
				got, err := json.Marshal(events)
				if err != nil {
					t.Fatal(err)
				}
				if first == nil {
					first = got
				}
				if !bytes.Equal(got, first) {
					t.Fatalf("got %s, want %s", got, first)
				}
			}
		}
	}
}

func TestEventsKeepNothingOfTheBatch(t *testing.T) {
	t.Parallel()
	m, relations := newMapper(t, `contact: {table: public.contacts, account: account_id, columns: all}`, benchTables)
	c := loadChanges(t, benchChanges, relations)[0]
	events, _ := m.Map(nil, nil, 1, c)
	e := *events[0]
	want := fmt.Sprintf("%+v %s", e, e.Data)
	for _, v := range c.New {
		for i := range v.Data {
			v.Data[i] = '9'
		}
	}
	m.Map(nil, nil, 1, c)
	if got := fmt.Sprintf("%+v %s", e, e.Data); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestMapIgnoresWhatIsNotARow(t *testing.T) {
	t.Parallel()
	m, relations := newMapper(t, `contact: {table: public.contacts, columns: all}`, benchTables)
	rel := relations["public.contacts"]
	for _, c := range []*cdc.Change{
		nil, {}, {Op: cdc.Message, Tx: &cdc.Tx{}}, {Op: cdc.Insert, Relation: rel}, {Op: cdc.Insert, Tx: &cdc.Tx{}},
		{Op: 99, Relation: rel, Tx: &cdc.Tx{}},
	} {
		if events, dead := m.Map(nil, nil, 1, c); len(events)+len(dead) != 0 {
			t.Errorf("%+v: got %v, %v", c, events, dead)
		}
	}
	// Rows that are too short are no reason to panic.
	for _, op := range []cdc.Op{cdc.Insert, cdc.Update, cdc.Delete} {
		c := &cdc.Change{Op: op, Relation: rel, Tx: &cdc.Tx{}, New: cdc.Row{}, Old: cdc.Row{{Kind: cdc.Text}}}
		m.Map(nil, nil, 1, c)
	}
}

func TestPositionsAreNeverRepeated(t *testing.T) {
	t.Parallel()
	m, relations := newMapper(t, `
a: {table: public.contacts, columns: all}
b: {table: public.contacts, representation: {x: "${meta.a.b * 2}"}}
c: {table: public.contacts, columns: [id]}
`, benchTables)
	changes := loadChanges(t, `
- insert: public.contacts
  new: {id: "1", meta: '{"a": {"b": "text"}}'}
- update: public.contacts
  old: {id: "1"}
  new: {id: "2", meta: '{"a": {"b": "text"}}'}
- truncate: public.contacts
`, relations)
	last := cdc.Position{}
	for _, c := range changes {
		events, dead := m.Map(nil, nil, 3, c)
		seen := map[cdc.Position]bool{}
		for _, e := range events {
			seen[e.Position] = true
			if e.Position.Compare(last) <= 0 {
				t.Errorf("position %+v is not after %+v", e.Position, last)
			}
			last = e.Position
		}
		for _, d := range dead {
			seen[d.Position] = true
		}
		if len(seen) != len(events)+len(dead) {
			t.Errorf("ordinal %d: %d events and %d dead letters have %d positions", c.Ordinal, len(events), len(dead), len(seen))
		}
	}
}

func TestPlansAreBounded(t *testing.T) {
	t.Parallel()
	m, _ := newMapper(t, `contact: {table: public.contacts, columns: all}`, benchTables)
	for i := range 100 {
		_, relations := loadTables(t, benchTables)
		rel := relations["public.contacts"]
		rel.OID = uint32(i + 1)
		m.Map(nil, nil, 1, &cdc.Change{Op: cdc.Truncate, Relation: rel, Tx: &cdc.Tx{}})
		other := &cdc.Relation{OID: uint32(1000 + i), Table: cdc.TableName{Schema: "x", Name: fmt.Sprint(i)}}
		m.Map(nil, nil, 1, &cdc.Change{Op: cdc.Truncate, Relation: other, Tx: &cdc.Tx{}})
	}
	if len(m.plans) != 1 {
		t.Errorf("got %d plans, want 1", len(m.plans))
	}
}

func TestLargeRowsAreNotKept(t *testing.T) {
	t.Parallel()
	m, relations := newMapper(t, `contact: {table: public.contacts, representation: {a: "${first_name}", b: "${meta} text", c: "${upper(first_name)}"}}`, benchTables)
	c := loadChanges(t, benchChanges, relations)[0]
	c.New[2].Data = bytes.Repeat([]byte("x"), 3*keptBuffer)
	c.New[8].Data = []byte(`"` + strings.Repeat("x", 3*keptBuffer) + `"`)
	if events, dead := m.Map(nil, nil, 1, c); len(events) != 1 {
		t.Fatal(dead)
	}
	if cap(m.buf) > keptBuffer || cap(m.renderer.text) > keptBuffer {
		t.Errorf("buffers of %d and %d bytes are kept", cap(m.buf), cap(m.renderer.text))
	}
}

func TestPreviewWhileMapping(t *testing.T) {
	t.Parallel()
	m, relations := newMapper(t, `
contact: {table: public.contacts, representation: {name: "${upper(first_name)}", tags: "${split(email, \"@\")}"}}
broken: {table: public.contacts, representation: {name: "${meta.b * 2}"}}
`, benchTables)
	c := loadChanges(t, benchChanges, relations)[0]
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 100 {
			m.Map(nil, nil, 1, c)
		}
	}()
	for range 20 {
		got, err := m.Preview("contact", cdc.Update, c.New)
		if want := `{"name":"ADA","tags":["ada","example.com"]}`; err != nil || string(got.Data) != want {
			t.Errorf("got %+v, %v, want %s", got, err, want)
		}
	}
	<-done
	if _, err := m.Preview("broken", cdc.Update, c.New); err == nil || !strings.Contains(err.Error(), "broken.name (config.yaml:3): * does not work on list and integer") {
		t.Errorf("got %v", err)
	}
	if _, err := m.Preview("contact", cdc.Update, c.New[1:]); err == nil {
		t.Error("a short row is taken")
	}
	if _, err := m.Preview("nothing", cdc.Update, c.New); err == nil {
		t.Error("an unknown resource is taken")
	}
	info, ok := m.Resource("contact")
	if !ok || info.Table.Name != "contacts" || len(info.Key) != 1 || info.Key[0] != "id" {
		t.Errorf("got %+v, %v", info, ok)
	}
	if _, ok := m.Resource("nothing"); ok {
		t.Error("an unknown resource is known")
	}
}

func TestTables(t *testing.T) {
	t.Parallel()
	d, problems := Parse(loadConfig(t, `
a: {table: public.b, columns: [id]}
b: {table: public.a, columns: [id]}
c: {table: public.b, columns: [id]}
`))
	if got, want := fmt.Sprint(d.Tables()), "[public.b public.a]"; got != want || problems != nil {
		t.Errorf("got %s, %v, want %s", got, problems, want)
	}
}

// TestParseNeverPanics gives configs that no loader would let through.
func TestParseNeverPanics(t *testing.T) {
	t.Parallel()
	Parse(Config{})
	for _, r := range []Resource{{}, {Account: &Source{}}, {Path: &Source{Text: "${"}}, {Except: []Source{{}}}, {Columns: []Source{{}, {}}}} {
		d, problems := Parse(Config{Resources: []Resource{r}})
		if problems == nil {
			t.Errorf("%+v is taken", r)
		}
		var list problem.List
		_, list = d.Compile(nil, "")
		if list == nil {
			t.Errorf("%+v compiles", r)
		}
	}
}

func TestAliasBombIsAProblem(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString("x:\n  table: public.t\n  representation:\n    a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 9; i++ {
		fmt.Fprintf(&b, "    a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	_, problems := Parse(loadConfig(t, b.String()))
	if len(problems) != 1 || !strings.Contains(problems[0].Message, "more than 10000 elements") {
		t.Errorf("got %v", problems)
	}
}

func TestKeyOrderIsKept(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		var want, tree []string
		for _, i := range random.Perm(20) {
			value := []string{"1", `"${id}"`, `"${id + 1}"`, `"x${id}"`, `{b: 1, a: "${id}"}`}[random.IntN(5)]
			tree = append(tree, fmt.Sprintf("k%02d: %s", i, value))
			want = append(want, fmt.Sprintf("k%02d", i))
		}
		m, relations := newMapper(t, "c: {table: public.contacts, representation: {"+strings.Join(tree, ", ")+"}}", benchTables)
		events, _ := m.Map(nil, nil, 1, loadChanges(t, benchChanges, relations)[0])
		var got []string
		for _, key := range regexp.MustCompile(`"(k\d\d)":`).FindAllStringSubmatch(string(events[0].Data), -1) {
			got = append(got, key[1])
		}
		if !slices.Equal(got, want) || !json.Valid(events[0].Data) {
			t.Fatalf("got %v, want %v in %s", got, want, events[0].Data)
		}
	}
}

// TestColumnsAreThoseThatTheMappingUses, over all resources of the table; none of one that does not fit.
func TestColumnsAreThoseThatTheMappingUses(t *testing.T) {
	t.Parallel()
	d, problems := Parse(loadConfig(t, `
a: {table: public.t, account: meta.owner, representation: {label: "${first + last} of ${city}", list: ["${tags}"], kind: plain}}
b: {table: public.t, columns: [city, big]}
`))
	if problems != nil {
		t.Fatal(problems)
	}
	tables, relations := loadTables(t, `
public.t: {key: [id], columns: {unused: text, id: int8, meta: jsonb, first: text, last: text, city: text, tags: "text[]", big: text, also: text}}
public.t@later: {key: [id], columns: {id: int8, city: text, big: text}}
public.other: {key: [id], columns: {id: int8}}
`)
	m, problems := d.Compile(tables, "test")
	if problems != nil {
		t.Fatal(problems)
	}
	for name, want := range map[string]string{"public.t": "big city first id last meta tags", "public.t@later": "big city id", "public.other": ""} {
		var got []string
		for _, i := range m.Columns(relations[name]) {
			got = append(got, relations[name].Columns[i].Name)
		}
		slices.Sort(got)
		if strings.Join(got, " ") != want {
			t.Errorf("%s: got %v, want %s", name, got, want)
		}
	}
}
