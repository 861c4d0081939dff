package cdc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"
)

// Handler takes the batches, one at a time. It returns as soon as it has taken responsibility for the batch, waiting
// only for room; the receipt is settled when everything that came of the batch is durable. An error means that the
// batch was not taken, no part of it: the connection is made anew and it comes again.
//
// Begin is called when a connection has begun to stream, before its first batch, and End after its last one.
type Handler interface {
	Begin(ctx context.Context) error
	End()
	Handle(ctx context.Context, b *Batch) (*Receipt, error)
}

// Phase is what a Source is doing.
type Phase string

// The phases.
const (
	// Connecting is also waiting for a server that is away.
	Connecting Phase = "connecting"
	// Standby means that another process reads the slot.
	Standby Phase = "standby"
	// Streaming is the aim.
	Streaming Phase = "streaming"
	// Blocked needs a person: see Status.Reason.
	Blocked Phase = "blocked"
	// Stopped is before and after Run.
	Stopped Phase = "stopped"
)

// Status is what a Source is doing now.
type Status struct {
	Phase Phase
	// Reason says why it is not streaming, with the mend; empty while it is.
	Reason string
	Since  time.Time
	// Received and Acknowledged are positions of the current or last connection.
	Received, Acknowledged LSN
	// Degraded says what is not read though it streams, with the mend; usually empty.
	Degraded string
	// Unsettled is the number of batches whose receipts are not settled.
	Unsettled int
	// Connections counts the connections made.
	Connections uint64
}

// Source reads one slot. Use New, Prepare, then Run.
type Source struct {
	cfg         Config
	handler     Handler
	checkpoints Checkpoints

	mu      sync.Mutex
	catalog *Catalog
	status  Status
	ledger  *ledger
}

