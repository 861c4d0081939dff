package mappingtest

import (
	"encoding/binary"
	"slices"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/cdc/cdctest"
	"github.com/rowhook/rowhook/coalesce"
	"github.com/rowhook/rowhook/mapping"
)

// toucher gathers whose related rows a transaction changes, and makes their updates when it is over, as app.toucher does.
type toucher struct {
	at      mapping.TouchAt
	targets []*target
	// own are the instances of which the transaction has an event of its own.
	own map[string]bool
}

// target is what the transaction says of a target.
type target struct {
	*mapping.Target
	touches []mapping.Touch
	seen    map[string]bool
	broken  string
}

// gather adds what a change touches. The updates have the place of the last change from the first that touches something.
func (t *toucher) gather(m *mapping.Mapper, epoch uint32, c *cdc.Change, place coalesce.Place) {
	for _, touch := range m.Touched(nil, c, place) {
		if t.at.Tx == nil {
			t.at = mapping.TouchAt{Epoch: epoch, Tx: c.Tx, Block: c.Block, Sub: mapping.TouchedFrom}
		}
		t.add(touch)
	}
	if t.at.Tx != nil {
		t.at.Ordinal, t.at.Cut = c.Ordinal, place.Cut
	}
}

func (t *toucher) add(touch mapping.Touch) {
	i := slices.IndexFunc(t.targets, func(of *target) bool { return of.Target == touch.Target })
	if i < 0 {
		i = len(t.targets)
		t.targets = append(t.targets, &target{Target: touch.Target, seen: map[string]bool{}})
	}
	of := t.targets[i]
	if touch.Broken != "" {
		of.broken = touch.Broken
		return
	}
	key := binary.AppendUvarint(nil, uint64(touch.Ascent))
	for _, v := range touch.Values {
		key = append(binary.AppendUvarint(key, uint64(len(v))), v...)
	}
	if !of.seen[string(key)] {
		of.seen[string(key)] = true
		of.touches = append(of.touches, touch)
	}
}

// note takes what a change has made of its own.
func (t *toucher) note(m *mapping.Mapper, events []*mapping.Event, dead []mapping.DeadLetter) {
	if t.own == nil {
		t.own = map[string]bool{}
	}
	for _, e := range events {
		if m.IsOwn(e) {
			t.own[instanceOf(e.Resource, e.Instance)] = true
		}
	}
	for _, d := range dead {
		t.own[instanceOf(d.Resource, d.Instance)] = true
	}
}

func instanceOf(resource, instance string) string { return resource + "\x00" + instance }

// touch makes the updates of the transaction, of rows as they are behind it.
func (r *runner) touch(t *toucher) {
	for _, of := range t.targets {
		if of.broken != "" {
			r.touchFailed(t, of, of.broken)
		}
		done := map[string]bool{}
		for _, key := range r.keysOf(of) {
			instance := of.Instance(key)
			if done[instance] || t.own[instanceOf(of.Resource(), instance)] {
				continue
			}
			done[instance] = true
			rows := of.Rows()
			if rows.Broken != "" {
				r.touchFailed(t, of, rows.Broken) // the same for all of them
				break
			}
			read := &keyedRow{lookup: rows.Lookup, key: key}
			cdctest.Answer(read, r.tables, r.state.Rows, nil)
			if read.row == nil {
				continue
			}
			events, dead := r.mapper.MapTouched(nil, nil, rows, &t.at, read.row)
			t.at.Sub += uint32(len(events) + len(dead))
			r.complete(events, dead)
		}
	}
}

// keysOf are the keys of the rows that are touched: those that the changes tell in their order, and where some have to be
// looked for, all of them in the order of the key.
func (r *runner) keysOf(of *target) [][][]byte {
	var keys [][][]byte
	if !slices.ContainsFunc(of.touches, func(t mapping.Touch) bool { return t.Key == nil }) {
		for _, t := range of.touches {
			keys = append(keys, t.Key)
		}
		return keys
	}
	q := &cdc.RootsRequest{Roots: of.Roots, Asked: make([]cdc.RootsAsked, len(of.Roots.Ascents))}
	for _, t := range of.touches {
		a := &q.Asked[t.Ascent]
		a.Numbers, a.Values = append(a.Numbers, 0), append(a.Values, t.Values)
	}
	for _, k := range cdctest.Roots(q, r.tables, r.state.Rows) {
		keys = append(keys, k.Key)
	}
	return keys
}

// touchFailed makes one dead letter for all instances of the target.
func (r *runner) touchFailed(t *toucher, of *target, reason string) {
	r.complete(nil, []mapping.DeadLetter{t.at.DeadLetter(of.Target, "", of.Resource()+": "+reason)})
	t.at.Sub++
}

// keyedRow are Lookups of one row by its key.
type keyedRow struct {
	lookup *cdc.Lookup
	key    [][]byte
	row    cdc.Row
}

func (k *keyedRow) Start() []cdc.LookupRequest {
	return []cdc.LookupRequest{{Lookup: k.lookup, Keys: [][][]byte{k.key}}}
}

func (k *keyedRow) Next() []cdc.LookupRequest { return nil }

func (k *keyedRow) Row(_, _ int, row cdc.Row) { k.row = row }

// Fail implements cdctest.Lookups. The table of a target is always there.
func (k *keyedRow) Fail(*cdc.Lookup, string) {}
