package app

import (
	"errors"
	"log/slog"
	"slices"
	"time"

	"github.com/rowhook/rowhook/cdc"
)

// spoken is what the application says inside its transactions, by messages in the stream: that one is muted, and what the
// context of its events is. Nothing of it outlives its transaction, and a transaction that comes again says it again. It
// belongs to the source's goroutine.
//
// A transaction is muted as a whole or not at all: the message comes before its first change. One that comes later could
// only cut off half of what the transaction does to an instance, which is told as one event. A context holds from its place
// on, and an event has the one at its own place: that of its instance's last change.
type spoken struct {
	log   *slog.Logger
	mutes *mutes
	// tx is the transaction whose changes came last, block their block; muted what was said of it. changed says that a change
	// of a row has come of it.
	tx      *cdc.Tx
	block   uint32
	muted   bool
	changed bool
	// contexts are those said at places whose events may be still to come, in the order of the stream.
	contexts []placedContext
	// complaints are about messages that cannot be taken, by reason.
	complaints map[error]*complaint
}

// placedContext holds from its place on, to the end of the transaction or the next one.
type placedContext struct {
	tx             *cdc.Tx
	block, ordinal uint32
	json           []byte
	source         string
}

// reset forgets everything: transactions that are not over come again.
func (s *spoken) reset() {
	*s = spoken{log: s.log, mutes: s.mutes, complaints: s.complaints}
}

// hear takes what is said in the batch, and takes out the changes of rows that are muted: nothing is gathered, read or mapped
// for them. It returns how many they were. Subscriptions' announcements stay.
func (s *spoken) hear(b *cdc.Batch) (muted int) {
	kept := 0
	last := false
	for i := range b.Changes {
		c := &b.Changes[i]
		if c.Tx != s.tx {
			s.tx, s.muted, s.changed = c.Tx, false, false
		}
		s.block = c.Block
		if last = c.Op != cdc.Message && s.muted; last {
			s.changed = true
			muted++
			s.mutes.add(c.Tx, placeOf(c, b.Epoch))
			continue
		}
		if c.Op != cdc.Message {
			s.changed = true
		} else if c.Prefix == messagePrefix {
			s.take(c, b.Epoch)
		}
		if kept < i {
			b.Changes[kept] = *c
		}
		kept++
	}
	clear(b.Changes[kept:])
	b.Changes = b.Changes[:kept]
	if last {
		// What the batch ends in is not there any more, and what was before it is over.
		b.Open, b.Cut = false, false
	}
	return muted
}

func placeOf(c *cdc.Change, epoch uint32) cdc.Position {
	return cdc.Position{Epoch: epoch, Commit: c.Tx.Commit, Ordinal: c.Ordinal}
}

var errLate = errors.New("it comes behind changes of its transaction")

// take takes a message of the application's.
func (s *spoken) take(c *cdc.Change, epoch uint32) {
	m, err := parseMessage(c.Content)
	if err != nil {
		s.complain(c, epoch, err)
		return
	}
	if m.mute != nil && *m.mute != s.muted {
		if s.changed {
			s.complain(c, epoch, errLate)
		} else {
			s.muted = *m.mute
		}
	}
	if !m.speaks {
		return
	}
	s.contexts = append(s.contexts, placedContext{tx: c.Tx, block: c.Block, ordinal: c.Ordinal, json: m.context, source: m.source})
}

// context is what holds at a change's place. Changes have to come in the order of their places.
func (s *spoken) context(c *cdc.Change) (json []byte, source string) {
	for len(s.contexts) > 1 && s.contexts[1].holds(c) {
		s.contexts = s.contexts[1:]
	}
	if len(s.contexts) > 0 && s.contexts[0].tx == c.Tx && s.contexts[0].holds(c) {
		return s.contexts[0].json, s.contexts[0].source
	}
	return nil, ""
}

// holds says that it was said before the change.
func (p *placedContext) holds(c *cdc.Change) bool {
	if p.tx != c.Tx {
		return p.tx.Commit < c.Tx.Commit
	}
	return p.ordinal < c.Ordinal
}

// settle forgets the contexts of events that have been made: all but those of the block that is held, whose transaction is
// given, and the last one of the transaction that may go on.
func (s *spoken) settle(held *cdc.Tx) {
	keep := 0
	for i := range s.contexts {
		p := &s.contexts[i]
		switch {
		case p.tx != s.tx:
			keep = i + 1 // over
		case held == nil || p.block < s.block:
			keep = i // followed by others, or not
		}
	}
	s.contexts = slices.Delete(s.contexts, 0, keep)
}

// complaintEvery is how often one and the same complaint is logged at most: an application that does something wrong
// does so all the time.
const complaintEvery = 10 * time.Second

// complaint counts what is not told of each time.
type complaint struct {
	told  time.Time
	since int
}

// hints say what to do.
var hints = map[error]string{
	errNoObject: `write {"mute": true} or {"source": "…"}`,
	errNoUTF8:   `write other characters as \u00fc`,
	errMute:     `write {"mute": true}`,
	errTooLong:  "leave out what receivers do not need: it is sent with every event of the transaction",
	errLate:     "write it as the first statement of the transaction, or send the changes before it in a transaction of their own",
}

// complain tells that a message, or its mute, has no effect.
func (s *spoken) complain(c *cdc.Change, epoch uint32, reason error) {
	if s.complaints == nil {
		s.complaints = map[error]*complaint{}
	}
	n := s.complaints[reason]
	if n == nil {
		n = &complaint{}
		s.complaints[reason] = n
	}
	n.since++
	if time.Since(n.told) < complaintEvery {
		return
	}
	attrs := []any{"reason", reason.Error(), "position", placeOf(c, epoch).String(), "xid", c.Tx.XID, "bytes", len(c.Content), "hint", hints[reason]}
	if n.since > 1 {
		attrs = append(attrs, "and_others", n.since-1)
	}
	text := "a message of the application is left out"
	if reason == errLate {
		text = "mute is left out"
	}
	s.log.Warn(text, attrs...)
	*n = complaint{told: time.Now()}
}
