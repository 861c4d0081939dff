package coalesce_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
)

var text = &cdc.Type{OID: 25, Name: "text"}

// relation is the table t with the key id, a small column a and a large one big.
func relation(identity cdc.IdentityKind, columns ...string) *cdc.Relation {
	r := &cdc.Relation{OID: 7, Table: cdc.TableName{Schema: "public", Name: "t"}, Identity: identity, Key: []int{0}}
	for i, name := range append([]string{"id", "a", "big"}, columns...) {
		r.Columns = append(r.Columns, cdc.Column{Name: name, Type: text, Identity: i == 0 || identity == cdc.IdentityFull})
	}
	return r
}

// row is written as 1,x,y: an empty value is absent, ~ is unchanged, null is null.
func row(s string) cdc.Row {
	if s == "" {
		return nil
	}
	var r cdc.Row
	for _, v := range strings.Split(s, ",") {
		switch v {
		case "":
			r = append(r, cdc.Value{})
		case "~":
			r = append(r, cdc.Value{Kind: cdc.Unchanged})
		case "null":
			r = append(r, cdc.Value{Kind: cdc.Null})
		default:
			r = append(r, cdc.Value{Kind: cdc.Text, Data: []byte(v)})
		}
	}
	return r
}

func show(r cdc.Row) string {
	var s []string
	for _, v := range r {
		switch v.Kind {
		case cdc.Absent:
			s = append(s, "")
		case cdc.Unchanged:
			s = append(s, "~")
		case cdc.Null:
			s = append(s, "null")
		default:
			s = append(s, string(v.Data))
		}
	}
	return strings.Join(s, ",")
}

// change reads "insert new", "update old -> new", "update -> new", "delete old", "truncate", "message".
func change(r *cdc.Relation, tx *cdc.Tx, ordinal uint32, s string) cdc.Change {
	op, rest, _ := strings.Cut(s, " ")
	c := cdc.Change{Tx: tx, Ordinal: ordinal, Relation: r}
	old, now, _ := strings.Cut(rest, "->")
	old, now = strings.TrimSpace(old), strings.TrimSpace(now)
	switch op {
	case "insert":
		c.Op, c.New = cdc.Insert, row(old)
	case "update":
		c.Op, c.Old, c.New = cdc.Update, row(old), row(now)
		c.Unchanged = slices.ContainsFunc(c.New, func(v cdc.Value) bool { return v.Kind == cdc.Unchanged })
	case "delete":
		c.Op, c.Old = cdc.Delete, row(old)
	case "truncate":
		c.Op = cdc.Truncate
	case "message":
		c.Op, c.Relation = cdc.Message, nil
	default:
		panic(s)
	}
	c.OldWhole = r.Identity == cdc.IdentityFull && c.Old != nil
	return c
}

func showChange(c *cdc.Change) string {
	s := fmt.Sprintf("%d %s", c.Ordinal, c.Op)
	switch c.Op {
	case cdc.Insert:
		s += " " + show(c.New)
	case cdc.Update:
		if c.Old != nil {
			s += " " + show(c.Old)
		}
		s += " -> " + show(c.New)
	case cdc.Delete:
		s += " " + show(c.Old)
	}
	return s
}

// newStage makes a stage that wants the same of all tables.
func newStage(w coalesce.Wanted) *coalesce.Stage {
	return &coalesce.Stage{
		Wanted: func(*cdc.Change) coalesce.Wanted { return w },
		Holds:  func(*cdc.Change) bool { return w.Net },
	}
}

