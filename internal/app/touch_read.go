package app

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
)

// touchStream reads the rows of a target that are touched by blocks, in the order of the blocks: keys by the thousand, rows
// by the page, so that it has the same size however many there are.
type touchStream struct {
	target *mapping.Target
	txs    []*cdc.Tx
	// blocks are those that are numbered.
	blocks []*touchedBlock
	// request finds the keys; nil where they are known from the changes.
	request *cdc.RootsRequest
	keys    []cdc.RootKey
	more    bool
	// failed is why the keys cannot be found.
	failed string

	page []touchedRow
	at   int
	// done is the number of the first block that is not skipped.
	done int
	// recorded are the positions of the events that are in the store, by id, of the keys; buried the dead letters.
	recorded map[string]store.Touched
	buried   map[buriedAt]cdc.Position
}

type buriedAt struct {
	number   int
	instance string
}

// touchedRow is a row that a block touches.
type touchedRow struct {
	number   int
	instance string
	// of says what the row holds; row is nil where there is none now.
	of  *mapping.TargetRows
	row cdc.Row
	// failed says why it cannot be read, all that this is not for the row itself.
	failed string
	all    bool
}

// plan makes the streams of the blocks that end. Keys that the changes tell are not looked for, unless what is in the
// store has to be found by them.
func (t *toucher) plan() {
	var txs []*cdc.Tx
	for _, b := range t.ended {
		if len(txs) == 0 || txs[len(txs)-1] != b.at.Tx {
			txs = append(txs, b.at.Tx)
		}
	}
	for _, b := range t.ended {
		for _, of := range b.targets {
			s := t.streamOf(of.Target)
			if s == nil {
				s = &touchStream{target: of.Target, txs: txs, blocks: t.ended}
				t.streams = append(t.streams, s)
			}
			look := b.recorded && len(of.touches) > 0
			for i := range of.touches {
				look = look || of.touches[i].Key == nil
			}
			if look && s.request == nil {
				s.request, s.more = &cdc.RootsRequest{Roots: of.Roots, Max: touchKeys, MaxBytes: touchBytes}, true
			}
		}
	}
	for number, b := range t.ended {
		for _, of := range b.targets {
			t.streamOf(of.Target).ask(number, of.touches)
		}
	}
}

func (t *toucher) streamOf(target *mapping.Target) *touchStream {
	for _, s := range t.streams {
		if s.target == target {
			return s
		}
	}
	return nil
}

// ask adds what a block touches.
func (s *touchStream) ask(number int, touches []mapping.Touch) {
	if q := s.request; q != nil {
		if q.Asked == nil {
			q.Asked = make([]cdc.RootsAsked, len(q.Roots.Ascents))
		}
		for i := range touches {
			a := &q.Asked[touches[i].Ascent]
			a.Numbers, a.Values = append(a.Numbers, number), append(a.Values, touches[i].Values)
		}
		return
	}
	seen := map[string]bool{}
	for i := range touches {
		// Several relations may lead to one row.
		if instance := s.target.Instance(touches[i].Key); !seen[instance] {
			seen[instance] = true
			s.keys = append(s.keys, cdc.RootKey{Number: number, Key: touches[i].Key})
		}
	}
}

// next returns the next row that the block touches, or nil. The error is the context's.
func (s *touchStream) next(ctx context.Context, h *handler, number int) (*touchedRow, error) {
	if number < s.done {
		return nil, nil
	}
	for s.at == len(s.page) {
		if len(s.keys) == 0 && s.more {
			if err := s.readKeys(ctx, h); err != nil {
				return nil, err
			}
			if s.failed != "" {
				s.failed, s.page, s.at = "", []touchedRow{{number: number, failed: s.failed, all: true}}, 0
				break
			}
		}
		if len(s.keys) == 0 {
			if s.more {
				continue
			}
			return nil, nil
		}
		if s.keys[0].Number != number {
			return nil, nil
		}
		if err := s.readRows(ctx, h, number); err != nil {
			return nil, err
		}
	}
	if row := &s.page[s.at]; row.number == number {
		s.at++
		return row, nil
	}
	return nil, nil
}

// skip leaves out what the block touches beyond.
func (s *touchStream) skip(number int) {
	s.done = number + 1
	for s.at < len(s.page) && s.page[s.at].number == number {
		s.at++
	}
	n := 0
	for n < len(s.keys) && s.keys[n].Number == number {
		n++
	}
	s.keys = s.keys[n:]
	if q := s.request; q != nil && (q.After == nil || q.After.Number <= number) {
		q.After = &cdc.RootKey{Number: number, Key: make([][]byte, len(q.Roots.Key))}
	}
}

// readKeys reads the next keys, and what the store has of them.
func (s *touchStream) readKeys(ctx context.Context, h *handler) error {
	for slow := 0; ; {
		keys, more, err := h.toucher.rows.ReadRoots(ctx, s.txs, s.request)
		var refused *cdc.LookupError
		if err == nil {
			if len(keys) > 0 {
				last := keys[len(keys)-1]
				s.request.After = &last
			}
			// Values that differ as texts may be equal, and find a row twice.
			s.keys, s.more = slices.CompactFunc(keys, func(a, b cdc.RootKey) bool {
				return a.Number == b.Number && slices.EqualFunc(a.Key, b.Key, bytes.Equal)
			}), more
			return s.findRecorded(ctx, h)
		}
		if !errors.As(err, &refused) {
			return err
		}
		if slow++; refused.Slow && slow < slowTries {
			continue
		}
		s.failed = refused.Reason
		return nil
	}
}

