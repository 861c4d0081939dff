package mapping

import (
	"time"

	"github.com/rowhook/rowhook/cdc"
)

// Event is a named, mapped, identified change of one instance. It is made once, shared by all its deliveries, and never
// changed.
type Event struct {
	// ID begins with evt_ and is a function of the database, the commit, the place in the transaction, the event's name
	// and the instance: the same however often the change is sent.
	ID string
	// Type is the event's name: contact.update.
	Type     string
	Resource string
	// Instance is the key of the row as text: 42; the values of a composite key are joined with commas, with \ before a
	// comma or a \ in a value. Empty for a truncate.
	Instance string
	// Account is the customer that the instance belongs to. It is empty, and Accounted false, for resources without an
	// account, where a delete does not tell it, and where the audience is the admin: such events are the admin's only.
	Account   string
	Accounted bool
	// Source is who caused the transaction, as the application names it in its Context; empty where it does not. It is not
	// stored.
	Source string
	// Audience says who of the account and the admin the event is for.
	Audience Audience
	Position cdc.Position
	// Time is the commit's, UTC.
	Time time.Time
	// Data is the rendered representation, a JSON value. It is "null" for a truncate, and nil while the event is Incomplete.
	Data []byte
	// Previous is a JSON object of the members of Data that an update has changed, with what they were, in Data's shape.
	// Nil where nothing is known of that, and where it was not asked for.
	Previous []byte
	// Context is what the application said of the transaction, a JSON object that the transaction's events share; nil where
	// it said nothing. Whoever maps sets it: a row does not tell it.
	Context []byte
	// pending is what Data waits for; see Completion.
	pending *pending
	// Partial names the members of Data's row that could not be known, as JSON paths (address.city); usually nil.
	Partial []string
}

// Size is how much of what is sent is the event's own, in bytes: Data, Previous and Context.
func (e *Event) Size() int { return len(e.Data) + len(e.Previous) + len(e.Context) }

// DeadLetter is a change that could not be turned into an event. It is kept with its reason.
type DeadLetter struct {
	Resource string
	// Op is the operation, Instance the row's key as far as it is known.
	Op       cdc.Op
	Instance string
	Position cdc.Position
	Time     time.Time
	// Reason says what failed, where, and on what; it never holds the row's values.
	Reason string

	// EventID and Type are those of the event that was to be made. Undecided says that it is not known whether there was to
	// be one: a condition failed.
	EventID   string
	Type      string
	Undecided bool
	// Key are the names of the columns that Instance holds. Nil are those of the resource, as far as they are known; empty
	// says that Instance is not the key's text.
	Key []string
	// Known is what the log told of a row that is gone, by column, as far as it is small; nil is a null. It is for the
	// event's data and never shown.
	Known map[string]*string
	// Audience is that of the event that was to be made. Account is the account that it is for where that is ToAccount: its
	// row may be another one's by the time of a replay. It is empty where it is not known.
	Audience Audience
	Account  string
	// Context is the event's, as Event has it.
	Context []byte
	// Refused says that the event was made, and the store did not take it.
	Refused bool
	// Tries counts the replays that were tried.
	Tries int
}
