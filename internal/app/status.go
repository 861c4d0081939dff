package app

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/store"
)

const (
	// failingShown and jobsShown bound the lists of a status.
	failingShown = 20
	jobsShown    = 20
	// measureTimeout bounds what is asked of the store for a status: it is there when the store is not.
	measureTimeout = 3 * time.Second
	// What was read of the store is shown for measureLeast, and for measureShare times as long as it took, however many ask: reading it takes
	// a hundredth of a connection. But people wait for what they look at, and a reading that is slow only because the machine is busy costs
	// little: after measureMost it is read again, as long as that is measureHard, a tenth of a connection, at most. Sizes are for sizesLeast.
	measureLeast = time.Second
	measureShare = 100
	measureMost  = 10 * time.Second
	measureHard  = 10
	sizesLeast   = time.Minute
	// lateAfter is how old what is read has to be to be called late.
	lateAfter = 10 * time.Second
)

// remembered is what was read of something that costs more than a look at a variable, for as long as it may be shown.
type remembered[T any] struct {
	mu      sync.Mutex
	value   *T
	until   time.Time
	failed  error
	failing time.Time
}

// get returns what read gave last, nil before it gave anything, and why it could not be read now. One reads at a time.
func (r *remembered[T]) get(least time.Duration, read func() (*T, error)) (*T, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	began := time.Now()
	if began.Before(r.until) {
		return r.value, r.failed
	}
	v, err := read()
	took := time.Since(began)
	r.until, r.failed = time.Now().Add(shownFor(least, took)), err
	if err == nil {
		r.value, r.failing = v, time.Time{}
	} else {
		r.until = time.Now().Add(max(measureLeast, took))
		if r.failing.IsZero() {
			r.failing = began
		}
	}
	return r.value, err
}

// shownFor is how long what took so long to read is shown.
func shownFor(least, took time.Duration) time.Duration {
	return max(least, min(measureShare*took, measureMost), measureHard*took)
}

// contents is what is in the store.
type contents struct {
	*store.Counts
	failing []store.FailingTarget
	jobs    []client.Job
}

// measures is what a status shows of the store.
type measures struct {
	contents remembered[contents]
	sizes    remembered[store.Sizes]
}

// measured reads what is in the store, or returns what was read a moment ago; nil where nothing could be read yet.
func (a *App) measured(ctx context.Context) (*contents, error) {
	st := a.store.Load()
	if st == nil {
		return nil, nil
	}
	return a.measures.contents.get(measureLeast, func() (*contents, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), measureTimeout)
		defer cancel()
		counts, err := st.Count(ctx)
		if err != nil {
			return nil, err
		}
		c := &contents{Counts: counts, jobs: []client.Job{}}
		if c.failing, err = st.FailingTargets(ctx, failingShown); err != nil {
			return nil, err
		}
		running, err := st.RunningJobs(ctx, jobsShown)
		if err != nil {
			return nil, err
		}
		for _, j := range running {
			c.jobs = append(c.jobs, *shownJob(j))
		}
		return c, nil
	})
}

// sizes are those of the store, a minute old at most; nil where they are not known yet.
func (a *App) sizes(ctx context.Context) *store.Sizes {
	st := a.store.Load()
	if st == nil {
		return nil
	}
	z, err := a.measures.sizes.get(sizesLeast, func() (*store.Sizes, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), measureTimeout)
		defer cancel()
		return st.Measure(ctx)
	})
	if err != nil {
		a.log.Debug("the store cannot be measured", "error", err)
	}
	return z
}

// startTrouble is what a start waits for.
type startTrouble struct {
	what  string
	err   error
	since time.Time
}

// noteTrouble notes what a start waits for; anew where it is something else than before.
func (a *App) noteTrouble(what string, err error, anew bool) {
	t := &startTrouble{what: what, err: err, since: time.Now()}
	if was := a.trouble.Load(); was != nil && was.what == what && !anew {
		t.since = was.since
	}
	a.trouble.Store(t)
}

// process tells this process from others.
func process() string {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	return fmt.Sprintf("%s:%d", host, os.Getpid())
}