// run gives the changes to the stage, in batches of n, and returns what it hands out.
func run(t *testing.T, s *coalesce.Stage, changes []cdc.Change, n func() int) (out []cdc.Change, places []coalesce.Place) {
	t.Helper()
	rest := false
	for len(changes) > 0 {
		k := min(n(), len(changes))
		b := &cdc.Batch{Changes: slices.Clone(changes[:k])}
		if k < len(changes) {
			b.Open = changes[k].Tx == changes[k-1].Tx && changes[k].Block == changes[k-1].Block
		}
		changes = changes[k:]
		held := s.Holding()
		s.Put(b)
		ended, last := held == nil, false
		for p := s.Next(); p != nil; p = s.Next() {
			if last {
				t.Error("something follows the last part")
			}
			last = p.Last
			messages := !slices.ContainsFunc(p.Changes, func(c cdc.Change) bool { return c.Op != cdc.Message })
			if p.Continued != (held != nil && !ended) && (p.Continued || !messages) {
				t.Errorf("a part says %v for whether it is of the block from before", p.Continued)
			}
			ended = ended || p.Ends
			if len(p.Changes) > 0 {
				if first := &p.Changes[0]; len(out) > 0 && rest != (first.Op != cdc.Message && out[len(out)-1].Op != cdc.Message && s.Holds(first) &&
					first.Tx == out[len(out)-1].Tx && first.Block == out[len(out)-1].Block) {
					t.Errorf("a part says %v for whether the rest of its last block is in the next", rest)
				}
				rest = p.Rest
			}
			for i := range p.Changes {
				c := p.Changes[i]
				c.New, c.Old = slices.Clone(c.New), slices.Clone(c.Old)
				out = append(out, c)
				if p.Places == nil {
					places = append(places, coalesce.Place{})
				} else {
					places = append(places, p.Places[i])
				}
			}
		}
		if open := s.Holding(); open != nil && !b.Open {
			t.Error("a block is held that has ended")
		}
	}
	return out, places
}

