package mapping

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/cdc"
)

// Replayed is what a dead letter has come to: an Event, or the Reason why there is none yet, or, where both are empty,
// nothing: what it would say is not so any more, or is said by another event.
type Replayed struct {
	Event  *Event
	Reason string
}

// ReplayKey is how the row of a dead letter is found in its table as it is now: the columns of its key, by their indexes,
// and their values. The reason says why it cannot be.
func (m *Mapper) ReplayKey(l *DeadLetter, t *cdc.Table) (columns []int, values [][]byte, reason string) {
	names := l.Key
	if names == nil {
		// A letter of a version that did not keep them, or of an event.
		if r, ok := m.Resource(l.Resource); ok {
			names = r.Key
		}
	}
	if l.Instance == "" || len(names) == 0 {
		return nil, nil, "the key of its row is not known, or cannot be stored, so the row cannot be looked at: discard it"
	}
	parts := SplitInstance(l.Instance, len(names))
	if len(parts) != len(names) {
		return nil, nil, "its instance is not a key of " + list(names) + ": discard it"
	}
	for i, name := range names {
		c := t.Column(name)
		if c < 0 {
			return nil, nil, fmt.Sprintf("table %s has no column %s any more, by which its row was named: discard it", t.TableName, name)
		}
		columns, values = append(columns, c), append(values, []byte(parts[i]))
	}
	return columns, values, ""
}

// SplitInstance cuts an instance, as Event has it, into the values of a key of n columns.
func SplitInstance(instance string, n int) []string {
	if n == 1 {
		return []string{instance}
	}
	values := []string{""}
	for i := 0; i < len(instance); i++ {
		switch {
		case instance[i] == '\\' && i+1 < len(instance):
			i++
			values[len(values)-1] += string(instance[i])
		case instance[i] == ',':
			values = append(values, "")
		default:
			values[len(values)-1] += string(instance[i])
		}
	}
	return values
}

// Replay makes the event of a dead letter from its row as it is now, which is nil where it is gone. It has the letter's
// position, time and id, and may be Incomplete. Like Map it is for one goroutine at a time.
func (m *Mapper) Replay(l *DeadLetter, rel *cdc.Relation, row cdc.Row) (out Replayed) {
	resources := m.planOf(rel).resources
	i := slices.IndexFunc(resources, func(p planned) bool { return p.Name == l.Resource })
	if i < 0 {
		return Replayed{Reason: fmt.Sprintf("the config has no resource %s on the table %s any more: discard it, or bring it back", l.Resource, rel.Table)}
	}
	p := &resources[i]
	if p.broken != "" {
		return Replayed{Reason: p.broken}
	}
	defer func() {
		m.audience = ToAll
		m.letGo()
		if r := recover(); r != nil {
			out = Replayed{Reason: panicked(r)}
		}
	}()
	m.old, m.told, m.updates, m.audience = nil, nil, false, l.Audience
	x := replay{Mapper: m, planned: p, letter: l, relation: rel}
	return x.run(row)
}

// replay is one dead letter on its way.
type replay struct {
	*Mapper
	*planned
	letter   *DeadLetter
	relation *cdc.Relation
}

func (x *replay) run(row cdc.Row) Replayed {
	is := gone
	if row != nil {
		if is = x.stateOf(x.planned, row, nil); x.renderer.err != nil {
			return Replayed{Reason: x.renderer.reason(x.Name)}
		}
	}
	event := x.letter.Type
	if event == "" {
		event = map[cdc.Op]string{cdc.Insert: x.created, cdc.Delete: x.deleted, cdc.Truncate: x.truncated}[x.letter.Op]
	}
	switch {
	case event == x.truncated:
		return x.event(event, nil)
	case event == x.deleted:
		if is == there {
			moved, reason := x.moved(row)
			if !moved {
				return Replayed{Reason: reason} // it is there again, and what made it so is told by itself
			}
		}
		return x.delete()
	case event == "" || event == x.updated:
		return x.update(is, row)
	case is != there:
		return Replayed{} // that it went is told by itself
	case event == x.created:
		return x.event(event, row)
	}
	return x.named(event, row)
}

// moved says whether the row, which is there, is not the account's for which it went.
func (x *replay) moved(row cdc.Row) (moved bool, reason string) {
	if x.letter.Audience != ToAccount || x.bound.account == nil {
		return false, ""
	}
	var accounts [2]string
	for i, row := range [2]cdc.Row{x.before(), row} {
		if accounts[i] = x.letter.Account; i == 0 && accounts[i] != "" {
			continue
		}
		r := &x.renderer
		r.row, r.fallback, r.old, r.failed, r.err = row, nil, nil, nil, nil
		text, k := r.accountText(nil, x.bound.account)
		if r.err != nil {
			return false, r.reason(x.Name)
		}
		if accounts[i] = string(text); k != known {
			return false, ""
		}
	}
	return accounts[0] != "" && accounts[0] != accounts[1], ""
}

