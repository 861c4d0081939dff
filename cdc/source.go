package cdc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
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
	// Epoch is that connection's: the first part of the positions of its changes. 0 before the first one.
	Epoch uint32
	// Degraded says what is not read though it streams, with the mend; usually empty.
	Degraded string
	// DegradedKind names it: TablesUnpublished or CountedAsStandby; empty with Degraded.
	DegradedKind string
	// Incident is what has to be accepted to go on, nil when there is none.
	Incident *Incident
	// Lag is what the slot keeps of the log.
	Lag Lag
	// Unsettled is the number of batches whose receipts are not settled.
	Unsettled int
	// Connections counts the connections made.
	Connections uint64
	// LastCommit is the commit time of the last transaction that the current or last connection read whole; zero before.
	LastCommit time.Time
	// Heard is when that connection heard from the server last, as of the last report to it; zero before.
	Heard time.Time
}

// Source reads one slot. Use New, Prepare, then Run.
type Source struct {
	cfg         Config
	handler     Handler
	checkpoints Checkpoints

	// busy is held, by sending to it, while the slot is read, made or replaced.
	busy chan struct{}
	// wake ends a pause.
	wake chan struct{}

	mu      sync.Mutex
	tables  []TableName
	catalog *Catalog
	status  Status
	ledger  *ledger
	// met is the incident that the last stream ran into, for those that no look at the server shows.
	met *Incident
	// interrupt ends the session of now, which then settles what it has taken; nil between sessions.
	interrupt func()

	// attended is when the reader ran last.
	attended atomic.Pointer[time.Time]
	// heard is when the server said something, in ns since 1970, as of the last report.
	heard atomic.Int64
	// napped counts the reader's rests.
	napped atomic.Uint64
	// looseTold says that a message that is not transactional was told of.
	looseTold sync.Once
}

// New makes a Source; it does nothing yet. The checkpoints are not used for a temporary slot.
func New(cfg Config, h Handler, c Checkpoints) (*Source, error) {
	if err := cfg.validate(); err != nil {
		return nil, &Error{Class: Refused, What: err.Error()}
	}
	if cfg.SlotTimeout == 0 {
		cfg.SlotTimeout = 20 * time.Second
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
	return &Source{cfg: cfg, handler: h, checkpoints: c, tables: cfg.Tables, busy: make(chan struct{}, 1), wake: make(chan struct{}, 1),
		status: Status{Phase: Stopped, Since: time.Now()}}, nil
}

// acquire waits until nobody else reads, makes or replaces the slot.
func (s *Source) acquire(ctx context.Context) error {
	select {
	case s.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Source) release() { <-s.busy }

// Status may be called from any goroutine.
func (s *Source) Status() Status {
	s.mu.Lock()
	st, l := s.status, s.ledger
	s.mu.Unlock()
	if l != nil {
		st.Received, st.Acknowledged = l.positions()
		st.Unsettled = l.unsettled()
		st.LastCommit = l.committed()
	}
	if at := s.heard.Load(); at != 0 {
		st.Heard = time.Unix(0, at)
	}
	return st
}

func (s *Source) setCatalog(c *Catalog) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.catalog = c
}

func (s *Source) setPhase(p Phase, reason string, in *Incident) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.status.Phase != p {
		s.status.Since = time.Now()
	}
	s.status.Phase, s.status.Reason, s.status.Incident = p, reason, in
}

const (
	minPause = 500 * time.Millisecond
	maxPause = 5 * time.Second
	// maxBlockedPause is between looks at a state that only a person can change.
	maxBlockedPause = 30 * time.Second
	// sameAgain is how often a stream may end in the same way before it is taken for a state that does not pass.
	sameAgain = 3
)

