package mapping

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
)

// TestReplayOfATransfer: a row that moved between accounts, and could not be mapped, is told to each of them when it can be:
// to the one it went, to the other it came, and the admin sees one that has changed. Where the row has gone on since, nobody
// gets what is not his.
func TestReplayOfATransfer(t *testing.T) {
	t.Parallel()
	const mended = `
contact:
  table: public.t
  account: account
  where: n > 0
  events: {contact.big: n > 100}
  representation: {id: '${id}', account: '${account}', n: '${n}', text: '${text}'}`
	mapper := func(config, columns string) (*Mapper, *cdc.Relation) {
		t.Helper()
		m, relations := newMapper(t, config, "public.t: {identity: full, key: [id], columns: "+columns+"}")
		return m, relations["public.t"]
	}
	const columns = "{id: text not null, account: text, n: int8, text: text}"
	row := func(values ...string) cdc.Row {
		var out cdc.Row
		for _, v := range values {
			if v == "null" {
				out = append(out, cdc.Value{Kind: cdc.Null})
				continue
			}
			out = append(out, cdc.Value{Kind: cdc.Text, Data: []byte(v)})
		}
		return out
	}
	noData := strings.Replace(mended, "'${text}'", "'${int(text)}'", 1)
	noWhere := strings.Replace(mended, "n > 0", "int(text) > 0", 1)
	noEvent := strings.Replace(mended, "n > 100", "int(text) > 100", 1)
	large := strings.Repeat("x", knownMax)
	for _, c := range []struct {
		name, config string
		old, now     cdc.Row
		is           cdc.Row
		want         string
	}{
		{"told to each", noData, row("a", "1", "5", "x"), row("a", "2", "5", "x"), row("a", "2", "6", "y"),
			"delete for 1 to account n=5; create for 2 to account n=6; update for  to admin n=6"},
		{"it has gone on to a third", noData, row("a", "1", "5", "x"), row("a", "2", "5", "x"), row("a", "3", "6", "y"),
			"delete for 1 to account n=5; -; update for  to admin n=6"},
		{"it has come back", noData, row("a", "1", "5", "x"), row("a", "2", "5", "x"), row("a", "1", "6", "y"),
			"-; -; update for  to admin n=6"},
		{"it is gone", noData, row("a", "1", "5", "x"), row("a", "2", "5", "x"), nil,
			"delete for 1 to account n=5; -; -"},
		{"from nobody", noData, row("a", "null", "5", "x"), row("a", "2", "5", "x"), row("a", "2", "6", "y"),
			"create for 2 to account n=6; update for  to admin n=6"},
		{"it was not known whether it was one", noWhere, row("a", "1", "5", "x"), row("a", "2", "5", "x"), row("a", "2", "6", "y"),
			"delete for 1 to account n=5; create for 2 to account n=6; update for  to admin n=6"},
		{"and it was none", noWhere, row("a", "1", "0", "x"), row("a", "2", "5", "x"), row("a", "2", "6", "y"),
			"-; create for 2 to account n=6; create for  to admin n=6"},
		{"large", noWhere, row("a", "1", "5", large), row("a", "2", "5", "x"), row("a", "2", "6", "y"),
			"delete for 1 to account n=5; create for 2 to account n=6; update for  to admin n=6"},
		{"an event of its own", noEvent, row("a", "1", "5", "1"), row("a", "2", "500", "x"), row("a", "2", "600", "y"),
			"big for 2 to account n=600; big for  to admin n=600"},
		{"and the row has gone on", noEvent, row("a", "1", "5", "1"), row("a", "2", "500", "x"), row("a", "3", "600", "y"),
			"-; big for  to admin n=600"},
	} {
		m, relation := mapper(c.config, columns)
		change := &cdc.Change{Op: cdc.Update, Old: c.old, OldWhole: true, New: c.now, Relation: relation, Ordinal: 3,
			Tx: &cdc.Tx{Commit: 100, Time: time.Unix(1, 0), XID: 5}}
		events, dead := m.Map(nil, nil, 1, change)
		good, _ := mapper(mended, columns)
		would := map[string]bool{}
		all, _ := good.Map(nil, nil, 1, change)
		for _, e := range all {
			would[e.ID] = true
		}
		places := map[cdc.Position]bool{}
		for _, e := range events {
			places[e.Position] = true
		}
		var got []string
		for i := range dead {
			dead[i].Context = []byte(`{"source":"app"}`)
			if l := &dead[i]; places[l.Position] {
				t.Errorf("%s: %s has the place of another", c.name, l.Type)
			}
			places[dead[i].Position] = true
			out := good.Replay(&dead[i], relation, c.is)
			if out.Reason != "" {
				got = append(got, out.Reason)
				continue
			}
			e := out.Event
			if e == nil {
				got = append(got, "-")
				continue
			}
			n := strings.SplitN(strings.SplitN(string(e.Data), `"n":`, 2)[1], ",", 2)[0]
			got = append(got, fmt.Sprintf("%s for %s to %s n=%s", strings.TrimPrefix(e.Type, "contact."), e.Account, e.Audience, strings.TrimSuffix(n, "}")))
			if string(e.Context) != `{"source":"app"}` {
				t.Errorf("%s: the context of %s is %s", c.name, e.Type, e.Context)
			}
			if e.Type == dead[i].Type && !would[e.ID] {
				t.Errorf("%s: %s has another id than it would have had", c.name, e.Type)
			}
		}
		if s := strings.Join(got, "; "); s != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, s, c.want)
		}
	}
}

// TestReplayOfATransferThatDidNotFit: the table was altered meanwhile.
func TestReplayOfATransferThatDidNotFit(t *testing.T) {
	t.Parallel()
	const config = `
contact:
  table: public.t
  account: account
  representation: {id: '${id}', n: '${n}'}`
	m, _ := newMapper(t, config, "public.t: {identity: full, key: [id], columns: {id: text not null, account: text, n: int8}}")
	_, relations := newMapper(t, strings.Replace(config, "${n}", "${m}", 1), "public.t: {identity: full, key: [id], columns: {id: text not null, account: text, m: int8}}")
	relation := relations["public.t"]
	text := func(s string) cdc.Value { return cdc.Value{Kind: cdc.Text, Data: []byte(s)} }
	change := func(to string) *cdc.Change {
		return &cdc.Change{Op: cdc.Update, Old: cdc.Row{text("a"), text("1"), text("5")}, OldWhole: true, New: cdc.Row{text("a"), text(to), text("6")},
			Relation: relation, Ordinal: 3, Tx: &cdc.Tx{Commit: 100, Time: time.Unix(1, 0), XID: 5}}
	}
	for to, want := range map[string]string{"1": "contact.update:1:all", "2": "contact.delete:1:account contact.create:2:account contact.update::admin"} {
		_, dead := m.Map(nil, nil, 1, change(to))
		good, _ := newMapper(t, strings.Replace(config, "${n}", "${m}", 1), "public.t: {identity: full, key: [id], columns: {id: text not null, account: text, m: int8}}")
		var got []string
		for i := range dead {
			if e := good.Replay(&dead[i], relation, change(to).New).Event; e != nil {
				got = append(got, fmt.Sprintf("%s:%s:%s", e.Type, e.Account, e.Audience))
			}
		}
		if s := strings.Join(got, " "); s != want {
			t.Errorf("to %s: got %s, want %s", to, s, want)
		}
	}
}