// New makes a Source; it does nothing yet. The checkpoints are not used for a temporary slot.
func New(cfg Config, h Handler, c Checkpoints) (*Source, error) {
	if err := cfg.validate(); err != nil {
		return nil, &Error{Class: Refused, What: err.Error()}
	}
	if cfg.DrainTimeout == 0 {
		cfg.DrainTimeout = 10 * time.Second
	}
	if cfg.MaxMessage == 0 {
		cfg.MaxMessage = 64 << 20
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Source{cfg: cfg, handler: h, checkpoints: c, status: Status{Phase: Stopped, Since: time.Now()}}, nil
}

// Status may be called from any goroutine.
func (s *Source) Status() Status {
	s.mu.Lock()
	st, l := s.status, s.ledger
	s.mu.Unlock()
	if l != nil {
		st.Received, st.Acknowledged = l.positions()
		st.Unsettled = l.unsettled()
	}
	return st
}

func (s *Source) setCatalog(c *Catalog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catalog = c
}

func (s *Source) setPhase(p Phase, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.Phase != p {
		s.status.Since = time.Now()
	}
	s.status.Phase, s.status.Reason = p, reason
}

const (
	minPause = 500 * time.Millisecond
	maxPause = 5 * time.Second
	// blockedPause is between looks at a state that only a person can change.
	blockedPause = 30 * time.Second
)

// Run streams until ctx is done, connecting again whenever the connection is lost, and returns when all that was taken
// is settled and acknowledged, or after Config.DrainTimeout. It does not return because the server is away, or because
// of a gap: it says so in Status and goes on trying. Prepare must have succeeded once.
func (s *Source) Run(ctx context.Context) error {
	defer s.setPhase(Stopped, "")
	if s.cfg.Temporary {
		// Whatever is temporary is gone with the connection: it cannot be made again without a gap.
		err := s.session(ctx, 1)
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	pause := minPause
	last := ""
	for n := uint64(1); ; n++ {
		s.setPhase(Connecting, last)
		err := s.session(ctx, n)
		if ctx.Err() != nil {
			return nil
		}
		var ended *streamEnded
		if errors.As(err, &ended) && ended.lived > maxPause {
			pause = minPause
		}
		wait := pause/2 + rand.N(pause)
		phase, level := Connecting, slog.LevelWarn
		switch {
		case SQLState(err) == "55006":
			// The slot is read by another process: we are its standby.
			phase, level, wait = Standby, slog.LevelInfo, minPause+rand.N(minPause)
		case ClassOf(err) == Gap || ClassOf(err) == Refused:
			phase, level, wait = Blocked, slog.LevelError, blockedPause
		}
		reason := err.Error()
		s.setPhase(phase, reason)
		if reason != last {
			s.cfg.Log.Log(ctx, level, "replication is not streaming", "phase", phase, "reason", reason)
		}
		last = reason
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		}
		pause = min(pause*2, maxPause)
	}
}

// session is one connection, from connecting to its end.
func (s *Source) session(ctx context.Context, n uint64) error {
	start, cp, err := s.position(ctx)
	if err != nil {
		return err
	}
	st, err := s.openStream(ctx, start)
	if err != nil {
		return err
	}
	defer st.close()
	if s.cfg.Temporary {
		start = st.start
	}
	l := newLedger(start)
	s.mu.Lock()
	s.ledger = l
	s.status.Connections = n
	s.mu.Unlock()
	s.setPhase(Streaming, "")
	s.cfg.Log.Info("streaming", "slot", s.cfg.Slot, "from", start.String())

	// The handler's goroutine and the checkpoint's end before the session does.
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	batches := make(chan sent, 1)
	handlerErr := make(chan error, 1)
	var wg sync.WaitGroup
	sql := &shared{connect: s.cfg.connectSQL}
	defer sql.close()
	wg.Go(func() { handlerErr <- s.handleLoop(ctx, l, newResolver(sql), batches) })
	wg.Go(func() { s.watchLoop(work, sql) })
	if !s.cfg.Temporary {
		wg.Go(func() { s.checkpointLoop(work, l, cp) })
	}
	r := &reader{Source: s, stream: st, ledger: l, batches: batches, handlerErr: handlerErr,
		assemble: newAssembler(n, max(cp.Epoch, 1), l, s.cfg.Prefixes), started: time.Now()}
	err = r.run(ctx)
	close(batches)
	if err != nil {
		// A server that shuts down waits for the connection to be closed, and the handler perhaps for the server.
		st.close()
	}
	if !r.handlerDone {
		<-handlerErr
	}
	l.abandon()
	// What was taken is settled before the next connection is made, so that nothing is under way twice; and before the
	// last word to the server, so that nothing comes again after a clean stop.
	r.drain(ctx, err == nil)
	stopWork()
	wg.Wait()
	r.probes.Wait()
	return err
}

// position is where to start: the checkpoint, where it is ahead of the slot. An LSN of zero lets the slot decide.
func (s *Source) position(ctx context.Context) (LSN, Checkpoint, error) {
	if s.cfg.Temporary {
		return 0, Checkpoint{}, nil
	}
	conn, err := s.cfg.connectSQL(ctx)
	if err != nil {
		return 0, Checkpoint{}, err
	}
	defer closeConn(conn)
	s.mu.Lock()
	cat := s.catalog
	s.mu.Unlock()
	fresh := &Catalog{}
	if err := s.identify(ctx, fresh); err != nil {
		return 0, Checkpoint{}, err
	}
	if err := s.checkServer(ctx, conn, fresh); err != nil {
		return 0, Checkpoint{}, err
	}
	info, err := s.slot(ctx, conn)
	if err != nil {
		return 0, Checkpoint{}, s.trouble("look for the replication slot", err)
	}
	cp, known, err := s.checkpoints.LoadCheckpoint(ctx, s.cfg.Slot)
	if err != nil {
		return 0, Checkpoint{}, &Error{Class: Unavailable, What: "read the checkpoint", Err: cause(err)}
	}
	if !known || info == nil {
		// Prepare made both: what is gone since then is a gap, and ensureSlot names it.
		if known {
			if err := s.ensureSlot(ctx, conn, cat); err != nil {
				return 0, Checkpoint{}, err
			}
			return 0, Checkpoint{}, &Error{Class: Unavailable, What: "the replication slot " + s.cfg.Slot + " was gone for a moment"}
		}
		return 0, Checkpoint{}, &Error{Class: Gap, What: "the checkpoint of slot " + s.cfg.Slot + " is gone from the store",
			Mend: "restart rowhook to begin anew at the slot's position"}
	}
	if err := s.sameSource(cp, fresh); err != nil {
		return 0, Checkpoint{}, err
	}
	if err := info.usable(s.cfg.Slot, fresh.Database, s.cfg.Forget); err != nil {
		return 0, Checkpoint{}, err
	}
	if missing, err := s.unpublished(ctx, conn); err != nil {
		return 0, Checkpoint{}, s.trouble("read the publication's tables", err)
	} else if len(missing) > 0 {
		return 0, Checkpoint{}, s.notPublished(missing)
	}
	var end LSN
	var text string
	if err := conn.QueryRow(ctx, `select pg_current_wal_flush_lsn()::text`).Scan(&text); err != nil {
		return 0, Checkpoint{}, s.trouble("read the log's position", err)
	}
	if err := end.Scan(text); err != nil {
		return 0, Checkpoint{}, err
	}
	start := info.Confirmed
	switch {
	case cp.LSN > end:
		return 0, Checkpoint{}, &Error{Class: Gap,
			What: fmt.Sprintf("the checkpoint %s is beyond the end of the server's log, %s: the database has been restored to an earlier state", cp.LSN, end),
			Mend: "to go on from what the database has now: stop rowhook, run\n    " + s.cfg.Forget + "\n    and start it again"}
	case cp.LSN > start:
		start = cp.LSN
	}
	return start, cp, nil
}

// sent is a batch on its way to the handler.
type sent struct {
	batch *Batch
	entry *entry
}

// handleLoop gives batches to the handler. It ends when the channel is closed, when ctx is done, or with an error.
func (s *Source) handleLoop(ctx context.Context, l *ledger, res *resolver, batches <-chan sent) error {
	defer s.handler.End()
	if err := s.handler.Begin(ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	for b := range batches {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := res.resolve(ctx, b.batch); err != nil {
			return err
		}
		receipt, err := s.handler.Handle(ctx, b.batch)
		if err != nil {
			return fmt.Errorf("handle changes: %w", err)
		}
		l.settle(b.entry, receipt)
	}
	return nil
}

// checkpointPause is the least time between checkpoints.
const checkpointPause = time.Second

// checkpointLoop writes the checkpoint after settled events, and at no other time: what came to nothing costs only the
// reading of some log again, and a write for a position that a keepalive moved would itself move it, for ever.
func (s *Source) checkpointLoop(ctx context.Context, l *ledger, cp Checkpoint) {
	tick := time.NewTicker(checkpointPause)
	defer tick.Stop()
	seen := uint64(0)
	save := func() {
		settled, low := l.settledBatches()
		if low <= cp.LSN || settled == seen {
			return
		}
		next := cp
		next.LSN = low
		// One try: the next tick is the second one.
		wctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		if err := s.checkpoints.SaveCheckpoint(wctx, next); err != nil {
			s.cfg.Log.Warn("checkpoint not written", "error", cause(err))
			return
		}
		cp, seen = next, settled
	}
	for {
		select {
		case <-ctx.Done():
			save()
			return
		case <-tick.C:
			save()
		}
	}
}
