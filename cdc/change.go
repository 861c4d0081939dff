package cdc

import (
	"time"

	"github.com/jackc/pglogrepl"
)

// LSN is a position in the write-ahead log, in bytes.
// https://www.postgresql.org/docs/current/datatype-pg-lsn.html
type LSN = pglogrepl.LSN

// Op is what a Change did.
type Op uint8

// The kinds of change that the stream sends.
const (
	Insert Op = iota + 1
	Update
	Delete
	Truncate
	// Message is a pg_logical_emit_message of a prefix that the Config asks for.
	Message
)

// String is the name of the operation in lower case.
func (o Op) String() string {
	switch o {
	case Insert:
		return "insert"
	case Update:
		return "update"
	case Delete:
		return "delete"
	case Truncate:
		return "truncate"
	case Message:
		return "message"
	}
	return "unknown"
}

// Kind says what a Value holds.
type Kind uint8

// The kinds of value in a row image.
const (
	// Absent is a column of which the stream says nothing: a non-identity column of an old row, an unchanged TOAST
	// value in a new one is Unchanged instead.
	Absent Kind = iota
	// Null is SQL NULL.
	Null
	// Text is the value in Postgres' text output, under the settings of StartupParameters.
	Text
	// Unchanged is a TOASTed value that the update did not touch; its bytes are not sent.
	Unchanged
)

// Value is one column of a row image. Data is set for Text only, is shared by the values of the row, and must not be changed.
type Value struct {
	Kind Kind
	Data []byte
}

// Row is a row image, one Value per column of the Relation, in its order. A nil Row means that the image is not known.
type Row []Value

// Tx is a committed transaction. It is shared by its changes and never changed.
type Tx struct {
	// Commit is the LSN of the commit record's start, as told by Begin. It orders transactions, and the next
	// transaction's may equal this one's end.
	Commit LSN
	// Time is the commit's, in UTC, with microseconds.
	Time time.Time
	XID  uint32
}

// Change is one row message, truncated table or logical message of a committed transaction.
type Change struct {
	Op Op
	Tx *Tx
	// Ordinal numbers what the stream sent in the transaction, from 1, whatever became of it: it is the same when the
	// transaction is sent again.
	Ordinal uint32
	// Block numbers the blocks of the transaction, from 0: a block ends after BlockRows messages or BlockBytes, so that
	// a transaction sent again has the same ones.
	Block uint32
	// Relation is nil for Message.
	Relation *Relation
	// New is the row after Insert and Update.
	New Row
	// Old is the row before Update and Delete: whole when OldWhole is set (REPLICA IDENTITY FULL), else only the columns
	// of the identity (others Absent). For an Update under another identity it is there only when an identity column
	// changed or is TOASTed.
	Old      Row
	OldWhole bool
	// Unchanged says that New has values of the kind Unchanged.
	Unchanged bool
	// Prefix and Content are those of a Message.
	Prefix  string
	Content []byte

	// raw is the row message that New and Old are made of.
	raw []byte
}

// Fold lets go of the row images, which may be many times as large as the message that they are made of. Unfold makes
// them again in a Room, as they came. A change that was not read from a stream stays as it is.
func (c *Change) Fold() {
	if c.raw != nil {
		c.New, c.Old = nil, nil
	}
}

// Unfold makes the row images again after Fold.
func (c *Change) Unfold(in *Room) {
	if c.raw == nil || c.New != nil || c.Old != nil {
		return
	}
	// It has been read before, so it can be read again.
	if m, err := decodeOwned(c.raw, in); err == nil {
		c.New, c.Old = m.new, m.old
		c.patch()
	}
}

// patch makes nulls of an old row that is only called whole what they are in one that is not: not told.
func (c *Change) patch() {
	if c.Relation == nil || !c.Relation.patchy {
		return
	}
	c.OldWhole = false
	for i := range c.Old {
		if c.Old[i].Kind == Null {
			c.Old[i].Kind = Absent
		}
	}
}

// Room is what row images are made in that are let go of together.
type Room struct{ values []Value }

// keptRoom is how many values are kept room for.
const keptRoom = 16 << 10

// Reset lets go of all images.
func (r *Room) Reset() {
	clear(r.values)
	if r.values = r.values[:0]; cap(r.values) > keptRoom {
		r.values = nil
	}
}

// row is an empty image of n columns.
func (r *Room) row(n int) Row {
	if r == nil {
		return make(Row, n)
	}
	if cap(r.values)-len(r.values) < n {
		// The images before keep theirs.
		r.values = make([]Value, 0, max(n, keptRoom/8, min(2*cap(r.values), keptRoom)))
	}
	from := len(r.values)
	r.values = r.values[:from+n]
	return Row(r.values[from : from+n : from+n])
}

// Size is that of the change in the stream, in bytes.
func (c *Change) Size() int { return len(c.raw) + len(c.Content) }

// Blocks bound what may be coalesced. They are constants of the event's identity and never change.
const (
	BlockRows  = 10_000
	BlockBytes = 8 << 20
)

// Batch is what Handle gets: changes in commit order, of one or more transactions, or of a part of one. Rows are at most
// BatchRows and, but for a single larger row, BatchBytes. The batch and all it holds belong to the handler, which may keep
// changes: nothing of them is used again. It may be empty: then it says that the last block is over.
type Batch struct {
	Changes []Change
	// Session grows with every connection to the server: after a new one, changes may come again.
	Session uint64
	// Epoch is the first part of the changes' positions.
	Epoch uint32
	// Open says that the last block goes on in the next batch. Where it has ended, the batch says so as soon as the
	// transaction has, if there is nothing else to say.
	Open bool
	// Cut says that the transaction could not be read beyond this batch: what comes of its last block comes of a part of it.
	Cut bool
	// Bytes is the size of the row images and messages.
	Bytes int
}

// BatchRows and BatchBytes bound a Batch.
const (
	BatchRows  = 256
	BatchBytes = 1 << 20
)
