package sender

import (
	"context"
	"errors"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
)

// Status is what has become of a delivery. The numbers are the store's.
type Status int16

// The statuses. A delivery that is pending has no status yet: it is in memory, or due.
const (
	StatusDelivered Status = 1
	StatusFailed    Status = 2
	// StatusDropped: it is not to be sent, or not any more: see DropReason.
	StatusDropped Status = 3
)

// String is the status as the API shows it.
func (s Status) String() string {
	switch s {
	case StatusDelivered:
		return "delivered"
	case StatusFailed:
		return "failed"
	case StatusDropped:
		return "dropped"
	}
	return "pending"
}

// Op is what a Record asks for.
type Op uint8

// The ops.
const (
	// Finish writes a finished delivery, and removes its due row when it has one.
	Finish Op = iota + 1
	// Defer writes a due row.
	Defer
	// Reschedule changes a due row's time and attempts.
	Reschedule
	// Bury writes a dead letter.
	Bury
	// Amend writes what has become of a dead letter that was replayed, unless that is known already.
	Amend
	// Mark writes what is known of a subscription's target that takes nothing, and what others are to be told of it.
	Mark
	// Keep writes the event alone.
	Keep
	// Pause writes until when a subscription's target is left alone, at its request.
	Pause
	// Pass writes nothing. When it is settled, all records before it are durable.
	Pass
	// Fold writes the deliveries of Rows as dropped, and removes their due rows.
	Fold
)

// Record is one thing to be made durable.
type Record struct {
	Op Op
	// Event is that of the delivery. InsertEvent says that it is not in the store yet.
	Event       *mapping.Event
	InsertEvent bool
	// Subscription is its Key, Key the ordering key.
	Subscription int64
	Key          int64
	// Stored says that the delivery has a due row.
	Stored bool
	// Status is for Finish, and Dropped for StatusDropped; Attempts counts those that have ended; DueAt is for Defer and
	// Reschedule.
	Status   Status
	Dropped  DropReason
	Attempts int
	DueAt    time.Time
	// RetryReason is why the last attempt failed, empty when there was none.
	RetryReason string
	// Replay says that the delivery is sent again. Before is for Defer: how many of Attempts were made before that.
	Replay bool
	Before int
	// Fallback is for Defer and Reschedule: nil while it goes to the target.
	Fallback *Fallback
	// Behind says of a Reschedule that there is an older row of its key, which alone has a time.
	Behind bool
	// Outcome is that of the attempt that led to the record, nil when none did.
	Outcome *Outcome
	// Row is for Reschedule: whose due row it is, nil for the Event's own. Rows are for Fold.
	Row  *Row
	Rows []Row
	// Gap is for Finish: the next row of the key is due so long after its commit and from now at most, but not before now.
	Gap time.Duration
	// Trouble and Tell are for Mark. With TellRecovered, Trouble has what is over, and nothing is kept of the target.
	Trouble *Trouble
	Tell    Tell
	// Version is the subscription's, for Pause; DueAt is the end of the pause.
	Version int64
	// DeadLetter is for Bury and Amend. Closed is for Amend: how the letter ended; empty where it stays open, with its Reason.
	DeadLetter *mapping.DeadLetter
	Closed     string

	delivery *delivery
	settle   func()
}

// Due is a delivery that is due, read from the store: the oldest of its ordering key.
type Due struct {
	Event       *mapping.Event
	Key         int64
	Attempts    int
	RetryReason string
	// Replay says that it is sent again, and Before how many of Attempts were made before that.
	Replay bool
	Before int
	// Fallback is nil while it goes to the target.
	Fallback *Fallback
	// Lost says that the event is not in the store any more: it has only its Position and Time.
	Lost bool
	// At is when it was due. Behind leaves it out.
	At time.Time

	merged *merged
}

// Look bounds what Due returns.
type Look struct {
	// Now is the time at which deliveries are due or not.
	Now time.Time
	// Rows and Bytes, of the events' Size, are the most to return; one is returned whatever its size.
	Rows  int
	Bytes int64
	// PerKey is how many rows of a key are wanted with the one that is due, one after another in the order of their positions; 0
	// and 1 are that one alone. Rows counts all of them.
	PerKey int
	// Skip are ordering keys that are under way: nothing of them is wanted.
	Skip []int64
}

// Backlog is what the store holds for a subscription.
type Backlog struct {
	Subscription int64
	// Keys holds the number of due rows by ordering key; nil when there are too many of them.
	Keys map[int64]int
	Rows int
}

// Paused is until when a target asked to be left alone, and of which version of its subscription.
type Paused struct {
	Version int64
	Until   time.Time
}

// ErrNotOwner says that another process sends now, and nothing was written.
var ErrNotOwner = errors.New("another process has taken over")

// RefusedError says that the store will never take a record of those given, because of what it holds, and that nothing
// was written.
type RefusedError struct {
	// Reason says why, without the record's values.
	Reason string
}

func (e *RefusedError) Error() string { return "the store refuses a record: " + e.Reason }

// Store keeps events and deliveries. Write is called by one goroutine, Due, Behind and Whole by another.
type Store interface {
	// Write makes the records durable, all or none, or returns ErrNotOwner or a RefusedError. Of one ordering key only the oldest due row
	// is due at its time; the others wait until it is finished. So a Replay that is older than what waits goes before it. The end of a
	// Replay is kept apart from that of the delivery's first time, and each of them. The same records may be written again after an error: it
	// may not have been known that they were.
	Write(ctx context.Context, records []Record) error
	// Due returns deliveries of the subscription that are due, one of each ordering key, or as many as the look wants, the longest due first;
	// and when to look again: look.Now when there is more, else when the next one is due, zero for never.
	Due(ctx context.Context, subscription int64, look Look) ([]Due, time.Time, error)
	// Behind returns the rows of ordering keys, which are in ascending order, behind a position for each: key by key, the oldest first,
	// as far as look's Rows and Bytes allow; and whether there may be more. Their events have no Data and no Context.
	Behind(ctx context.Context, subscription int64, keys []int64, after []cdc.Position, look Look) (rows []Due, more bool, err error)
	// Whole returns events whole, in the given order, as far as so many bytes of their Size allow, and one in any case. Those that
	// are not in the store are left out.
	Whole(ctx context.Context, rows []Row, bytes int64) ([]*mapping.Event, error)
	// Backlogs returns what is stored, for subscriptions that have something, with at most maxKeys keys in all.
	Backlogs(ctx context.Context, maxKeys int) ([]Backlog, error)
	// Failing returns what is known of targets that take nothing, by subscription, as it was marked.
	Failing(ctx context.Context) (map[int64]Trouble, error)
	// Paused returns which targets asked to be left alone, by subscription, also those whose time is over.
	Paused(ctx context.Context) (map[int64]Paused, error)
}
