package mapping

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
)

// TestReplay maps changes that fail, and what came of them again with the config mended, from the row as it is now.
func TestReplay(t *testing.T) {
	t.Parallel()
	const mended = `
contact:
  table: public.t
  account: account
  where: n > 0
  events: {contact.big: n > 100, contact.grew: n > old.n}
  representation: {id: '${id}', account: '${account}', n: '${n}', text: '${text}'}`
	columns := "columns: {id: text not null, account: text not null, n: int8, text: text}"
	mapper := func(config string, full bool) (*Mapper, *cdc.Relation) {
		t.Helper()
		identity := map[bool]string{false: "[id, account]", true: "full"}[full]
		m, relations := newMapper(t, config, "public.t: {identity: "+identity+", key: [id], "+columns+"}")
		return m, relations["public.t"]
	}
	row := func(values ...string) cdc.Row {
		var out cdc.Row
		for _, v := range values {
			switch v {
			case "-":
				out = append(out, cdc.Value{})
			case "null":
				out = append(out, cdc.Value{Kind: cdc.Null})
			default:
				out = append(out, cdc.Value{Kind: cdc.Text, Data: []byte(v)})
			}
		}
		return out
	}
	broken := func(what, with string) string { return strings.Replace(mended, what, with, 1) }
	noData := broken("'${text}'", "'${int(text)}'")
	noWhere := broken("n > 0", "int(text) > 0")
	noEvent := broken("n > 100", "int(text) > 100")
	whole := func(c cdc.Change) cdc.Change { c.OldWhole = true; return c }
	insert := func(values ...string) cdc.Change { return cdc.Change{Op: cdc.Insert, New: row(values...)} }
	update := func(old, now cdc.Row) cdc.Change { return cdc.Change{Op: cdc.Update, Old: old, New: now} }
	for _, c := range []struct {
		name   string
		config string
		full   bool
		change cdc.Change
		// is is the row as it is now, nil where it is gone.
		is cdc.Row
		// letters are the types of those that the change makes, want what they come to.
		letters, want string
	}{
		{"an insert", noData, false, insert("a", "1", "5", "x"), row("a", "2", "6", "y"), "contact.create", `contact.create a for 2 {"id":"a","account":"2","n":6,"text":"y"}`},
		{"and the row is gone", noData, false, insert("a", "1", "5", "x"), nil, "contact.create", "superseded"},
		{"and it is none any more", noData, false, insert("a", "1", "5", "x"), row("a", "1", "0", "y"), "contact.create", "superseded"},
		{"an update", noData, false, update(nil, row("a", "1", "5", "x")), row("a", "1", "6", "y"), "contact.update", `contact.update a for 1 {"id":"a","account":"1","n":6,"text":"y"}`},
		{"a delete, of what the log told", noData, true, whole(cdc.Change{Op: cdc.Delete, Old: row("a", "1", "5", "x")}), nil, "contact.delete", `contact.delete a for 1 {"id":"a","account":"1","n":5,"text":"x"}`},
		{"a delete of a row that is there again", noData, true, whole(cdc.Change{Op: cdc.Delete, Old: row("a", "1", "5", "x")}), row("a", "1", "5", "y"), "contact.delete", "superseded"},
		{"it is not known whether it was one: it was", noWhere, true, whole(cdc.Change{Op: cdc.Delete, Old: row("a", "1", "5", "x")}), nil, "contact.delete", `contact.delete a for 1 {"id":"a","account":"1","n":5,"text":"x"}`},
		{"it was not", noWhere, true, whole(cdc.Change{Op: cdc.Delete, Old: row("a", "1", "0", "x")}), nil, "contact.delete", "superseded"},
		{"it cannot be known", noWhere, false, cdc.Change{Op: cdc.Delete, Old: row("a", "1", "-", "-")}, nil, "", ""},
		{"it became one", noWhere, true, whole(update(row("a", "1", "0", "x"), row("a", "1", "5", "x"))), row("a", "1", "6", "y"), "contact.update", `contact.create a for 1 {"id":"a","account":"1","n":6,"text":"y"}`},
		{"it ceased to be one", noWhere, true, whole(update(row("a", "1", "5", "x"), row("a", "1", "0", "x"))), row("a", "1", "0", "x"), "contact.update", `contact.delete a for 1 {"id":"a","account":"1","n":5,"text":"x"}`},
		{"it stayed one", noWhere, true, whole(update(row("a", "1", "5", "x"), row("a", "1", "6", "x"))), row("a", "1", "7", "y"), "contact.update", `contact.update a for 1 {"id":"a","account":"1","n":7,"text":"y"}`},
		{"its key changed", noWhere, true, whole(update(row("a", "1", "5", "x"), row("b", "1", "5", "x"))), nil, "contact.delete contact.create", `contact.delete a for 1 {"id":"a","account":"1","n":5,"text":"x"}, superseded`},
		{"an event of its own that holds", noEvent, false, insert("a", "1", "5", "x"), row("a", "1", "500", "y"), "contact.big", `contact.big a for 1 {"id":"a","account":"1","n":500,"text":"y"}`},
		{"and that does not", noEvent, false, insert("a", "1", "5", "x"), row("a", "1", "50", "y"), "contact.big", "superseded"},
		{"and that asks for what is not there", broken("n > old.n", "n > int(old.text)"), true, whole(update(row("a", "1", "5", "x"), row("a", "1", "6", "x"))), row("a", "1", "6", "y"), "contact.grew", "open: contact.grew asks for the row before the change, which is not there any more: discard it"},
	} {
		m, relation := mapper(c.config, c.full)
		c.change.Relation, c.change.Ordinal = relation, 3
		c.change.Tx = &cdc.Tx{Commit: 100, Time: time.Unix(1, 0), XID: 5}
		_, dead := m.Map(nil, nil, 1, &c.change)
		good, _ := mapper(mended, c.full)
		events, _ := good.Map(nil, nil, 1, &c.change)
		var letters, got []string
		for _, l := range dead {
			letters = append(letters, l.Type)
			out := good.Replay(&l, relation, c.is)
			switch e := out.Event; {
			case out.Reason != "":
				got = append(got, "open: "+out.Reason)
			case e == nil:
				got = append(got, "superseded")
			default:
				got = append(got, e.Type+" "+e.Instance+" for "+e.Account+" "+string(e.Data))
				if e.Position != l.Position || !e.Time.Equal(l.Time) {
					t.Errorf("%s: it stands at %s, its letter at %s", c.name, e.Position, l.Position)
				}
				for _, would := range events {
					if would.Type == e.Type && e.Type == l.Type && would.ID != e.ID {
						t.Errorf("%s: its id is %s, and would have been %s", c.name, e.ID, would.ID)
					}
				}
			}
			if again := good.Replay(&l, relation, c.is); again.Event != nil && (out.Event == nil || again.Event.ID != out.Event.ID) {
				t.Errorf("%s: again it is %+v", c.name, again)
			}
			// As long as it is not mended it stays as it is.
			if still := m.Replay(&l, relation, c.change.New); still.Reason == "" && still.Event != nil {
				t.Errorf("%s: with the mistake it is %s", c.name, still.Event.Type)
			}
		}
		if s := strings.Join(letters, " "); s != c.letters {
			t.Errorf("%s: the dead letters are %q, want %q", c.name, s, c.letters)
		}
		if s := strings.Join(got, ", "); s != c.want {
			t.Errorf("%s:\n got %s\nwant %s", c.name, s, c.want)
		}
	}
}

