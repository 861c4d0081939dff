package mapping

import (
	"bytes"
	"encoding/binary"

	"github.com/rowhook/rowhook/cdc"
)

// pending is an event's row, until its relations are read and the application was asked.
type pending struct {
	mapper  *Mapper
	planned *planned
	op      cdc.Op
	// The rows are the change's own.
	row, fallback, old cdc.Row
	// address is that of the application's answer, once located; broken is why there can be none.
	address, broken string
	located         bool
	// given says that the row has another account by now, or none that can be read: the answer is not this one's.
	given bool
}

// pendingOf keeps the row that is being mapped.
func (m *Mapper) pendingOf(p *planned, op cdc.Op) *pending {
	w := &pending{mapper: m, planned: p, op: op, row: m.renderer.row, fallback: m.renderer.fallback, old: m.renderer.old}
	if len(w.old) > 0 && len(m.earlier) > 0 && &w.old[0] == &m.earlier[0] {
		w.old = append(cdc.Row(nil), w.old...) // it is made anew for each change
	}
	return w
}

// Incomplete says that the event has no Data yet: it holds rows of other tables, or of the application's own answer, which a
// Completion gets. Until then the change that the event came of must not be changed.
func (e *Event) Incomplete() bool { return e.pending != nil }

// Completion puts rows of relations into events. It asks for rows level by level: those that the events' own rows name,
// then those that these name. Whoever reads them calls Start, and Next until it asks for nothing; both may be done again
// from the start, and then nothing of the try before is left. It is for one goroutine, and shares with the Mappers of the
// events what Map uses.
type Completion struct {
	events []*Event
	// answers are what was asked for, level the links of the last level in the order of its requests.
	answers map[*link]*answer
	level   []*link
	// documents are the application's answers by their path.
	documents map[string]*document
	// owned are the rows that Owners has asked for.
	owned []*pending
	// failed are the lookups that cannot be answered, and why.
	failed map[*cdc.Lookup]string
	// broken is why the event that is being rendered cannot be.
	broken string
	key    []byte
}

// answer is what a link's lookup found.
type answer struct {
	keys    map[string]int
	request cdc.LookupRequest
	rows    [][]cdc.Row
	// uses counts by key who asked; rendered is the JSON of a key that several asked for.
	uses     []int
	rendered [][]byte
}

// NewCompletion makes a Completion of those of the events that are incomplete.
func NewCompletion(events []*Event) *Completion {
	c := &Completion{}
	for _, e := range events {
		if e.pending != nil {
			c.events = append(c.events, e)
		}
	}
	return c
}

// Start begins anew and asks for what the events' own rows name.
func (c *Completion) Start() []cdc.LookupRequest {
	c.answers, c.level = map[*link]*answer{}, c.level[:0]
	for _, e := range c.events {
		r := renderer{row: e.pending.row, fallback: e.pending.fallback}
		for _, l := range e.pending.planned.links {
			c.ask(&r, l)
		}
		if l := e.pending.planned.owner; l != nil && e.Accounted {
			c.ask(&r, l)
		}
	}
	return c.requests()
}

// Next asks for what the rows of the last level name.
func (c *Completion) Next() []cdc.LookupRequest {
	last := append([]*link(nil), c.level...)
	c.level = c.level[:0]
	for _, l := range last {
		if len(l.links) == 0 {
			continue
		}
		for _, rows := range c.answers[l].rows {
			for _, row := range rows {
				r := renderer{row: row}
				for _, inner := range l.links {
					c.ask(&r, inner)
				}
			}
		}
	}
	return c.requests()
}

// Row takes a row that was found for a key of a request of the last level. Rows come in their order, and belong to the
// Completion from then on.
func (c *Completion) Row(request, key int, row cdc.Row) {
	a := c.answers[c.level[request]]
	a.rows[key] = append(a.rows[key], row)
}