// before is the row before the change, as far as the letter has it.
func (x *replay) before() cdc.Row {
	row := make(cdc.Row, len(x.relation.Columns))
	for i, c := range x.relation.Columns {
		if v, ok := x.letter.Known[c.Name]; ok {
			row[i] = cdc.Value{Kind: cdc.Null}
			if v != nil {
				row[i] = cdc.Value{Kind: cdc.Text, Data: []byte(*v)}
			}
		}
	}
	names := x.letter.Key
	if names == nil {
		names = x.keyNames()
	}
	parts := SplitInstance(x.letter.Instance, len(names))
	for n, i := range columnsNamed(x.relation, names) {
		if row[i].Kind == cdc.Absent && len(parts) == len(names) {
			row[i] = cdc.Value{Kind: cdc.Text, Data: []byte(parts[n])}
		}
	}
	return row
}

// delete tells that a row went, of what the log told of it.
func (x *replay) delete() Replayed {
	old := x.before()
	was := x.stateOf(x.planned, old, nil)
	if x.renderer.err != nil {
		return Replayed{Reason: x.renderer.reason(x.Name)}
	}
	if was == gone || was == unsure && x.letter.Undecided {
		return Replayed{} // it was none before
	}
	return x.event(x.deleted, old)
}

// update tells what an update comes to, which may have made an instance of the row, or ended one.
func (x *replay) update(is state, row cdc.Row) Replayed {
	if !x.letter.Undecided || len(x.letter.Known) == 0 {
		if is != there {
			return Replayed{}
		}
		return x.event(x.updated, row)
	}
	was := x.stateOf(x.planned, x.before(), nil)
	if x.renderer.err != nil {
		return Replayed{Reason: x.renderer.reason(x.Name)}
	}
	switch {
	case was == there && is != there && row != nil:
		return x.delete()
	case is != there:
		return Replayed{}
	case was == gone:
		return x.event(x.created, row)
	}
	return x.event(x.updated, row)
}

// named makes an event of the resource's own, if its condition holds, as far as that can be said.
func (x *replay) named(event string, row cdc.Row) Replayed {
	i := slices.IndexFunc(x.conditions.events, func(e condition) bool { return e.name == event })
	switch {
	case i < 0:
		return Replayed{Reason: fmt.Sprintf("the config has no event %s any more: discard it, or bring it back", event)}
	case !x.letter.Undecided:
		return x.event(event, row)
	}
	e := &x.conditions.events[i]
	// For an account to which the row has come there was none before.
	if len(e.old) > 0 && x.letter.Audience != ToAccount {
		return Replayed{Reason: fmt.Sprintf("%s asks for the row before the change, which is not there any more: discard it", event)}
	}
	r := &x.renderer
	r.row, r.fallback, r.old, r.failed, r.err = row, nil, nil, nil, nil
	holds, k := r.holds(&e.when)
	switch {
	case r.err != nil:
		return Replayed{Reason: r.reason(x.Name)}
	case !holds || k != known:
		return Replayed{}
	}
	return x.event(event, row)
}

// event makes the event of the row.
func (x *replay) event(name string, row cdc.Row) Replayed {
	l := x.letter
	op := l.Op
	if name == x.deleted {
		op = cdc.Delete
	}
	o := output{position: l.Position, change: &cdc.Change{Op: op, Tx: &cdc.Tx{Commit: l.Position.Commit, Time: l.Time}, Ordinal: l.Position.Ordinal,
		Relation: x.relation, New: row}}
	if name == x.truncated {
		return Replayed{Event: &Event{ID: x.idOf(name), Type: name, Resource: x.Name, Time: l.Time.UTC(), Position: l.Position, Data: []byte("null"), Context: l.Context}}
	}
	x.one(&o, x.planned, name, row, nil)
	if len(o.dead) > 0 {
		return Replayed{Reason: o.dead[0].Reason}
	}
	e := o.events[0]
	e.ID, e.Context = x.idOf(name), l.Context
	switch {
	case l.Audience != ToAccount || l.Account == "" || e.Accounted && e.Account == l.Account:
	case name == x.deleted:
		e.Account, e.Accounted = l.Account, true
	default:
		return Replayed{} // it is another one's by now, and that it went is told by itself
	}
	return Replayed{Event: e}
}

// idOf is the id that the event would have had: the letter's, unless it has turned out to be another event.
func (x *replay) idOf(event string) string {
	if l := x.letter; l.EventID != "" && l.Type == event {
		return l.EventID
	}
	p := x.letter.Position.Bytes()
	sum := sha256.Sum256([]byte(strings.Join([]string{x.letter.EventID, string(p[:]), x.ids.lineage, event, x.letter.Instance}, "\x00")))
	var id [4 + 26]byte
	copy(id[:], "evt_")
	idEncoding.Encode(id[4:], sum[:16])
	return string(id[:])
}
