package app

import (
	"context"
	"encoding/binary"
	"slices"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/problem"
	"github.com/rowhook/rowhook/mapping"
)

// toucher gathers, for each block, whose related rows have changed. When the block ends their updates are made, behind
// all its other events, at the position of its last change. It belongs to the source's goroutine.
type toucher struct {
	rows *cdc.RowReader
	// maxRow bounds a row, in bytes.
	maxRow int
	// size is how many rows are read at once: fewer where they are large.
	size int
	// sessions counts the connections to the source.
	sessions uint32

	// open is a block that goes on; ended are those that end in the changes that are taken, in their order, and next is
	// the first of them that is not taken.
	open  *touchedBlock
	ended []*touchedBlock
	next  int
	// streams read for all of ended.
	streams []*touchStream
	// own are the instances of which the block in the making has an event of its own.
	own   map[string]bool
	block blockOf

	found   []mapping.Touch
	key     []byte
	events  []*mapping.Event
	letters []mapping.DeadLetter
}

// blockOf is which block it is.
type blockOf struct {
	tx     *cdc.Tx
	number uint32
}

func sameBlock(a, b *cdc.Change) bool { return a.Tx == b.Tx && a.Block == b.Block }

// touchedBlock is a block whose changes touch something. What it holds is of the size of the block.
type touchedBlock struct {
	mapper  *mapping.Mapper
	at      mapping.TouchAt
	targets []*blockTarget
	// change is its last one among those that are taken.
	change int
	// recorded says that what came of it may be in the store; resumed that the numbers begin behind that.
	recorded, resumed bool
	// said is the context at its last change.
	said   []byte
	source string
}

// blockTarget is what a block says of a target.
type blockTarget struct {
	*mapping.Target
	touches []mapping.Touch
	seen    map[string]bool
	broken  string
}

// touchBytes bounds the keys that are had at once, touchKeys their number.
const (
	touchKeys  = 10_000
	touchBytes = 2 << 20
)

// unstored is how many numbers are left out behind those that are in the store: more than events fit into memory, so that
// none of them was sent with an attempt that nobody remembers. Each connection has as many of its own: what was taken from
// the one before may still be under way when a block comes again, with others in it.
const unstored = 1 << 20

// first is the number of the first event that touches make of a block.
func (t *toucher) first() uint32 { return mapping.TouchedFrom + t.sessions%1024*unstored }

// isTouch says that an event was made by a touch.
func isTouch(ev *mapping.Event) bool { return ev.Position.Sub >= mapping.TouchedFrom }

// gather looks which of the changes touch something. Ends says that the last one's block ends with it.
func (t *toucher) gather(h *handler, epoch uint32, changes []cdc.Change, places []coalesce.Place, ends bool) {
	clear(t.ended)
	clear(t.streams)
	t.ended, t.streams, t.next = t.ended[:0], t.streams[:0], 0
	if t.open == nil && !h.fresh.Touches() && (h.mapper == nil || !h.mapper.Touches()) {
		return
	}
	// Who subscribes in these changes is not in the index yet.
	anybody := slices.ContainsFunc(changes, func(c cdc.Change) bool { return c.Op == cdc.Message })
	for i := range changes {
		c := &changes[i]
		if t.open != nil && (t.open.at.Tx != c.Tx || t.open.at.Block != c.Block) {
			t.end()
		}
		if c.Relation == nil {
			continue
		}
		var place coalesce.Place
		if places != nil {
			place = places[i]
		}
		t.find(h, epoch, c, place, anybody)
		if t.open != nil {
			t.open.at.Ordinal, t.open.at.Cut, t.open.change = c.Ordinal, place.Cut, i
		}
	}
	if t.open != nil && ends {
		t.end()
	}
	for _, b := range t.ended {
		b.recorded = changeOf(b.at.Position()).Compare(h.horizon) <= 0
	}
	t.plan()
}

// end closes the open block.
func (t *toucher) end() { t.ended, t.open = append(t.ended, t.open), nil }

// find adds what a change touches.
func (t *toucher) find(h *handler, epoch uint32, c *cdc.Change, place coalesce.Place, anybody bool) {
	m := h.mapperOf(c)
	if !m.Touches() {
		return
	}
	if c.Op == cdc.Truncate {
		if touching := m.Touching(c.Relation); len(touching) > 0 {
			h.app.log.Warn("a table was emptied whose rows touch others: these are not updated",
				"table", c.Relation.Table.String(), "relations", touching)
		}
		return
	}
	t.found = m.Touched(t.found[:0], c, place)
	for _, touch := range t.found {
		if !anybody && !h.keepsAll && !h.index.Wants(touch.Target.Event(), touch.Target.Resource()) {
			continue
		}
		if t.open == nil {
			t.open = &touchedBlock{mapper: m, at: mapping.TouchAt{Epoch: epoch, Tx: c.Tx, Block: c.Block, Sub: t.first()}}
		}
		t.open.add(touch, &t.key)
	}
	clear(t.found)
}

// add adds a touch, if it is new, with its values.
func (b *touchedBlock) add(touch mapping.Touch, key *[]byte) {
	i := slices.IndexFunc(b.targets, func(of *blockTarget) bool { return of.Target == touch.Target })
	if i < 0 {
		i = len(b.targets)
		b.targets = append(b.targets, &blockTarget{Target: touch.Target, seen: map[string]bool{}})
	}
	of := b.targets[i]
	if touch.Broken != "" {
		of.broken = touch.Broken
		return
	}
	*key = binary.AppendUvarint((*key)[:0], uint64(touch.Ascent))
	for _, v := range touch.Values {
		*key = append(binary.AppendUvarint(*key, uint64(len(v))), v...)
	}
	if of.seen[string(*key)] {
		return
	}
	of.seen[string(*key)] = true
	touch.Values, touch.Key = cloneAll(touch.Values), cloneAll(touch.Key)
	of.touches = append(of.touches, touch)
}

