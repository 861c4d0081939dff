package coalesce

import (
	"bytes"
	"cmp"
	"slices"

	"github.com/rowhook/rowhook/cdc"
)

// block gathers the changes of one block.
type block struct {
	// active says that there is one; over that it has ended and is handed out; continued that it began in an earlier batch.
	active, over, continued bool
	tx                      *cdc.Tx
	number                  uint32
	cut                     uint32
	last                    uint32
	// each says that there are items of the kind Each.
	each bool
	// folded are the changes, from the first on, whose rows are let go; unfolded those of them that were looked at since.
	folded   int
	unfolded []int32
	room     cdc.Room

	changes []cdc.Change
	tables  []table
	spots   spots
	// filled are values of new rows that were not sent and that an earlier change of the block has, by change.
	filled map[int32][]filledValue
	key    []byte
	key2   []byte

	// items are what the block comes to, in order; the first emitted ones of them are handed out.
	items   []item
	emitted int
}

// table is a table under one definition, from one ordinal of the block on.
type table struct {
	relation *cdc.Relation
	from     uint32
	// by and key are those of the net changes: see Place.
	by  int
	key []int
}

type filledValue struct {
	column int
	value  cdc.Value
}

// item is one change that is handed out.
type item struct {
	ordinal uint32
	only    Only
	// op is that of a net change; zero for a change that is handed out as it came.
	op    cdc.Op
	table int32
	// was and now are changes: those that tell the old and the new row.
	was, now int32
}

func (b *block) begin(c *cdc.Change) {
	b.active, b.tx, b.number = true, c.Tx, c.Block
}

// takes says whether the change belongs to the block.
func (b *block) takes(c *cdc.Change) bool { return b.active && c.Tx == b.tx && c.Block == b.number }

// reset forgets the block, but for the rows that the last part has.
func (b *block) reset() {
	changes, tables, items := b.changes, b.tables, b.items
	clear(changes)
	clear(tables)
	b.spots.reset()
	*b = block{changes: changes[:0], tables: tables[:0], items: items[:0], spots: b.spots, key: b.key[:0], key2: b.key2[:0], unfolded: b.unfolded[:0], room: b.room}
}

// smallBlock is how many changes are kept room for when no large blocks come any more.
const smallBlock = 1 << 10

// shrink lets go of the room of a large block.
func (b *block) shrink() {
	if cap(b.changes) > smallBlock {
		b.changes, b.items, b.spots, b.unfolded = nil, nil, spots{}, nil
	}
}

// add takes a change of a row, or a TRUNCATE.
func (b *block) add(c *cdc.Change, w Wanted) {
	b.last = c.Ordinal
	if !w.Net && !w.Each && w.By == nil {
		return
	}
	i := int32(len(b.changes))
	b.changes = append(room(b.changes), *c)
	t := b.tableOf(c, 0, c.Relation.Key)
	if c.Op == cdc.Truncate {
		b.items = append(b.items, item{ordinal: c.Ordinal, table: t, now: i, was: none})
		b.tables = append(b.tables, table{c.Relation, c.Ordinal, 0, c.Relation.Key})
		if w.By != nil {
			for n, key := range *w.By {
				b.tables = append(b.tables, table{c.Relation, c.Ordinal, n + 1, key})
			}
		}
		return
	}
	if w.Each {
		b.each = true
		b.items = append(b.items, item{ordinal: c.Ordinal, only: Each, table: t, now: i, was: none})
	}
	if w.Net && !b.gather(i, t) {
		b.items = append(b.items, item{ordinal: c.Ordinal, only: Net, table: t, now: i, was: none})
	}
	if w.By == nil {
		return
	}
	for n, key := range *w.By {
		if t := b.tableOf(c, n+1, key); !b.gather(i, t) {
			b.items = append(b.items, item{ordinal: c.Ordinal, only: Net, table: t, now: i, was: none})
		}
	}
}

// room doubles what is full: append would grow a large block by a quarter, many times.
func room[T any](s []T) []T {
	if len(s) == cap(s) {
		return slices.Grow(s, max(16, len(s)))
	}
	return s
}