// status is how this rowhook is.
func (a *App) status(ctx context.Context) *client.Status {
	now := time.Now()
	ready, repl, cfg := a.readiness(), a.replication(), a.live.Load()
	s := &client.Status{Version: a.opts.Version, Process: process(), StartedAt: a.began.UTC(), Role: ready.Role, Ready: ready.Ready,
		Findings: []client.StatusFinding{}, Series: []client.StatusStep{}, Failing: []client.StatusFailing{}, Jobs: []client.Job{},
		Resources: []client.StatusResource{}}
	s.Database, s.Slot = a.databaseStatus(repl), a.slotStatus(repl)
	found, countError := a.measured(ctx)
	a.storeStatus(ctx, s, found)
	unfit := map[string]string{}
	if m := a.mapper.Load(); m != nil {
		unfit = m.Unfit()
	}
	for _, r := range cfg.Mapping.Resources {
		reason := unfit[r.Name]
		s.Resources = append(s.Resources, client.StatusResource{Name: r.Name, Table: r.Table.String(), Fit: reason == "", Reason: reason})
	}
	if !a.opts.ProxyAlone {
		s.Stream = a.streamStatus(repl, now)
		s.Series, s.Rates = a.ring.series(now)
	}
	a.deliveryStatus(s, found)
	s.State, s.Since = a.state(s, repl)
	s.Findings = a.findings(s, repl, found, countError)
	s.Summary = summary(s)
	return s
}

func (a *App) databaseStatus(repl cdc.Status) *client.StatusDatabase {
	cat := a.database.Load()
	if cat == nil {
		return nil
	}
	d := &client.StatusDatabase{Name: cat.Database, ServerVersion: fmt.Sprintf("%d.%d", cat.ServerVersion/10000, cat.ServerVersion%10000),
		SystemIdentifier: cat.SystemID, Timeline: int(cat.Timeline), Environment: a.cfg.Database.Environment}
	if !repl.Lag.At.IsZero() {
		offset := repl.Lag.Clock.Seconds()
		d.ClockOffsetSeconds = &offset
	}
	return d
}

func (a *App) slotStatus(repl cdc.Status) *client.StatusSlot {
	lag := repl.Lag
	if lag.At.IsZero() {
		return nil
	}
	s := &client.StatusSlot{Name: a.cfg.Database.Slot, Active: lag.Active, WALStatus: lag.WALStatus, ConfirmedLSN: lsnText(lag.Confirmed),
		RestartLSN: lsnText(lag.Restart), CurrentLSN: lsnText(lag.Current), LagBytes: lag.Behind, RetainedBytes: lag.Retained,
		MaxRetainedBytes: a.live.Load().Database.MaxWALLag, Failover: lag.Failover, MeasuredAt: lag.At.UTC()}
	if lag.Bounded {
		safe := lag.Safe
		s.SafeWALBytes = &safe
	}
	return s
}

func lsnText(l cdc.LSN) string {
	if l == 0 {
		return ""
	}
	return l.String()
}

func (a *App) streamStatus(repl cdc.Status, now time.Time) *client.StatusStream {
	s := &client.StatusStream{UnsettledBatches: repl.Unsettled, Reconnects: max(int(repl.Connections)-1, 0),
		LastMessageAt: timeOrNil(repl.Heard), LastCommitAt: timeOrNil(repl.LastCommit)}
	oldest := time.Time{}
	if u := a.unsettled.Load(); u != nil {
		oldest = u.oldest()
	}
	s.OldestUnsettledAt = timeOrNil(oldest)
	switch {
	case !oldest.IsZero():
		s.LagSeconds = max(now.Sub(oldest).Seconds(), 0)
	case repl.Phase == cdc.Streaming && !repl.LastCommit.IsZero() && repl.Lag.Current > repl.Received:
		// There is more in the log than was read when the slot was measured.
		s.LagSeconds = max(repl.Lag.At.Sub(repl.LastCommit).Seconds(), 0)
	case repl.Phase != cdc.Streaming && repl.Phase != cdc.Standby && !repl.LastCommit.IsZero():
		s.LagSeconds = max(now.Sub(repl.LastCommit).Seconds(), 0)
	}
	return s
}