// TestNet are the rules, one by one.
func TestNet(t *testing.T) {
	t.Parallel()
	def, full := relation(cdc.IdentityDefault), relation(cdc.IdentityFull)
	for _, c := range []struct {
		name     string
		relation *cdc.Relation
		changes  []string
		want     []string
	}{
		{"InsertUpdates", def, []string{"insert 1,a,x", "update -> 1,b,x", "update -> 1,c,x"}, []string{"3 insert 1,c,x"}},
		{"InsertDelete", def, []string{"insert 1,a,x", "update -> 1,b,x", "delete 1,,"}, nil},
		{"Updates", def, []string{"update -> 1,a,x", "update -> 1,b,x"}, []string{"2 update 1,, -> 1,b,x"}},
		{"UpdatesFull", full, []string{"update 1,0,x -> 1,a,x", "update 1,a,x -> 1,b,x"}, []string{"2 update 1,0,x -> 1,b,x"}},
		{"UpdateDelete", full, []string{"update 1,0,x -> 1,a,x", "delete 1,a,x"}, []string{"2 delete 1,0,x"}},
		{"UpdateDeleteDefault", def, []string{"update -> 1,a,x", "delete 1,,"}, []string{"2 delete 1,,"}},
		{"DeleteInsert", full, []string{"delete 1,0,x", "insert 1,a,y"}, []string{"2 update 1,0,x -> 1,a,y"}},
		{"DeleteInsertDelete", def, []string{"delete 1,,", "insert 1,a,y", "delete 1,,"}, []string{"3 delete 1,,"}},
		{"Others", def, []string{"insert 1,a,x", "insert 2,a,x", "update -> 1,b,x", "update -> 3,b,x"},
			[]string{"2 insert 2,a,x", "3 insert 1,b,x", "4 update -> 3,b,x"}},
		{"KeyChange", full, []string{"update 1,a,x -> 2,b,x", "insert 5,a,x"}, []string{"1 update 1,a,x -> 2,b,x", "2 insert 5,a,x"}},
		{"KeyChangeChain", full, []string{"update 1,a,x -> 2,b,x", "update 2,b,x -> 3,c,x"}, []string{"2 update 1,a,x -> 3,c,x"}},
		{"KeyChangeThereAndBack", def, []string{"update 1,, -> 2,b,x", "update 2,, -> 1,c,x"}, []string{"2 update 1,, -> 1,c,x"}},
		{"InsertKeyChange", def, []string{"insert 1,a,x", "update 1,, -> 2,b,x"}, []string{"2 insert 2,b,x"}},
		{"KeyChangeDelete", full, []string{"update 1,a,x -> 2,b,x", "delete 2,b,x"}, []string{"1 delete 1,a,x"}},
		{"KeyChangeReplaced", full, []string{"update 1,a,x -> 2,b,x", "insert 1,n,n"}, []string{"1 insert 2,b,x", "2 update 1,a,x -> 1,n,n"}},
		{"KeyChangeReplacedAndGone", full, []string{"update 1,a,x -> 2,b,x", "insert 1,n,n", "delete 1,n,n"}, []string{"3 update 1,a,x -> 2,b,x"}},
		{"KeyChangeOntoDeleted", full, []string{"delete 2,d,d", "update 1,a,x -> 2,a,x"}, []string{"2 delete 1,a,x", "2 update 2,d,d -> 2,a,x"}},
		{"Rotation", full, []string{"update 1,a,x -> 9,a,x", "update 2,b,y -> 1,b,y", "update 9,a,x -> 2,a,x"},
			[]string{"2 update 1,a,x -> 1,b,y", "3 update 2,b,y -> 2,a,x"}},
		{"ShiftDeferred", full, []string{"update 1,a,x -> 2,a,x", "update 2,b,y -> 3,b,y"},
			[]string{"1 delete 1,a,x", "2 update 2,b,y -> 2,a,x", "2 insert 3,b,y"}},
		{"SwapDeferred", full, []string{"update 1,a,x -> 2,a,x", "update 2,b,y -> 1,b,y"},
			[]string{"2 update 1,a,x -> 1,b,y", "2 update 2,b,y -> 2,a,x"}},
		{"InsertBesideDeferred", full, []string{"insert 1,n,n", "delete 1,a,x"}, []string{"2 update 1,a,x -> 1,n,n"}},
		{"ToastFromInsert", def, []string{"insert 1,a,large", "update -> 1,b,~"}, []string{"2 insert 1,b,large"}},
		{"ToastFromUpdate", full, []string{"update 1,0,old -> 1,a,new", "update 1,a,new -> 1,b,~"}, []string{"2 update 1,0,old -> 1,b,new"}},
		{"ToastUntouched", def, []string{"update -> 1,a,~", "update -> 1,b,~"}, []string{"2 update 1,, -> 1,b,~"}},
		{"ToastUntouchedFull", full, []string{"update 1,0,v -> 1,a,~", "update 1,a,v -> 1,b,~"}, []string{"2 update 1,0,v -> 1,b,v"}},
		{"ToastOfAnotherRow", full, []string{"delete 2,d,theirs", "update 1,a,mine -> 2,a,~"}, []string{"2 delete 1,a,mine", "2 update 2,d,theirs -> 2,a,mine"}},
		{"ToastKeyChange", def, []string{"update -> 1,a,new", "update 1,, -> 2,a,~"}, []string{"2 update 1,, -> 2,a,new"}},
		{"ToastNull", def, []string{"update -> 1,a,null", "update -> 1,b,~"}, []string{"2 update 1,, -> 1,b,null"}},
		{"Truncate", def, []string{"insert 1,a,x", "update -> 2,b,x", "truncate", "insert 1,b,x", "update -> 1,c,x"},
			[]string{"1 insert 1,a,x", "2 update -> 2,b,x", "3 truncate", "5 insert 1,c,x"}},
		{"Message", def, []string{"insert 1,a,x", "message", "update -> 1,b,x"}, []string{"2 message", "3 insert 1,b,x"}},
		{"NoKey", def, []string{"insert 1,a,x", "delete ,a,"}, []string{"1 insert 1,a,x", "2 delete ,a,"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for _, n := range []int{1, 2, 100} {
				tx := &cdc.Tx{XID: 1}
				var changes []cdc.Change
				for i, s := range c.changes {
					changes = append(changes, change(c.relation, tx, uint32(i+1), s))
				}
				out, places := run(t, newStage(coalesce.Wanted{Net: true}), changes, func() int { return n })
				var got []string
				for i := range out {
					got = append(got, showChange(&out[i]))
					if want := uint32(0); c.name == "Truncate" && out[i].Ordinal > 3 {
						if want = 3; places[i].From != want {
							t.Errorf("batches of %d: %s is gathered from %d, not %d", n, got[i], places[i].From, want)
						}
					} else if places[i].From != want {
						t.Errorf("batches of %d: %s is gathered from %d, not %d", n, got[i], places[i].From, want)
					}
				}
				if n == 1 && c.name == "Message" {
					// It is handed on at once in any case.
					slices.Sort(got)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("batches of %d:\n%s\nwant\n%s", n, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
				}
			}
		})
	}
}

// TestBlocksApart gathers nothing over the end of a transaction or of a block.
func TestBlocksApart(t *testing.T) {
	t.Parallel()
	r := relation(cdc.IdentityDefault)
	one, two := &cdc.Tx{XID: 1}, &cdc.Tx{XID: 2}
	changes := []cdc.Change{
		change(r, one, 1, "insert 1,a,x"), change(r, one, 2, "update -> 1,b,x"),
		change(r, one, 3, "update -> 1,c,x"), change(r, one, 4, "update -> 1,d,x"),
		change(r, two, 1, "update -> 1,e,x"), change(r, two, 2, "delete 1,,"),
	}
	changes[2].Block, changes[3].Block = 1, 1
	for n := range 6 {
		out, places := run(t, newStage(coalesce.Wanted{Net: true}), changes, func() int { return n + 1 })
		var got []string
		for i := range out {
			got = append(got, fmt.Sprintf("%d/%d %s", out[i].Tx.XID, out[i].Block, showChange(&out[i])))
			if places[i] != (coalesce.Place{Only: coalesce.Net}) {
				t.Errorf("batches of %d: %+v", n+1, places[i])
			}
		}
		want := []string{"1/0 2 insert 1,b,x", "1/1 4 update 1,, -> 1,d,x", "2/0 2 delete 1,,"}
		if !slices.Equal(got, want) {
			t.Errorf("batches of %d: %q", n+1, got)
		}
	}
}

// TestEachBesideNet hands out both where both are wanted, those of one message together.
func TestEachBesideNet(t *testing.T) {
	t.Parallel()
	r, tx := relation(cdc.IdentityDefault), &cdc.Tx{}
	changes := []cdc.Change{change(r, tx, 1, "insert 1,a,large"), change(r, tx, 2, "insert 2,a,x"), change(r, tx, 3, "update -> 1,b,~")}
	for n := range 3 {
		out, places := run(t, newStage(coalesce.Wanted{Net: true, Each: true}), changes, func() int { return n + 1 })
		var got []string
		for i := range out {
			got = append(got, fmt.Sprintf("%d %s", places[i].Only, showChange(&out[i])))
		}
		want := []string{"2 1 insert 1,a,large", "2 2 insert 2,a,x", "1 2 insert 2,a,x", "2 3 update -> 1,b,large", "1 3 insert 1,b,large"}
		if !slices.Equal(got, want) {
			t.Errorf("batches of %d: %q", n+1, got)
		}
	}
	out, _ := run(t, newStage(coalesce.Wanted{Each: true}), changes, func() int { return 2 })
	if len(out) != 3 {
		t.Errorf("%d changes where nothing is gathered", len(out))
	}
}

// TestDefinitionChanges gathers apart what a table was under two definitions, and together what was only described anew.
func TestDefinitionChanges(t *testing.T) {
	t.Parallel()
	r, again, wider, tx := relation(cdc.IdentityDefault), relation(cdc.IdentityDefault), relation(cdc.IdentityDefault, "n"), &cdc.Tx{}
	changes := []cdc.Change{
		change(r, tx, 1, "insert 1,a,x"), change(again, tx, 2, "update -> 1,b,x"),
		change(wider, tx, 3, "update -> 1,c,x,n"), change(wider, tx, 4, "update -> 1,d,x,n"),
	}
	out, places := run(t, newStage(coalesce.Wanted{Net: true}), changes, func() int { return 3 })
	if len(out) != 2 || showChange(&out[0]) != "2 insert 1,b,x" || out[0].Relation != again || places[0].From != 0 ||
		showChange(&out[1]) != "4 update 1,,, -> 1,d,x,n" || out[1].Relation != wider || places[1].From != 3 {
		t.Errorf("%+v %+v", out, places)
	}
}

// TestCut tells what is known of a block that was not read to its end, and that it is not all.
func TestCut(t *testing.T) {
	t.Parallel()
	r, tx := relation(cdc.IdentityDefault), &cdc.Tx{}
	s := newStage(coalesce.Wanted{Net: true})
	s.Put(&cdc.Batch{Changes: []cdc.Change{change(r, tx, 1, "insert 1,a,x"), change(r, tx, 2, "insert 2,a,x")}, Open: true})
	if p := s.Next(); p != nil || s.Holding() != tx {
		t.Fatalf("%+v", p)
	}
	s.Put(&cdc.Batch{Cut: true})
	p := s.Next()
	if p == nil || !p.Ends || !p.Continued || len(p.Changes) != 2 || p.Places[1] != (coalesce.Place{Only: coalesce.Net, Cut: 2}) {
		t.Fatalf("%+v", p)
	}
	if s.Next() != nil || s.Holding() != nil {
		t.Error("it is not over")
	}
	s.Put(&cdc.Batch{Changes: []cdc.Change{change(r, tx, 1, "insert 1,a,x")}, Cut: true})
	if p := s.Next(); p == nil || p.Places == nil || p.Places[0].Cut != 1 {
		t.Errorf("a single change: %+v", p)
	}
}

// model is a table as Postgres keeps it, and the stream of what is done to it.
type model struct {
	rng     *rand.Rand
	full    bool
	rel     *cdc.Relation
	rows    map[string]*modelRow
	changes []cdc.Change
	values  int
}

type modelRow struct{ id, a, big string }

func (r *modelRow) text() string { return r.id + "," + r.a + "," + r.big }

func (m *model) value() string { m.values++; return "v" + strconv.Itoa(m.values) }

func (m *model) key() string { return strconv.Itoa(1 + m.rng.IntN(6)) }

// old is the old row as the stream tells it.
func (m *model) old(r modelRow) string {
	if m.full {
		return r.text()
	}
	return r.id + ",,"
}

// step does something, and returns the keys that it concerns: none for a truncate.
func (m *model) step(tx *cdc.Tx, block, ordinal uint32) []string {
	key := m.key()
	r, touched, s := m.rows[key], []string{key}, ""
	switch p := m.rng.IntN(100); {
	case p < 2:
		clear(m.rows)
		s, touched = "truncate", nil
	case r == nil:
		r = &modelRow{key, m.value(), m.value()}
		m.rows[key] = r
		s = "insert " + r.text()
	case p < 25:
		delete(m.rows, key)
		s = "delete " + m.old(*r)
	default:
		before, to, old, big := *r, m.key(), "", "~"
		r.a = m.value()
		if m.rng.IntN(3) == 0 {
			r.big = m.value()
			big = r.big
		}
		if p < 60 && m.rows[to] == nil {
			delete(m.rows, key)
			r.id = to
			m.rows[to] = r
			touched = append(touched, to)
		}
		if m.full || r.id != key {
			old = m.old(before)
		}
		s = "update " + old + " -> " + r.id + "," + r.a + "," + big
	}
	c := change(m.rel, tx, ordinal, s)
	c.Block = block
	m.changes = append(m.changes, c)
	return touched
}

// segment is what is done between two truncates.
type segment struct {
	from          uint32
	before, after map[string]modelRow
	// larges are the large values that rows had at the begin.
	larges map[*modelRow]string
	rows   map[string]*modelRow
	last   map[string]uint32
	told   map[string]bool
}

func (m *model) segment(from uint32) *segment {
	s := &segment{from: from, last: map[string]uint32{}, told: map[string]bool{}, larges: map[*modelRow]string{}}
	s.before = m.look(s)
	for _, r := range m.rows {
		s.larges[r] = r.big
	}
	s.after = s.before
	return s
}

// look copies the rows as they are, and notes which is which.
func (m *model) look(s *segment) map[string]modelRow {
	values := map[string]modelRow{}
	s.rows = maps.Clone(m.rows)
	for k, r := range m.rows {
		values[k] = *r
	}
	return values
}

// TestModel does random things to a table, and compares what they come to with what the table was and is.
func TestModel(t *testing.T) {
	t.Parallel()
	for seed := range uint64(4000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		m := &model{rng: rng, full: seed%2 == 0, rows: map[string]*modelRow{}, rel: relation(cdc.IdentityDefault)}
		if m.full {
			m.rel = relation(cdc.IdentityFull)
		}
		s := newStage(coalesce.Wanted{Net: true})
		for xid := range uint32(4) {
			tx, block := &cdc.Tx{XID: xid}, uint32(rng.IntN(2))
			m.changes = nil
			segments := []*segment{m.segment(0)}
			truncated := map[uint32]bool{}
			for i := range uint32(1 + rng.IntN(14)) {
				now := segments[len(segments)-1]
				touched := m.step(tx, block, i+1)
				if touched == nil {
					truncated[i+1] = true
					segments = append(segments, m.segment(i+1))
					continue
				}
				for _, k := range touched {
					now.last[k] = i + 1
				}
				now.after = m.look(now)
			}
			out, places := run(t, s, m.changes, func() int { return 1 + rng.IntN(5) })
			if err := m.compare(segments, truncated, out, places); err != nil {
				var steps, got []string
				for i := range m.changes {
					steps = append(steps, showChange(&m.changes[i]))
				}
				for i := range out {
					got = append(got, showChange(&out[i]))
				}
				t.Fatalf("seed %d: %v\n%s\ncame to\n%s", seed, err, strings.Join(steps, "\n"), strings.Join(got, "\n"))
			}
		}
	}
}

// compare says what is wrong with what a block came to.
func (m *model) compare(segments []*segment, truncated map[uint32]bool, out []cdc.Change, places []coalesce.Place) error {
	before := uint32(0)
	for i := range out {
		c := &out[i]
		if c.Ordinal < before {
			return fmt.Errorf("%s stands behind %d", showChange(c), before)
		}
		before = c.Ordinal
		if c.Op == cdc.Truncate {
			if !truncated[c.Ordinal] {
				return fmt.Errorf("there was no truncate at %d", c.Ordinal)
			}
			delete(truncated, c.Ordinal)
			continue
		}
		at := len(segments) - 1
		for segments[at].from > c.Ordinal {
			at--
		}
		if places[i].Only == coalesce.Net && places[i].From != segments[at].from {
			return fmt.Errorf("%s is gathered from %d, not %d", showChange(c), places[i].From, segments[at].from)
		}
		if err := segments[at].check(c, m.full); err != nil {
			return fmt.Errorf("%s: %w", showChange(c), err)
		}
	}
	if len(truncated) > 0 {
		return fmt.Errorf("a truncate is not told")
	}
	for _, s := range segments {
		for k := range s.last {
			_, had := s.before[k]
			_, has := s.after[k]
			if s.told[k] != (had || has) {
				return fmt.Errorf("key %s was there %v, is there %v, is told %v", k, had, has, s.told[k])
			}
		}
	}
	return nil
}

// check holds a net change against what the rows were and are.
func (s *segment) check(c *cdc.Change, full bool) error {
	var keys []string
	if c.Op != cdc.Insert {
		old := c.Old
		if old == nil {
			old = cdc.Row{c.New[0], {}, {}}
		}
		key := string(old[0].Data)
		keys = append(keys, key)
		was, had := s.before[key]
		if !had {
			return fmt.Errorf("it was not there")
		}
		for i, want := range []string{was.id, was.a, was.big} {
			if known := old[i].Kind == cdc.Text; known && string(old[i].Data) != want || !known && (full || i == 0) {
				return fmt.Errorf("old column %d was %s", i, want)
			}
		}
		if c.OldWhole != full {
			return fmt.Errorf("the old row is whole: %v", c.OldWhole)
		}
	}
	if c.Op != cdc.Delete {
		key := string(c.New[0].Data)
		if len(keys) == 0 || keys[0] != key {
			keys = append(keys, key)
		}
		is, has := s.after[key]
		if !has {
			return fmt.Errorf("it is not there")
		}
		large := string(c.New[2].Data)
		if c.Unchanged != (c.New[2].Kind == cdc.Unchanged) {
			return fmt.Errorf("it says of large values %v", c.Unchanged)
		}
		if c.Unchanged {
			// Whoever reads it now reads what it was before the block; in the old row it is that, too.
			var had bool
			if large, had = s.larges[s.rows[key]]; !had {
				return fmt.Errorf("a large value of the block is left out")
			}
			if full && (c.Op == cdc.Insert || string(c.Old[2].Data) != large) {
				return fmt.Errorf("a large value is another row's")
			}
		}
		if string(c.New[1].Data) != is.a || large != is.big {
			return fmt.Errorf("it is %s", is.text())
		}
	}
	_, had := s.before[keys[len(keys)-1]]
	_, has := s.after[keys[0]]
	if c.Op == cdc.Insert && had || c.Op == cdc.Delete && has || len(keys) == 2 && (had || has) {
		return fmt.Errorf("it is more than that")
	}
	last := uint32(0)
	for _, k := range keys {
		if s.told[k] {
			return fmt.Errorf("key %s is told twice", k)
		}
		s.told[k] = true
		last = max(last, s.last[k])
	}
	if c.Ordinal != last {
		return fmt.Errorf("the last change was at %d", last)
	}
	return nil
}

// TestRest tells a block that is handed out in several parts from one that is out.
func TestRest(t *testing.T) {
	t.Parallel()
	r := relation(cdc.IdentityDefault)
	for _, n := range []int{cdc.BatchRows, cdc.BatchRows + 1, 2 * cdc.BatchRows, 600} {
		var changes []cdc.Change
		for tx, rows := range map[*cdc.Tx]int{{XID: 1}: n, {XID: 2}: 2} {
			for i := range rows {
				changes = append(changes, change(r, tx, uint32(i+1), fmt.Sprintf("insert %d,a,x", i)))
			}
		}
		slices.SortStableFunc(changes, func(a, b cdc.Change) int { return int(a.Tx.XID) - int(b.Tx.XID) })
		s := newStage(coalesce.Wanted{Net: true})
		s.Put(&cdc.Batch{Changes: changes})
		got := 0
		for p := s.Next(); p != nil; p = s.Next() {
			got += len(p.Changes)
			if last := p.Changes[len(p.Changes)-1]; p.Rest != (last.Tx.XID == 1 && got < n) {
				t.Errorf("after %d of %d the part says %v", got, n, p.Rest)
			}
		}
		if got != n+2 {
			t.Errorf("%d changes, want %d", got, n+2)
		}
	}
}

// TestByAnotherKey gathers by several keys at once: what exchanges the one does not exchange the other, and a TRUNCATE ends
// what was gathered by each.
func TestByAnotherKey(t *testing.T) {
	t.Parallel()
	def, full := relation(cdc.IdentityDefault), relation(cdc.IdentityFull)
	for _, c := range []struct {
		name     string
		relation *cdc.Relation
		changes  []string
		want     [3][]string // by the relation's key, by a, by a and id
	}{
		{"Exchange", full, []string{"update 1,x,p -> 1,t,p", "update 2,y,q -> 2,x,q", "update 1,t,p -> 1,y,p"}, [3][]string{
			{"2 update 2,y,q -> 2,x,q", "3 update 1,x,p -> 1,y,p"},
			{"2 update 1,x,p -> 2,x,q", "3 update 2,y,q -> 1,y,p"},
			{"2 update 2,y,q -> 2,x,q", "3 update 1,x,p -> 1,y,p"}}},
		{"Another", full, []string{"delete 1,x,p", "insert 2,x,q"}, [3][]string{
			{"1 delete 1,x,p", "2 insert 2,x,q"}, {"2 update 1,x,p -> 2,x,q"}, {"1 delete 1,x,p", "2 insert 2,x,q"}}},
		{"Truncate", full, []string{"insert 1,x,p", "truncate", "insert 1,x,q", "update 1,x,q -> 1,x,r"}, [3][]string{
			{"1 insert 1,x,p", "2 truncate", "4 insert 1,x,r"}, {"1 insert 1,x,p", "4 insert 1,x,r"}, {"1 insert 1,x,p", "4 insert 1,x,r"}}},
		{"NotTold", def, []string{"insert 1,x,p", "delete 1,,"}, [3][]string{nil, {"1 insert 1,x,p", "2 delete 1,,"}, {"1 insert 1,x,p", "2 delete 1,,"}}},
	} {
		for _, n := range []int{1, 2, 100} {
			tx := &cdc.Tx{XID: 1}
			var changes []cdc.Change
			for i, s := range c.changes {
				changes = append(changes, change(c.relation, tx, uint32(i+1), s))
			}
			out, places := run(t, newStage(coalesce.Wanted{Net: true, By: &coalesce.Keys{{1}, {1, 0}}}), changes, func() int { return n })
			var got [3][]string
			for i := range out {
				got[places[i].By] = append(got[places[i].By], showChange(&out[i]))
			}
			for by := range got {
				if !slices.Equal(got[by], c.want[by]) {
					t.Errorf("%s in batches of %d, by key %d:\n%s\nwant\n%s", c.name, n, by, strings.Join(got[by], "\n"), strings.Join(c.want[by], "\n"))
				}
			}
		}
	}
}