// tableOf finds the table as it is defined now, for net changes of a key of it.
func (b *block) tableOf(c *cdc.Change, by int, key []int) int32 {
	for i := len(b.tables) - 1; i >= 0; i-- {
		t := &b.tables[i]
		switch {
		case t.by != by:
			continue
		case t.relation == c.Relation:
			return int32(i)
		case t.relation.Table != c.Relation.Table:
			continue
		case sameDefinition(t.relation, c.Relation):
			t.relation = c.Relation
			return int32(i)
		}
		b.tables = append(b.tables, table{c.Relation, c.Ordinal, by, key})
		return int32(len(b.tables) - 1)
	}
	b.tables = append(b.tables, table{c.Relation, 0, by, key})
	return int32(len(b.tables) - 1)
}

// sameDefinition says whether the images of two relations can be compared. A description comes again also when nothing
// has changed.
func sameDefinition(a, b *cdc.Relation) bool {
	return a.OID == b.OID && a.Identity == b.Identity && slices.Equal(a.Key, b.Key) &&
		slices.EqualFunc(a.Columns, b.Columns, func(x, y cdc.Column) bool {
			return x.Name == y.Name && x.Identity == y.Identity && (x.Type == y.Type || x.Type != nil && y.Type != nil && x.Type.OID == y.Type.OID)
		})
}

// gather notes what a change does to the spots of its keys. It is false where the change does not tell its key.
func (b *block) gather(i, t int32) bool {
	c, columns := &b.changes[i], b.tables[t].key
	var ok bool
	if c.Op == cdc.Insert {
		if b.key, ok = appendKey(b.key[:0], columns, c.New, nil); ok {
			b.arrive(i, t, b.key, none)
		}
		return ok
	}
	if b.key, ok = appendKey(b.key[:0], columns, c.Old, c.New); !ok {
		return false
	}
	if c.Op == cdc.Delete {
		b.leave(i, t, b.key)
		return true
	}
	if b.key2, ok = appendKey(b.key2[:0], columns, c.New, c.Old); !ok {
		return false
	}
	if !bytes.Equal(b.key, b.key2) {
		row, origin := b.leave(i, t, b.key)
		b.fill(i, row)
		b.arrive(i, t, b.key2, origin)
		return true
	}
	at, fresh := b.spots.find(t, b.key)
	s := &b.spots.all[at]
	if fresh {
		s.was, s.origin = i, at
	} else {
		b.fill(i, s.now)
	}
	s.now, s.last = i, i
	return true
}

// leave takes the row of a key away, as a change does. It returns the change that has its new row, and the spot where it
// was before the block.
func (b *block) leave(i, t int32, key []byte) (row, origin int32) {
	at, fresh := b.spots.find(t, key)
	s := &b.spots.all[at]
	s.last = i
	if fresh {
		s.was = i
		return none, at
	}
	if s.arrived && s.now != none && !b.shows(s.now, &b.changes[i]) {
		// Two rows have the key for a moment, as a deferred constraint allows: the one that was there goes.
		if s.was == none {
			s.was = i
		}
		return none, at
	}
	row, origin = s.now, s.origin
	s.now, s.origin, s.arrived = none, none, false
	return row, origin
}

// arrive puts the new row of a change to a key.
func (b *block) arrive(i, t int32, key []byte, origin int32) {
	at, _ := b.spots.find(t, key)
	s := &b.spots.all[at]
	s.now, s.last, s.origin, s.arrived = i, i, origin, true
}

// shows says whether the old row of a change can be the new one of another.
func (b *block) shows(row int32, c *cdc.Change) bool {
	if !c.OldWhole {
		return true
	}
	now := b.image(row)
	for i := range c.Old {
		if i < len(now) && now[i].Kind != cdc.Unchanged && (now[i].Kind != c.Old[i].Kind || !bytes.Equal(now[i].Data, c.Old[i].Data)) {
			return false
		}
	}
	return true
}

// fill puts in what an update did not send, from the row as an earlier change of the block left it.
func (b *block) fill(i, row int32) {
	c := &b.changes[i]
	if !c.Unchanged || row == none {
		return
	}
	before := b.image(row)
	for n := range c.New {
		if c.New[n].Kind != cdc.Unchanged || n >= len(before) || !known(before[n]) {
			continue
		}
		c.New[n] = before[n]
		if b.filled == nil {
			b.filled = map[int32][]filledValue{}
		}
		b.filled[i] = append(b.filled[i], filledValue{n, before[n]})
	}
}

func known(v cdc.Value) bool { return v.Kind == cdc.Text || v.Kind == cdc.Null }

// image is the new row of a change.
func (b *block) image(i int32) cdc.Row {
	c := &b.changes[i]
	if c.New == nil && c.Old == nil {
		c.Unfold(&b.room)
		b.unfolded = append(b.unfolded, i)
		for _, f := range b.filled[i] {
			c.New[f.column] = f.value
		}
	}
	return c.New
}

