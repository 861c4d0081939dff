package sender

import (
	"context"
	"log/slog"
	"time"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// Config holds what is the same for all subscriptions, and the defaults of what they may override.
type Config struct {
	// MaxInFlight bounds the requests under way in all; PerSubscription those of one that does not say otherwise.
	MaxInFlight, PerSubscription int
	// Hold is how long a delivery may wait in memory.
	Hold time.Duration
	// Memory is the budget for what is in memory, in bytes. What is read back from the store has a quarter of it beside.
	Memory int64
	// Timeout, Retries and Ordering are the defaults of subscriptions' delivery options.
	Timeout  time.Duration
	Retries  []time.Duration
	Ordering string
	// RateLimit is the default of how many requests a target gets in a time; zero is no limit.
	RateLimit subscriptions.Rate
	// MaxBody is how large a message may be, in bytes, before its data is left out; 0 for any size.
	MaxBody int64
	// Debounce is how long changes of an instance are gathered to be sent as one, 0 for not at all: a default too.
	Debounce time.Duration
	// Admin and Accounts rule the targets of the admin's subscriptions and of all others.
	Admin, Accounts Guard
	// Egress is how all of their connections leave.
	Egress    Egress
	UserAgent string
	// Source names the database in CloudEvents, see SourceOf. Location is the URL of an instance in the application's API, for
	// thin bodies; empty where there is none. It may be nil, and is asked by several goroutines at once.
	Source   string
	Location func(resource, instance string) string
	// Nested says whether the member at the path of a resource's data is an object of mapped members, not one value. It may be nil:
	// then none is. It is called by one goroutine at a time.
	Nested func(resource string, path []string) bool
	// Told says whether the Previous of a resource's updates, where there is one, has all that they have changed. It may be nil, for
	// no; else the same holds as for Nested.
	Told func(resource string) bool
	// Touched says whether a resource has updates that other rows make, of instances as they are by then: such an update can stand before
	// the create of its instance. It may be nil, for no; else the same holds as for Nested.
	Touched func(resource string) bool
	Log     *slog.Logger
	// MayBegin, when set, is asked before attempts are begun: false says that another process may be sending by now, and
	// nothing is. It is asked with the Dispatcher locked, so it must be quick.
	MayBegin func() bool
	// OnAttempt, when set, is told of every attempt that ended. It must not block.
	OnAttempt func(Report)
	// Trace, when set, is called when an attempt begins, with all of its Report that is known by then. It returns the value of the
	// request's traceparent, empty for none, and a function that is called when the attempt has ended, with the whole Report. Both
	// are called by several goroutines at once, and must not block.
	Trace func(Report) (traceparent string, end func(Report))
	// OnDropped, when set, is told of every delivery that is dropped. It is called with the Dispatcher locked: it must not
	// block, nor call it.
	OnDropped func(DropReason)
	// OnRefused, when set, is told of every record that the store refused, once it is kept as a dead letter. It must not
	// block.
	OnRefused func()
	// DisableAfter is how long a target may take nothing, zero for ever. OnDead is told, once, of a subscription whose target has
	// taken nothing for so long, in a goroutine of its own. It is to disable the subscription; until then nothing is sent, and what
	// is submitted is kept.
	DisableAfter time.Duration
	OnDead       func(ctx context.Context, s *subscriptions.Subscription, d Dead)
	// TellAfter is how long a target may take nothing before others are told: by a record with TellFailing; zero for never.
	TellAfter time.Duration
	// OnGone is told, once, of a subscription whose target answered 410, in a goroutine of its own. It is to delete the
	// subscription and call Remove; until then nothing is sent, and what is submitted is kept. Without OnGone the
	// subscription is removed at once.
	OnGone func(ctx context.Context, s *subscriptions.Subscription)
}

func (c Config) envelope() Envelope {
	return Envelope{Source: c.Source, Location: c.Location, maxBody: c.MaxBody}
}

// Report tells of an attempt.
type Report struct {
	// Event is the one that was sent; of a batch, one that stands for all of its Messages, which are nil elsewhere.
	Event        *mapping.Event
	Messages     []*mapping.Event
	Subscription *subscriptions.Subscription
	Attempt      int
	// Replay says that it was sent again.
	Replay  bool
	Outcome Outcome
	// FallsBack says that the next attempt is the first at the subscription's fallback.
	FallsBack bool
	// Dropped is why there is no other attempt though the schedule is not over, 0 where that is not so.
	Dropped DropReason
	// Next is when the next attempt is due, zero when there is none.
	Next time.Time
}

// Job is an event and whom it goes to.
type Job struct {
	Event *mapping.Event
	To    []*subscriptions.Subscription
	// Stored says that the event's row is in the store already, from before a restart.
	Stored bool
	// Deferred lets the deliveries go through the store, in the place of the event's position among those of its instance
	// that are not finished. It may be behind that of events that were submitted before.
	Deferred bool
	// Replay sends the event again, see Resend.
	Replay bool
	// Attempts is how many were made before a Replay: its own are numbered from there on, and have the whole schedule.
	Attempts int
	// Keep lets the event be stored though it goes to nobody: that settles one part of the receipt. Where To has somebody it says
	// nothing.
	Keep bool
}

// Counts are numbers for metrics and status.
type Counts struct {
	// InFlight are requests under way, InMemory deliveries that are not settled, Bytes what they are charged for.
	InFlight, InMemory int
	Bytes              int64
	// StoredRows are deliveries in the store that are due at some time, StoredSubscriptions whose they are.
	StoredRows, StoredSubscriptions int
	// CircuitsOpen are the targets of which none is tried before a pause is over, CircuitsHalfOpen those of which one attempt is
	// under way to find out. Paused are those that asked for time.
	CircuitsOpen, CircuitsHalfOpen, Paused int
	// Unwritten are records that are not in the store yet.
	Unwritten int
}