// Fail says why a lookup cannot be answered. It is not asked for any more, from Start on, and events whose rows need it
// become dead letters.
func (c *Completion) Fail(l *cdc.Lookup, reason string) {
	if c.failed == nil {
		c.failed = map[*cdc.Lookup]string{}
	}
	c.failed[l] = reason
}

// requests are those of the level. A level without any is the last.
func (c *Completion) requests() []cdc.LookupRequest {
	requests := make([]cdc.LookupRequest, len(c.level))
	for i, l := range c.level {
		a := c.answers[l]
		requests[i] = a.request
		a.rows, a.rendered = make([][]cdc.Row, len(a.uses)), make([][]byte, len(a.uses))
	}
	return requests
}

// ask notes that the renderer's row has rows of the link.
func (c *Completion) ask(r *renderer, l *link) {
	key, k := c.keyOf(r, l)
	if k != known || key == nil || c.failed[l.lookup] != "" {
		return
	}
	a := c.answers[l]
	if a == nil {
		a = &answer{keys: map[string]int{}, request: cdc.LookupRequest{Lookup: l.lookup}}
		c.answers[l] = a
		c.level = append(c.level, l)
	}
	if n, asked := a.keys[string(key)]; asked {
		a.uses[n]++
		return
	}
	a.keys[string(key)] = len(a.uses)
	a.uses = append(a.uses, 1)
	values := make([][]byte, len(l.ours))
	for i, column := range l.ours {
		values[i] = r.value(column).Data
	}
	a.request.Keys = append(a.request.Keys, values)
}

// keyOf is the key of the link's rows; nil where a value of it is null, which no row has.
func (c *Completion) keyOf(r *renderer, l *link) ([]byte, knowledge) {
	k, null := known, false
	c.key = c.key[:0]
	for _, column := range l.ours {
		switch v := r.value(column); v.Kind {
		case cdc.Text:
			c.key = binary.BigEndian.AppendUint32(c.key, uint32(len(v.Data)))
			c.key = append(c.key, v.Data...)
		case cdc.Null:
			null = true
		case cdc.Unchanged:
			k = max(k, unchanged)
		default:
			k = max(k, absent)
		}
	}
	if null || k != known {
		return nil, k
	}
	return c.key, known
}

// Complete renders the data of an event with the rows that were read. An event that cannot be rendered becomes the dead
// letter that is returned. Events that are complete are left as they are.
func (c *Completion) Complete(e *Event) (letter DeadLetter, dead bool) {
	w := e.pending
	if w == nil {
		return DeadLetter{}, false
	}
	m, p := w.mapper, w.planned
	c.broken = ""
	reason := m.complete(e, c)
	if c.broken != "" {
		reason = p.Name + ": " + c.broken
	}
	e.pending = nil
	if reason == "" {
		return DeadLetter{}, false
	}
	letter = DeadLetter{Resource: p.Name, Op: w.op, Instance: e.Instance, Position: e.Position, Time: e.Time, Reason: reason,
		EventID: e.ID, Type: e.Type, Key: p.keyNames(), Audience: e.Audience, Context: e.Context}
	if e.Audience == ToAccount {
		letter.Account = e.Account
	}
	return letter, true
}

func (m *Mapper) complete(e *Event, c *Completion) (reason string) {
	w, r := e.pending, &m.renderer
	defer func() {
		r.related, r.document, r.moved = nil, nil, false
		m.forget()
		if v := recover(); v != nil {
			reason = panicked(v)
		}
	}()
	r.document = c.documentOf(w)
	r.row, r.fallback, r.old, r.partial, r.failed, r.err, r.related = w.row, w.fallback, w.old, nil, nil, nil, c
	r.moved = c.moved(e)
	m.buf = r.data(m.buf[:0], &w.planned.root)
	if r.err != nil {
		return r.reason(w.planned.Name)
	}
	e.Data, e.Partial = bytes.Clone(m.buf), nil
	if len(r.partial) > 0 {
		e.Partial = r.partial
	}
	return ""
}