// TestReplayOfADeleteWithItsKeyAlone: of a row that the log told much of, or an older version kept nothing of, its key is
// what is known.
func TestReplayOfADeleteWithItsKeyAlone(t *testing.T) {
	t.Parallel()
	m, relations := newMapper(t, "contact: {table: public.t, columns: [a, b, n]}", "public.t: {key: [b, a], columns: {a: text, b: text, n: int8}}")
	for _, key := range [][]string{nil, {"b", "a"}} {
		l := DeadLetter{Resource: "contact", Op: cdc.Delete, Instance: `x\,y,z`, Type: "contact.delete", EventID: "evt_1", Key: key}
		out := m.Replay(&l, relations["public.t"], nil)
		if out.Event == nil || string(out.Event.Data) != `{"a":"z","b":"x,y"}` || out.Event.Instance != l.Instance || out.Event.ID != l.EventID {
			t.Errorf("with the key %v: %+v %s", key, out.Event, out.Reason)
		}
	}
}

// TestReplayKey: a row is found by what its name is made of, also where the config names rows otherwise by now.
func TestReplayKey(t *testing.T) {
	t.Parallel()
	const tables = "public.t: {identity: full, key: [id], columns: {id: text, a: text, b: text}}"
	m, _ := newMapper(t, "contact: {table: public.t, columns: all}", tables)
	info, _ := m.Resource("contact")
	for _, c := range []struct {
		letter DeadLetter
		want   string
	}{
		{DeadLetter{Resource: "contact", Instance: "x,y"}, "[0] x,y"},
		{DeadLetter{Resource: "contact", Instance: `x\,y,z`, Key: []string{"b", "a"}}, "[2 1] x,y|z"},
		{DeadLetter{Resource: "contact", Instance: "x", Key: []string{"b", "a"}}, "its instance is not a key of b, a: discard it"},
		{DeadLetter{Resource: "contact", Instance: "x", Key: []string{"gone"}}, "table public.t has no column gone any more, by which its row was named: discard it"},
		{DeadLetter{Resource: "contact", Instance: `\u00e9`, Key: []string{}}, "the key of its row is not known, or cannot be stored, so the row cannot be looked at: discard it"},
		{DeadLetter{Resource: "contact"}, "the key of its row is not known, or cannot be stored, so the row cannot be looked at: discard it"},
	} {
		columns, values, reason := m.ReplayKey(&c.letter, info.Table)
		got := reason
		if reason == "" {
			got = fmt.Sprint(columns, " ", string(bytes.Join(values, []byte("|"))))
		}
		if got != c.want {
			t.Errorf("%+v: %q, want %q", c.letter, got, c.want)
		}
	}
}