// Run streams until ctx is done, connecting again whenever the connection is lost, and returns when all that was taken
// is settled and acknowledged, or after Config.DrainTimeout. It does not return because the server is away, or because
// of an Incident: it says so in Status and goes on trying. Prepare must have succeeded once.
func (s *Source) Run(ctx context.Context) error {
	defer s.setPhase(Stopped, "", nil)
	defer s.measured(ctx)()
	if s.cfg.Temporary {
		// Whatever is temporary is gone with the connection: it cannot be made again without a gap.
		err := s.session(ctx, 1)
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	var p pauses
	for n := uint64(1); ; n++ {
		s.setPhase(Connecting, p.last, nil)
		if s.acquire(ctx) != nil {
			return nil
		}
		err := s.session(ctx, n)
		s.release()
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, errInterrupted) {
			continue
		}
		fresh := err.Error() != p.last
		phase, level, wait := p.next(err)
		in := IncidentOf(err)
		s.setPhase(phase, p.last, in)
		s.mu.Lock()
		s.met = in
		s.mu.Unlock()
		if fresh {
			s.cfg.Log.Log(ctx, level, "replication is not streaming", "phase", phase, "reason", p.last)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.wake:
		case <-time.After(wait):
		}
	}
}

// pauses decides how long to wait between sessions: what comes again and again is tried more and more rarely.
type pauses struct {
	pause time.Duration
	last  string
	again int
}

func (p *pauses) next(err error) (Phase, slog.Level, time.Duration) {
	var ended *streamEnded
	lived := errors.As(err, &ended) && ended.lived > maxPause
	if text := err.Error(); text != p.last || lived {
		p.last, p.again = text, 0
	} else {
		p.again++
	}
	if p.pause == 0 || lived {
		p.pause = minPause
	}
	phase, level, limit := Connecting, slog.LevelWarn, maxPause
	switch state := SQLState(err); {
	case state == "55006":
		// The slot is read by another process: we are its standby, and ready to take over soon.
		return Standby, slog.LevelInfo, minPause + rand.N(minPause)
	case ClassOf(err) == Gap || ClassOf(err) == Refused:
		phase, level, limit = Blocked, slog.LevelError, maxBlockedPause
	case state != "" && !passes(state) && p.again >= sameAgain:
		// The server would read its log again and again, up to the same place.
		phase, limit = Blocked, maxBlockedPause
	}
	wait := p.pause/2 + rand.N(p.pause)
	p.pause = min(p.pause*2, limit)
	return phase, level, wait
}

// passes says whether an error of the server passes by itself: connection, resources, operator's intervention.
// https://www.postgresql.org/docs/current/errcodes-appendix.html
func passes(state string) bool {
	switch state[:min(2, len(state))] {
	case "08", "53", "57":
		return true
	}
	return false
}

