package coalesce

import "github.com/rowhook/rowhook/cdc"

// Wanted says what is made of a table's changes: net ones, each of them, both, or neither.
type Wanted struct {
	Net, Each bool
	// By are further keys by which net changes are wanted; nil is none. What is the same for one key may be something else
	// for another: two rows can exchange one of them.
	By *Keys
}

// Keys are keys of a table, each the indexes of its columns.
type Keys [][]int

// Only says which of the two a change in a Part is.
type Only uint8

const (
	// Both is a change that is alone in its block: it is each change and the net one.
	Both Only = iota
	// Net is a net change.
	Net
	// Each is a change as it came, beside others of its block.
	Each
)

// Place says which change of a Part it is.
type Place struct {
	Only Only
	// By is zero for a net change of the relation's own key, else the number of its key in Wanted.By, from 1.
	By int
	// From is zero, or the ordinal from which the net changes of the table are gathered: of a TRUNCATE, or of the first
	// change under another definition of the table. What was before it is told by itself.
	From uint32
	// Cut is zero, or the ordinal of the last change that is known of a block that could not be read to its end.
	Cut uint32
}

// Part are changes that can be mapped now. It and its rows are valid until the next call of Next.
type Part struct {
	// Changes are in the order of the stream, each at its last message. Those with the same ordinal stand together.
	Changes []cdc.Change
	// Places are those of the Changes; nil where each is alone in its block.
	Places []Place
	// Continued says that the part is of a block that began in an earlier batch, and of nothing else but messages; Ends
	// that it is the last one of that block. It may be empty then.
	Continued, Ends bool
	// Open says that changes of the last one's block follow, in this batch or the next one.
	Open bool
	// Last says that nothing more of the batch follows.
	Last bool
	// Rest says that more of what the last change's block comes to is in the next part.
	Rest bool
}

// Stage takes batches and hands out parts. It is for one goroutine.
type Stage struct {
	// Wanted is asked for changes of rows. Holds says whether there are net changes in the change's transaction at all:
	// else its changes are handed on as they come.
	Wanted func(*cdc.Change) Wanted
	Holds  func(*cdc.Change) bool

	batch *cdc.Batch
	// next is the first change of the batch that is not taken.
	next  int
	block block
	part  Part
	// changes and places are room for those of a part.
	changes []cdc.Change
	places  []Place
	bytes   int
}

// Put gives the stage the next batch. The parts of the one before must have been taken.
func (s *Stage) Put(b *cdc.Batch) { s.batch, s.next = b, 0 }

// Reset forgets everything: what was held comes again.
func (s *Stage) Reset() {
	s.release()
	s.block.reset()
	s.batch = nil
}

// Holding is the transaction of which a block is held that goes on in the next batch; nil when there is none.
func (s *Stage) Holding() *cdc.Tx {
	if s.block.active {
		return s.block.tx
	}
	return nil
}

// WillHold says whether the batch that was put ends within a block that begins in it and will be held.
func (s *Stage) WillHold() bool {
	n := len(s.batch.Changes)
	if n == 0 || !s.batch.Open {
		return false
	}
	last := &s.batch.Changes[n-1]
	return s.Holds(last) && !s.block.takes(last)
}

// Next returns the next part of the batch, or nil.
func (s *Stage) Next() *Part {
	if s.batch == nil {
		return nil
	}
	s.release()
	if s.alone() {
		s.block.shrink()
		s.part = Part{Changes: s.batch.Changes, Last: true}
		s.batch = nil
		return &s.part
	}
	s.part = Part{}
	s.fill()
	s.part.Changes, s.part.Places = s.changes, s.places
	s.part.Last = s.next == len(s.batch.Changes) && !s.block.over && (s.batch.Open || !s.block.active)
	if s.part.Last {
		if s.block.active {
			s.block.fold()
		}
		s.batch = nil
	}
	if len(s.changes) == 0 && !s.part.Ends {
		return nil
	}
	return &s.part
}

// alone says that every change of the batch is a block by itself: most are.
func (s *Stage) alone() bool {
	if s.next > 0 || s.block.active || s.batch.Open || s.batch.Cut {
		return false
	}
	changes := s.batch.Changes
	for i := 1; i < len(changes); i++ {
		if changes[i].Tx == changes[i-1].Tx && changes[i].Block == changes[i-1].Block {
			return false
		}
	}
	return true
}

// fill takes from the batch and the block until the part is full, the batch is empty, or a block is over that began in
// an earlier batch.
func (s *Stage) fill() {
	changes := s.batch.Changes
	for len(s.changes) < cdc.BatchRows && s.bytes < cdc.BatchBytes {
		if s.block.over {
			if s.emit(); s.block.over {
				return
			}
			continued := s.block.continued
			s.block.reset()
			if continued {
				s.part.Continued, s.part.Ends = true, true
				return
			}
			continue
		}
		if s.next == len(changes) {
			if !s.block.active || s.batch.Open {
				return
			}
			s.block.end(s.batch.Cut)
			continue
		}
		c := &changes[s.next]
		if s.block.active && !s.block.takes(c) {
			s.block.end(false)
			continue
		}
		s.next++
		follows := s.follows(c)
		switch {
		case c.Op == cdc.Message, c.Relation == nil, !s.Holds(c):
			s.add(*c, Place{Only: Both})
			s.part.Open = follows
		case !s.block.active && !follows && !(s.next == len(changes) && s.batch.Cut):
			s.add(*c, Place{Only: Both})
			s.part.Open = false
		default:
			if !s.block.active {
				s.block.begin(c)
			}
			s.block.add(c, s.Wanted(c))
		}
	}
}

// follows says whether the change before next is not the last of its block.
func (s *Stage) follows(c *cdc.Change) bool {
	if s.next < len(s.batch.Changes) {
		n := &s.batch.Changes[s.next]
		return n.Tx == c.Tx && n.Block == c.Block
	}
	return s.batch.Open
}

func (s *Stage) add(c cdc.Change, p Place) {
	s.changes = append(s.changes, c)
	s.places = append(s.places, p)
	s.bytes += c.Size()
}

// emit moves items of the block that is over to the part, as many as fit. Those of one ordinal stay together.
func (s *Stage) emit() {
	b := &s.block
	s.part.Continued = b.continued
	for b.emitted < len(b.items) {
		it := &b.items[b.emitted]
		full := len(s.changes) >= cdc.BatchRows || s.bytes >= cdc.BatchBytes
		if full && (b.emitted == 0 || b.items[b.emitted-1].ordinal != it.ordinal) {
			s.part.Open, s.part.Rest = b.each, true
			return
		}
		b.emitted++
		c, p := b.change(it)
		s.add(c, p)
		s.part.Open = b.each && b.emitted < len(b.items)
	}
	b.over = false
}

// release lets go of the last part's rows.
func (s *Stage) release() {
	clear(s.changes)
	s.part, s.changes, s.places, s.bytes = Part{}, s.changes[:0], s.places[:0], 0
	s.block.foldAgain()
}