// fold keeps the block until the next batch, with as little memory as can be.
func (b *block) fold() {
	b.continued = true
	for i := b.folded; i < len(b.changes); i++ {
		b.changes[i].Fold()
	}
	b.folded = len(b.changes)
	b.foldAgain()
}

// foldAgain lets go of the rows that were looked at since they were folded.
func (b *block) foldAgain() {
	for _, i := range b.unfolded {
		b.changes[i].Fold()
	}
	b.unfolded = b.unfolded[:0]
	b.room.Reset()
}

// end makes the items of the block. A block that is cut ends before all of it was read.
func (b *block) end(cut bool) {
	b.over = true
	if cut {
		b.cut = b.last
	}
	b.items = b.net(slices.Grow(b.items, len(b.spots.all)))
	if slices.IsSortedFunc(b.items, inOrder) {
		return
	}
	slices.SortStableFunc(b.items, inOrder)
}

func inOrder(x, y item) int {
	return cmp.Or(cmp.Compare(x.ordinal, y.ordinal), cmp.Compare(x.rank(), y.rank()))
}

// rank orders what one message does: each change before the net ones, the end of an instance before the begin of another.
func (it *item) rank() int {
	switch {
	case it.only != Net:
		return 0
	case it.op == cdc.Delete:
		return 1
	}
	return 2
}

// net appends what the spots come to.
func (b *block) net(items []item) []item {
	all := b.spots.all
	for i := range all {
		if s := &all[i]; s.was == none && s.now != none && s.origin != none && all[s.origin].now == none {
			// Nothing else was at the one key, and nothing else is at the other: the row is the same, and is told as one.
			all[s.origin].left = true
		}
	}
	for i := range all {
		s := &all[i]
		it := item{only: Net, table: s.table, was: s.was, now: s.now, ordinal: b.changes[s.last].Ordinal}
		switch {
		case s.left || s.was == none && s.now == none:
			continue
		case s.was != none && s.now != none:
			it.op = cdc.Update
		case s.was != none:
			it.op = cdc.Delete
		case s.origin != none && all[s.origin].left:
			o := &all[s.origin]
			it.op, it.was = cdc.Update, o.was
			it.ordinal = max(it.ordinal, b.changes[o.last].Ordinal)
		default:
			it.op = cdc.Insert
		}
		items = append(items, it)
	}
	return items
}

// change makes the change of an item.
func (b *block) change(it *item) (cdc.Change, Place) {
	p := Place{Only: it.only, By: b.tables[it.table].by, From: b.tables[it.table].from, Cut: b.cut}
	relation := b.tables[it.table].relation
	if it.op == 0 {
		b.image(it.now)
		c := b.changes[it.now]
		c.Relation = relation
		return c, p
	}
	last := it.now
	if last == none {
		last = it.was
	}
	b.image(last)
	c := b.changes[last]
	c.Relation, c.Ordinal = relation, it.ordinal
	if it.op == c.Op && (it.was == it.now || it.was == none) || it.op == cdc.Delete && c.Op == cdc.Delete {
		return c, p
	}
	c.Op, c.New, c.Old, c.OldWhole, c.Unchanged = it.op, nil, nil, false, false
	if it.now != none {
		c.New, c.Unchanged = b.after(it.now)
	}
	if it.was != none {
		c.Old, c.OldWhole = b.before(it.was)
	}
	return c, p
}

// after is the new row of a change. What was not sent is in its own old row, if anywhere: the net change has another one.
func (b *block) after(i int32) (row cdc.Row, unchanged bool) {
	row = b.image(i)
	old := b.changes[i].Old
	for n := range row {
		if row[n].Kind != cdc.Unchanged {
			continue
		}
		if n < len(old) && known(old[n]) {
			row[n] = old[n]
		} else {
			unchanged = true
		}
	}
	return row, unchanged
}

// before is the old row of a change, as far as it is told: what is in the identity and was not sent has not changed.
func (b *block) before(i int32) (row cdc.Row, whole bool) {
	b.image(i)
	c := &b.changes[i]
	if len(c.Old) > 0 || c.Op != cdc.Update {
		return c.Old, c.OldWhole
	}
	row = make(cdc.Row, len(c.New))
	for n := range row {
		if n < len(c.Relation.Columns) && c.Relation.Columns[n].Identity {
			row[n] = c.New[n]
		}
	}
	return row, false
}
