package client

import (
	"context"
	"net/http"
	"time"
)

// The states of a Status.
const (
	// StateReplicating: what is committed is sent at once.
	StateReplicating = "replicating"
	// StateCatchingUp: it streams, and what it reads was committed a while ago.
	StateCatchingUp = "catching_up"
	// StatePaused: nothing is sent, as somebody asked for it.
	StatePaused = "paused"
	// StateHeld: only a person can decide how to go on.
	StateHeld = "held"
	// StateWaiting: something that it needs is away, or has to be mended.
	StateWaiting  = "waiting"
	StateStarting = "starting"
	// StateStandby: another process reads the slot.
	StateStandby = "standby"
	// StateServing is that of a proxy alone.
	StateServing = "serving"
)

// The severities of a StatusFinding, the worst first.
const (
	SeverityError   = "error"
	SeverityWarning = "warning"
	SeverityInfo    = "info"
)

// Status tells how one rowhook is: whether it replicates, how far behind, what fails, what waits, and what to do.
type Status struct {
	Version string `json:"version"`
	// Process tells this process from others that share the slot: host and process id.
	Process   string    `json:"process"`
	StartedAt time.Time `json:"started_at"`
	// Role is active, standby, proxy or starting; State one of the states above, since Since.
	Role  string    `json:"role"`
	State string    `json:"state"`
	Since time.Time `json:"since"`
	// Ready is what /readyz says.
	Ready bool `json:"ready"`
	// Summary is what is going on, in a sentence.
	Summary string `json:"summary"`
	// Findings are what is not as it should be, the worst first; empty when all is well.
	Findings []StatusFinding `json:"findings"`
	// What is nil is not known yet, or not known to this process.
	Database      *StatusDatabase     `json:"database"`
	Slot          *StatusSlot         `json:"slot"`
	Stream        *StatusStream       `json:"stream"`
	Rates         *StatusRates        `json:"rates"`
	Series        []StatusStep        `json:"series"`
	Deliveries    StatusDeliveries    `json:"deliveries"`
	DeadLetters   StatusDeadLetters   `json:"dead_letters"`
	EventLog      *StatusEventLog     `json:"event_log"`
	Store         StatusStore         `json:"store"`
	Subscriptions StatusSubscriptions `json:"subscriptions"`
	// Failing are the subscriptions whose targets take nothing, the longest first: at most 20.
	Failing   []StatusFailing  `json:"failing"`
	Resources []StatusResource `json:"resources"`
	// Jobs are those under way: at most 20.
	Jobs []Job `json:"jobs"`
	// MeasuredAt is when the numbers of the store were read; nil before they were.
	MeasuredAt *time.Time `json:"measured_at"`
}

// Worst is the severity of the worst finding, "" where there is none.
func (s *Status) Worst() string {
	worst := ""
	for _, f := range s.Findings {
		switch {
		case f.Severity == SeverityError:
			return SeverityError
		case f.Severity == SeverityWarning:
			worst = SeverityWarning
		case worst == "":
			worst = f.Severity
		}
	}
	return worst
}

// StatusFinding is one thing that is not as it should be.
type StatusFinding struct {
	Severity string `json:"severity"`
	// Code names the kind: slot_lost, target_failing.
	Code string `json:"code"`
	// What is so, So what follows, Mend the next step: a command, SQL, or what to change. The last two may be empty.
	What string `json:"what"`
	So   string `json:"so"`
	Mend string `json:"mend"`
	// Since is nil where it is not known.
	Since *time.Time `json:"since"`
}

// StatusDatabase is the database that the changes come from.
type StatusDatabase struct {
	Name string `json:"name"`
	// ServerVersion is such as 15.12.
	ServerVersion    string `json:"server_version"`
	SystemIdentifier string `json:"system_identifier"`
	Timeline         int    `json:"timeline"`
	Environment      string `json:"environment"`
	// ClockOffsetSeconds is how much its clock is ahead of this process's; nil before it was measured.
	ClockOffsetSeconds *float64 `json:"clock_offset_seconds"`
}

// StatusSlot is the replication slot, as it was measured last.
type StatusSlot struct {
	Name string `json:"name"`
	// Active says that some process reads it.
	Active bool `json:"active"`
	// WALStatus is the server's word: reserved, extended, unreserved, lost; empty where there is no slot.
	WALStatus string `json:"wal_status"`
	// ConfirmedLSN is acknowledged, RestartLSN is where what is kept begins, CurrentLSN the end of the log. Empty where unknown.
	ConfirmedLSN string `json:"confirmed_lsn"`
	RestartLSN   string `json:"restart_lsn"`
	CurrentLSN   string `json:"current_lsn"`
	// LagBytes are not acknowledged, RetainedBytes are kept on the server.
	LagBytes      int64 `json:"lag_bytes"`
	RetainedBytes int64 `json:"retained_bytes"`
	// MaxRetainedBytes is database.max_wal_lag.
	MaxRetainedBytes int64 `json:"max_retained_bytes"`
	// SafeWALBytes may be written before the slot is in danger; nil where nothing bounds it.
	SafeWALBytes *int64 `json:"safe_wal_bytes"`
	// Failover says that the slot is kept on standbys too; nil before Postgres 17.
	Failover   *bool     `json:"failover"`
	MeasuredAt time.Time `json:"measured_at"`
}