// storeStatus fills in what is known of the store.
func (a *App) storeStatus(ctx context.Context, s *client.Status, found *contents) {
	s.Store.Where = "same"
	if a.storeApart() {
		s.Store.Where = "other"
	}
	if z := a.sizes(ctx); z != nil {
		size := z.Store
		s.Store.Bytes = &size
		s.EventLog = &client.StatusEventLog{Partitions: z.Days, RowsEstimate: z.Events, Bytes: z.Log, OldestAt: timeOrNil(z.Oldest),
			RetentionSeconds: int64(a.live.Load().Retention.For.Seconds())}
	}
	if found == nil {
		return
	}
	s.MeasuredAt = timeOrNil(found.At)
	s.DeadLetters = client.StatusDeadLetters{Open: found.Letters, OldestAt: timeOrNil(found.OldestLetter)}
	s.Subscriptions = client.StatusSubscriptions{Active: found.States["active"], Pending: found.States["pending"], Disabled: found.States["disabled"],
		Expired: found.States["expired"], Shadow: found.States["shadow"], FeedOnly: found.FeedOnly, Failing: found.Failing}
	s.Jobs = found.jobs
	s.Deliveries.Due, s.Deliveries.OldestDueAt = found.Due, timeOrNil(found.OldestDue)
	for _, f := range found.failing {
		shown := client.StatusFailing{ID: f.ID, Account: f.Account, Name: f.Name, TargetHost: f.TargetHost, Since: f.Since, Error: f.Reason}
		if f.Status != 0 {
			status := f.Status
			shown.Status = &status
		}
		s.Failing = append(s.Failing, shown)
	}
}

// deliveryStatus fills in what the dispatcher knows, where this process sends.
func (a *App) deliveryStatus(s *client.Status, found *contents) {
	s.Deliveries.MemoryLimitBytes = a.live.Load().Limits.Memory
	d := a.dispatcher.Load()
	if d == nil || s.Role != "active" {
		return
	}
	c := d.Counts()
	v := &s.Deliveries
	v.InFlight, v.InMemory, v.MemoryBytes, v.Due = c.InFlight, c.InMemory, c.Bytes, c.StoredRows
	v.CircuitsOpen, v.Paused = c.CircuitsOpen+c.CircuitsHalfOpen, c.Paused
	if c.StoredRows > 0 {
		v.NextAttemptAt = timeOrNil(d.Next())
	}
	if found == nil {
		return
	}
	keys := make([]int64, len(found.failing))
	for i, f := range found.failing {
		keys[i] = f.Key
	}
	standings := d.Standings(keys)
	for i, key := range keys {
		standing := standings[key]
		waiting := standing.Waiting
		s.Failing[i].Waiting, s.Failing[i].NextAttemptAt, s.Failing[i].Circuit = &waiting, timeOrNil(standing.Next), standing.Circuit
	}
}

// state is what it is doing, and since when.
func (a *App) state(s *client.Status, repl cdc.Status) (string, time.Time) {
	if a.opts.ProxyAlone {
		if s.Ready {
			return client.StateServing, a.began.UTC()
		}
		return client.StateWaiting, a.began.UTC()
	}
	if a.dispatcher.Load() == nil {
		t := a.trouble.Load()
		switch {
		case t == nil:
			return client.StateStarting, a.began.UTC()
		case cdc.IncidentOf(t.err) != nil:
			return client.StateHeld, t.since.UTC()
		}
		return client.StateWaiting, t.since.UTC()
	}
	since := repl.Since.UTC()
	switch repl.Phase {
	case cdc.Streaming:
		if p := a.still.now.Load(); p != nil {
			return client.StatePaused, p.Since.UTC()
		}
		if s.Stream.LagSeconds > lateAfter.Seconds() {
			return client.StateCatchingUp, since
		}
		return client.StateReplicating, since
	case cdc.Standby:
		return client.StateStandby, since
	case cdc.Blocked:
		return client.StateHeld, since
	case cdc.Stopped:
		return client.StateStarting, since
	}
	return client.StateWaiting, since
}