// session is one connection, from connecting to its end.
func (s *Source) session(ctx context.Context, n uint64) error {
	start, cp, failover, err := s.position(ctx)
	if err != nil {
		return err
	}
	st, err := s.openStream(ctx, start)
	if err != nil {
		return err
	}
	defer st.close()
	reach := start
	if s.cfg.Temporary {
		start, reach = st.start, 1<<64-1
	}
	// Nothing more is acknowledged until this session has saved a checkpoint of its own, see keeper.begin.
	l := newLedger(start, reach)
	if failover {
		l.guard = &guard{cleared: start}
	}
	interrupted := make(chan struct{})
	s.mu.Lock()
	s.ledger = l
	s.status.Connections, s.status.Epoch = n, max(cp.Epoch, 1)
	s.interrupt = sync.OnceFunc(func() { close(interrupted) })
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.interrupt = nil
	}()
	now := time.Now()
	s.attended.Store(&now)
	s.setPhase(Streaming, "", nil)
	s.cfg.Log.Info("streaming", "slot", s.cfg.Slot, "from", start.String())

	// The handler's goroutine and the checkpoint's end before the session does.
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	batches := make(chan sent, 1)
	handlerErr := make(chan error, 1)
	var wg sync.WaitGroup
	sql := &shared{connect: s.cfg.connectSQL}
	defer sql.close()
	k := &keeper{Source: s, ledger: l, saved: cp, last: start, begun: make(chan struct{})}
	handling, giveUp := context.WithCancel(ctx)
	defer giveUp()
	wg.Go(func() { handlerErr <- s.handleLoop(handling, l, newResolver(sql), batches, k) })
	w := &watch{Source: s, ledger: l, missed: cp.Missed, tables: cp.Tables, at: start, atTime: cp.SettledAt, begun: k.begun}
	wg.Go(func() { w.loop(work, sql) })
	if !s.cfg.Temporary {
		wg.Go(func() { k.loop(work) })
	}
	if failover {
		wg.Go(func() { s.guardLoop(work, l, sql) })
	}
	r := &reader{Source: s, stream: st, ledger: l, batches: batches, handlerErr: handlerErr, interrupted: interrupted,
		assemble: newAssembler(n, max(cp.Epoch, 1), l, s.cfg.Prefixes), started: time.Now(), naps: naps{taken: &s.napped}}
	r.assemble.loose = s.tellLoose
	err = r.run(ctx)
	close(batches)
	alive := err == nil || errors.Is(err, errInterrupted)
	if !alive {
		if IncidentOf(err) == nil {
			// The slot may be another process's at once, and the handler may be busy for long: nothing begins meanwhile.
			// Nobody comes further than an incident: what was handed on before it is begun. Nor is waited for what the handler
			// waits for: a commit that it wants to see may have been undone by what ended the connection.
			s.attended.Store(nil)
			giveUp()
		}
		// A server that shuts down waits for the connection to be closed, and the handler perhaps for the server.
		st.close()
	}
	if !r.handlerDone {
		<-handlerErr
	}
	if !alive {
		s.attended.Store(nil)
	}
	l.abandon()
	// What was taken is settled before the next connection is made, so that nothing is under way twice; and before the
	// last word to the server, so that nothing comes again after a clean stop.
	r.drain(ctx, alive)
	if in := IncidentOf(err); in != nil {
		in.unsettled = l.unsettled() > 0
	}
	stopWork()
	wg.Wait()
	r.probes.Wait()
	return err
}

// position is where to start: the checkpoint, where it is ahead of the slot. An LSN of zero lets the slot decide. It also tells whether
// standbys keep the slot.
func (s *Source) position(ctx context.Context) (LSN, Checkpoint, bool, error) {
	if s.cfg.Temporary {
		return 0, Checkpoint{}, false, nil
	}
	conn, err := s.cfg.connectSQL(ctx)
	if err != nil {
		return 0, Checkpoint{}, false, err
	}
	defer closeConn(conn)
	f, err := s.look(ctx, conn)
	if err != nil {
		return 0, Checkpoint{}, false, err
	}
	if err := s.measureLag(ctx, conn); err != nil {
		return 0, Checkpoint{}, false, s.trouble("measure the replication slot", err)
	}
	if err := s.diagnose(f); err != nil {
		return 0, Checkpoint{}, false, err
	}
	if !f.known {
		// Establish made it.
		return 0, Checkpoint{}, false, &Error{Class: Gap, What: "the checkpoint of slot " + s.cfg.Slot + " is gone from the store",
			Mend: "restart rowhook to begin anew at the slot's position"}
	}
	return max(f.slot.Confirmed, f.checkpoint.LSN), f.checkpoint, f.slot.Failover, nil
}

// sent is a batch on its way to the handler.
type sent struct {
	batch *Batch
	entry *entry
}

// handleLoop gives batches to the handler. It ends when the channel is closed, when ctx is done, or with an error.
func (s *Source) handleLoop(ctx context.Context, l *ledger, res *resolver, batches <-chan sent, k *keeper) error {
	defer s.handler.End()
	if err := s.handler.Begin(ctx); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	if !s.cfg.Temporary {
		if err := k.begin(ctx); err != nil {
			return fmt.Errorf("begin: %w", err)
		}
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