func cloneAll(values [][]byte) [][]byte {
	out := slices.Clone(values)
	for i := range out {
		out[i] = slices.Clone(out[i])
	}
	return out
}

// note takes the events that a change has made of its own.
func (t *toucher) note(c *cdc.Change, m *mapping.Mapper, place coalesce.Place, events []*mapping.Event, letters []mapping.DeadLetter) {
	if !m.Touches() {
		return
	}
	if at := (blockOf{c.Tx, c.Block}); t.block != at {
		t.block = at
		if len(t.own) > 0 {
			t.own = nil // clearing a large one would cost each small block after it
		}
	}
	if place.Only == coalesce.Both && len(t.ended) == 0 {
		return // it is alone, and touches nothing
	}
	note := func(resource, instance string) {
		if t.own == nil {
			t.own = map[string]bool{}
		}
		t.own[resource+"\x00"+instance] = true
	}
	for _, ev := range events {
		if m.IsOwn(ev) {
			note(ev.Resource, ev.Instance)
		}
	}
	for _, l := range letters {
		note(l.Resource, l.Instance)
	}
}

// endsAt is the block that ends with the change, if it touches something.
func (t *toucher) endsAt(change int) *touchedBlock {
	if t.next < len(t.ended) && t.ended[t.next].change == change {
		t.next++
		return t.ended[t.next-1]
	}
	return nil
}

// touch makes the updates of a block. They may be many, so what there is is handed on in between.
func (h *handler) touch(ctx context.Context, b *touchedBlock, changes []cdc.Change, to *taken) error {
	t := &h.toucher
	number := t.next - 1
	size := 0
	for _, of := range b.targets {
		if of.broken != "" {
			if err := h.touchFailed(ctx, b, of, number, of.broken); err != nil {
				return err
			}
		}
		s := t.streamOf(of.Target)
		for {
			row, err := s.next(ctx, h, number)
			if err != nil {
				return err
			}
			if row == nil {
				break
			}
			if row.failed != "" && row.all {
				s.skip(number)
				if err := h.touchFailed(ctx, b, of, number, row.failed); err != nil {
					return err
				}
				continue
			}
			if t.own[of.Resource()+"\x00"+row.instance] {
				continue
			}
			size += h.touchRow(b, s, number, row)
			if len(h.jobs)+len(h.letters) >= cdc.BatchRows || size >= relatedBytes {
				if err := h.flush(ctx, changes, to, false); err != nil {
					return err
				}
				size = 0
			}
		}
	}
	return nil
}

// touchRow makes the update of an instance, and returns the size of its row.
func (h *handler) touchRow(b *touchedBlock, s *touchStream, number int, row *touchedRow) (size int) {
	t := &h.toucher
	t.events, t.letters = t.events[:0], t.letters[:0]
	switch {
	case row.failed != "":
		l := b.at.DeadLetter(s.target, row.instance, s.target.Resource()+": "+row.failed)
		l.EventID = b.mapper.TouchedID(s.target, &b.at, row.instance)
		t.letters = append(t.letters, l)
	case row.row != nil:
		t.events, t.letters = b.mapper.MapTouched(t.events, t.letters, row.of, &b.at, row.row)
	}
	for _, ev := range t.events {
		ev.Context, ev.Source = b.said, b.source
		was, stored := s.recorded[ev.ID]
		if stored && was.Account != ev.Account {
			// It is another account's by now, which must not get what it was before. That it has moved is told to both behind this.
			continue
		}
		p := was.Position
		if !stored && b.recorded {
			// It had a dead letter: the same one, if it cannot be completed now either.
			p, stored = s.buried[buriedAt{number, ev.Instance}]
		}
		if stored {
			ev.Position = p
		}
		if h.match(ev) && !stored {
			b.at.Sub++
		}
	}
	for _, l := range t.letters {
		h.bury(b, s, number, l)
	}
	for _, v := range row.row {
		size += len(v.Data)
	}
	return size
}

// touchFailed makes one dead letter for all instances of which it is not known, or that cannot be read. The error is the
// context's.
func (h *handler) touchFailed(ctx context.Context, b *touchedBlock, of *blockTarget, number int, reason string) error {
	s := h.toucher.streamOf(of.Target)
	if b.recorded {
		if err := s.askStore(ctx, h, number, nil, []string{""}); err != nil {
			return err
		}
	}
	h.bury(b, s, number, b.at.DeadLetter(of.Target, "", of.Resource()+": "+reason))
	return nil
}

// bury keeps a dead letter that is not in the store already.
func (h *handler) bury(b *touchedBlock, s *touchStream, number int, l mapping.DeadLetter) {
	if _, again := s.buried[buriedAt{number, l.Instance}]; again && b.recorded {
		return
	}
	l.Position.Sub, l.Context = b.at.Sub, b.said
	b.at.Sub++
	h.letters = append(h.letters, l)
}

// checkTouch refuses touches of what is not in the log, before the database is asked for more.
func (a *App) checkTouch(ctx context.Context) error {
	problems, err := wait(ctx, a, "the tables of relations", func() (problem.List, error) { return touchable(ctx, a.cfg, a.def) })
	if err != nil {
		return err
	}
	return problems.Err()
}

func touchable(ctx context.Context, cfg *config.Config, def *mapping.Definition) (problem.List, error) {
	names := def.TouchedTables()
	if len(names) == 0 {
		return nil, nil
	}
	tables, err := cdc.RelatedTables(ctx, cfg.Database.ReadURL, names, "")
	if err != nil {
		return nil, err
	}
	return def.CheckTouch(tables), nil
}