// StatusStream is what is read.
type StatusStream struct {
	// LagSeconds is the age of the oldest change that is read and not durably dealt with, or, where none is, of the last one that was
	// read while there is more to read.
	LagSeconds float64 `json:"lag_seconds"`
	// LastMessageAt is when the server said something last, LastCommitAt the time of the last commit that was read whole.
	LastMessageAt *time.Time `json:"last_message_at"`
	LastCommitAt  *time.Time `json:"last_commit_at"`
	// UnsettledBatches hold back the acknowledged position. The oldest has a change of OldestUnsettledAt.
	UnsettledBatches  int        `json:"unsettled_batches"`
	OldestUnsettledAt *time.Time `json:"oldest_unsettled_at"`
	// Reconnects are the connections made after the first one.
	Reconnects int `json:"reconnects"`
}

// StatusRates are means over the last WindowSeconds.
type StatusRates struct {
	WindowSeconds       int     `json:"window_seconds"`
	ChangesPerSecond    float64 `json:"changes_per_second"`
	EventsPerSecond     float64 `json:"events_per_second"`
	DeliveriesPerSecond float64 `json:"deliveries_per_second"`
	FailuresPerSecond   float64 `json:"failures_per_second"`
	// LatencySeconds is from commit to the answer of a first attempt, AttemptSeconds from the start of a request to its answer.
	LatencySeconds StatusQuantiles `json:"latency_seconds"`
	AttemptSeconds StatusQuantiles `json:"attempt_seconds"`
}

// StatusQuantiles are nil where nothing happened.
type StatusQuantiles struct {
	P50 *float64 `json:"p50"`
	P90 *float64 `json:"p90"`
	P99 *float64 `json:"p99"`
}

// StatusStep is what happened in ten seconds, which ended at At.
type StatusStep struct {
	At time.Time `json:"at"`
	// Changes were read, Events matched; Delivered and Failed are attempts.
	Changes   int64 `json:"changes"`
	Events    int64 `json:"events"`
	Delivered int64 `json:"delivered"`
	Failed    int64 `json:"failed"`
	// LagBytes is what was not acknowledged at the end.
	LagBytes int64 `json:"lag_bytes"`
	// P50 and P99 are those of the latency, in seconds; nil where nothing was delivered.
	P50 *float64 `json:"p50"`
	P99 *float64 `json:"p99"`
}

// StatusDeliveries is what waits.
type StatusDeliveries struct {
	InFlight         int   `json:"in_flight"`
	InMemory         int   `json:"in_memory"`
	MemoryBytes      int64 `json:"memory_bytes"`
	MemoryLimitBytes int64 `json:"memory_limit_bytes"`
	// Due are in the store and to be sent. The oldest is of a change of OldestDueAt.
	Due         int        `json:"due"`
	OldestDueAt *time.Time `json:"oldest_due_at"`
	// NextAttemptAt is when the store is looked into next.
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	CircuitsOpen  int        `json:"circuits_open"`
	// Paused are subscriptions whose targets asked for time.
	Paused int `json:"paused"`
}

// StatusDeadLetters are the open ones.
type StatusDeadLetters struct {
	Open     int        `json:"open"`
	OldestAt *time.Time `json:"oldest_at"`
}

// StatusEventLog is what is kept of the past.
type StatusEventLog struct {
	// Partitions are days.
	Partitions   int   `json:"partitions"`
	RowsEstimate int64 `json:"rows_estimate"`
	// Bytes has all that is kept by the day: events, attempts and outcomes, with indexes.
	Bytes            int64      `json:"bytes"`
	OldestAt         *time.Time `json:"oldest_at"`
	RetentionSeconds int64      `json:"retention_seconds"`
}

// StatusStore is where rowhook keeps what it knows.
type StatusStore struct {
	// Bytes is nil before it was measured.
	Bytes *int64 `json:"bytes"`
	// Where is same, in the source's database, or other.
	Where string `json:"where"`
}

// StatusSubscriptions counts subscriptions by state.
type StatusSubscriptions struct {
	Active   int `json:"active"`
	Pending  int `json:"pending"`
	Disabled int `json:"disabled"`
	Expired  int `json:"expired"`
	Shadow   int `json:"shadow"`
	// FeedOnly are those of the above without a target.
	FeedOnly int `json:"feed_only"`
	// Failing are the active ones whose targets take nothing: all of them, also those that Status.Failing leaves out.
	Failing int `json:"failing"`
}

// StatusFailing is a subscription whose target takes nothing.
type StatusFailing struct {
	ID string `json:"id"`
	// Account is nil in one of the admin.
	Account    *string   `json:"account"`
	Name       string    `json:"name"`
	TargetHost string    `json:"target_host"`
	Since      time.Time `json:"since"`
	// Error is why the last attempt failed: timeout, http_status; Status what the target answered, nil where it did not.
	Error  string `json:"error"`
	Status *int   `json:"status"`
	// Waiting are its deliveries that wait, and NextAttemptAt when the next is tried. Nil where another process sends.
	Waiting       *int       `json:"waiting"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	// Circuit is open or half_open, empty where it is closed.
	Circuit string `json:"circuit"`
}

// StatusResource is a resource of the config.
type StatusResource struct {
	Name  string `json:"name"`
	Table string `json:"table"`
	// Fit says that the mapping fits the table; Reason why not.
	Fit    bool   `json:"fit"`
	Reason string `json:"reason,omitempty"`
}

// Status tells how the rowhook is that answers. It needs an admin's token.
func (c *Client) Status(ctx context.Context) (*Status, error) {
	at, err := c.address("/status")
	if err != nil {
		return nil, err
	}
	s := new(Status)
	if _, err := c.do(ctx, http.MethodGet, at, nil, s); err != nil {
		return nil, err
	}
	return s, nil
}