// findRecorded asks the store for the events of the keys: what is there keeps its position, whatever else is touched by
// now, and what is not gets one behind all of them.
func (s *touchStream) findRecorded(ctx context.Context, h *handler) error {
	s.recorded, s.buried = nil, nil
	for from := 0; from < len(s.keys); {
		number := s.keys[from].Number
		end := from
		for end < len(s.keys) && s.keys[end].Number == number {
			end++
		}
		b, keys := s.blocks[number], s.keys[from:end]
		if from = end; !b.recorded {
			continue
		}
		ids, instances := make([]string, len(keys)), make([]string, len(keys), len(keys)+1)
		for i := range keys {
			instances[i] = s.target.Instance(keys[i].Key)
			ids[i] = b.mapper.TouchedID(s.target, &b.at, instances[i])
		}
		if err := s.askStore(ctx, h, number, ids, append(instances, "")); err != nil {
			return err
		}
	}
	return nil
}

// askStore adds what the store has of a block's events and dead letters.
func (s *touchStream) askStore(ctx context.Context, h *handler, number int, ids, instances []string) error {
	type answer struct {
		events  map[string]store.Touched
		buried  map[string]cdc.Position
		highest uint32
	}
	b := s.blocks[number]
	found, _, err := retry(ctx, h, "look for recorded events", func() (r answer, _ struct{}, err error) {
		r.events, r.buried, r.highest, err = h.store.TouchedOf(ctx, changeOf(b.at.Position()), s.target.Resource(), ids, instances)
		return r, struct{}{}, err
	})
	if err != nil {
		return err
	}
	if s.recorded == nil {
		s.recorded, s.buried = map[string]store.Touched{}, map[buriedAt]cdc.Position{}
	}
	maps.Copy(s.recorded, found.events)
	for instance, p := range found.buried {
		s.buried[buriedAt{number, instance}] = p
	}
	if !b.resumed && found.highest > 0 {
		b.at.Sub = max(b.at.Sub, found.highest+unstored)
	}
	b.resumed = true
	return nil
}

// keyedRows are Lookups of rows by their keys.
type keyedRows struct {
	request cdc.LookupRequest
	rows    []cdc.Row
}

func (k *keyedRows) Start() []cdc.LookupRequest {
	k.rows = make([]cdc.Row, len(k.request.Keys))
	return []cdc.LookupRequest{k.request}
}

func (k *keyedRows) Next() []cdc.LookupRequest { return nil }

func (k *keyedRows) Row(_, key int, row cdc.Row) { k.rows[key] = row }

// readRows reads the rows of the next keys. Those that have events of their own in the block that has ended are not read.
func (s *touchStream) readRows(ctx context.Context, h *handler, number int) error {
	t, of := &h.toucher, s.target.Rows()
	for slow := 0; ; {
		if t.size == 0 {
			t.size = cdc.BatchRows
		}
		n := min(t.size, len(s.keys))
		s.page, s.at = s.page[:0], 0
		read := &keyedRows{request: cdc.LookupRequest{Lookup: of.Lookup}}
		places, asked := map[string]int{}, make([]int, 0, n)
		for _, k := range s.keys[:n] {
			row := touchedRow{number: k.Number, instance: s.target.Instance(k.Key), of: of}
			if k.Number == number && t.own[s.target.Resource()+"\x00"+row.instance] {
				continue
			}
			at, again := places[row.instance]
			if !again {
				at = len(read.request.Keys)
				places[row.instance] = at
				read.request.Keys = append(read.request.Keys, k.Key)
			}
			s.page, asked = append(s.page, row), append(asked, at)
		}
		fail := func(reason string, all bool) {
			for i := range s.page {
				s.page[i].failed, s.page[i].all = reason, all
			}
			s.keys = s.keys[n:]
		}
		if of.Broken != "" {
			fail(of.Broken, true)
			return nil
		}
		if len(s.page) == 0 {
			s.keys = s.keys[n:]
			return nil
		}
		limit := min(relatedBytes, t.maxRow)
		if n == 1 {
			limit = t.maxRow
		}
		err := t.rows.ReadRelated(ctx, s.txs, read, limit)
		var refused *cdc.LookupError
		switch {
		case err == nil:
			for i, at := range asked {
				s.page[i].row = read.rows[at]
			}
			s.keys, t.size = s.keys[n:], min(2*t.size, cdc.BatchRows)
			return nil
		case !errors.As(err, &refused):
			return err
		case refused.TooMuch && n > 1:
			t.size = n / 2
		case refused.Slow && slow+1 < slowTries:
			slow++
		default:
			fail(refused.Reason, !refused.TooMuch)
			return nil
		}
	}
}
