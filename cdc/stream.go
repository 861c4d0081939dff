package cdc

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

// stream is a replication connection that streams. It belongs to one goroutine: a second writer would be cut by the
// first one's read deadlines.
type stream struct {
	conn     net.Conn
	frontend *pgproto3.Frontend
	start    LSN
	// deadline is the read deadline that is set.
	deadline time.Time
}

// openStream connects and starts streaming at start, or at the slot's position when that is later. A temporary slot is
// made on the connection itself.
func (s *Source) openStream(ctx context.Context, start LSN) (*stream, error) {
	conn, err := s.cfg.connectReplication(ctx)
	if err != nil {
		return nil, err
	}
	fail := func(err error) (*stream, error) {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		defer cancel()
		_ = conn.Close(ctx)
		return nil, err
	}
	if err := settingsTaken(conn); err != nil {
		return fail(err)
	}
	if s.cfg.Temporary {
		wait, cancel := context.WithTimeout(ctx, s.cfg.SlotTimeout)
		defer cancel()
		made, err := pglogrepl.CreateReplicationSlot(wait, conn, QuoteIdent(s.cfg.Slot), "pgoutput",
			pglogrepl.CreateReplicationSlotOptions{Temporary: true, Mode: pglogrepl.LogicalReplication, SnapshotAction: "NOEXPORT_SNAPSHOT"})
		if err != nil {
			return fail(s.slotError(ctx, err))
		}
		if start, err = pglogrepl.ParseLSN(made.ConsistentPoint); err != nil {
			return fail(err)
		}
	}
	opts := pglogrepl.StartReplicationOptions{Mode: pglogrepl.LogicalReplication, PluginArgs: []string{
		"proto_version '1'",
		// The option is an identifier list inside a literal: it is quoted twice.
		"publication_names " + QuoteLiteral(QuoteIdent(s.cfg.Publication)),
		"messages 'true'",
	}}
	if err := pglogrepl.StartReplication(ctx, conn, QuoteIdent(s.cfg.Slot), start, opts); err != nil {
		return fail(s.startError(ctx, err))
	}
	h, err := conn.Hijack()
	if err != nil {
		return fail(err)
	}
	h.Frontend.SetMaxBodyLen(int(min(s.cfg.MaxMessage, 1<<30)))
	return &stream{conn: h.Conn, frontend: h.Frontend, start: start}, nil
}

// settingsTaken makes sure that values come in the form that they are read in.
func settingsTaken(conn *pgconn.PgConn) error {
	for name, want := range map[string]string{"client_encoding": "UTF8", "DateStyle": "ISO, YMD", "IntervalStyle": "iso_8601", "TimeZone": "UTC"} {
		if got := conn.ParameterStatus(name); got != want {
			return &Error{Class: Refused, What: fmt.Sprintf("the connection has %s = %q, not %q as was asked for", name, got, want),
				Mend: "something between rowhook and the server changes the session: database.url must be the direct address of the server"}
		}
	}
	return nil
}

// startError tells why the server does not stream.
func (s *Source) startError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	e := &Error{Class: Unavailable, What: "start replication from slot " + s.cfg.Slot, Err: cause(err)}
	switch SQLState(err) {
	case "55006":
		e.Mend = "another process reads the slot: this one is its standby and takes over when that one ends"
	case "55000":
		// The next look at the slot says more.
		e.Class = Gap
		e.Mend = "the slot cannot be used any more: see wal_status and invalidation_reason in pg_replication_slots"
	case "42704":
		// It was there a moment ago, and the next look says what is to be done.
		e.Mend = "the slot was dropped"
	}
	return e
}

// publicationGone is the incident of a publication that the log at this place does not have.
func (r *reader) publicationGone(cause error) *Error {
	written, flushed := r.ledger.positions()
	return gap(Incident{Kind: PublicationMissing, From: flushed, received: written}, cause,
		"it was dropped, or made after the slot. Making it again does not help for what is already written: what lies before the present cannot be read any more.\n"+
			"    To accept that it is not delivered, have the publication made where the role may, and go on with what happens from now on: "+acceptCommand,
		"the publication %s did not exist when the log at this position was written", r.cfg.Publication)
}

// errTimeout says that nothing came until the deadline.
var errTimeout = errors.New("nothing received")

// receive waits for the next message until the deadline. What it returns is valid until the next call.
func (st *stream) receive(deadline time.Time) (pgproto3.BackendMessage, error) {
	// A deadline that is almost as late will do: setting one for every message costs more than decoding it.
	if deadline.Sub(st.deadline) > statusPause/4 {
		if err := st.conn.SetReadDeadline(deadline); err != nil {
			return nil, err
		}
		st.deadline = deadline
	}
	m, err := st.frontend.Receive()
	if errors.Is(err, os.ErrDeadlineExceeded) {
		st.deadline = time.Time{}
		return nil, errTimeout
	}
	return m, err
}

// buffered says that more has arrived already.
func (st *stream) buffered() bool { return st.frontend.ReadBufferLen() > 0 }

// status reports positions. All three are explicit: left out, the flushed one would become the written one.
// https://www.postgresql.org/docs/current/protocol-replication.html
func (st *stream) status(written, flushed LSN, replyRequested bool) error {
	data := make([]byte, 0, 34)
	data = append(data, pglogrepl.StandbyStatusUpdateByteID)
	data = binary.BigEndian.AppendUint64(data, uint64(written))
	data = binary.BigEndian.AppendUint64(data, uint64(flushed))
	data = binary.BigEndian.AppendUint64(data, uint64(flushed))
	data = binary.BigEndian.AppendUint64(data, uint64(time.Now().Unix()*1e6-secondsTo2000*1e6))
	data = append(data, 0)
	if replyRequested {
		data[len(data)-1] = 1
	}
	return st.send(&pgproto3.CopyData{Data: data})
}

const secondsTo2000 = 946_684_800

func (st *stream) send(m pgproto3.FrontendMessage) error {
	if err := st.conn.SetWriteDeadline(time.Now().Add(connectTimeout)); err != nil {
		return err
	}
	st.frontend.Send(m)
	return st.frontend.Flush()
}

// finish ends the copy and waits for the server to agree, so that the last status is surely read.
func (st *stream) finish() error {
	if err := st.send(&pgproto3.CopyDone{}); err != nil {
		return err
	}
	for deadline := time.Now().Add(closeTimeout); ; {
		m, err := st.receive(deadline)
		if err != nil {
			return err
		}
		switch m.(type) {
		case *pgproto3.CommandComplete, *pgproto3.ReadyForQuery, *pgproto3.ErrorResponse:
			return st.send(&pgproto3.Terminate{})
		}
	}
}

func (st *stream) close() { _ = st.conn.Close() }

// streamEnded wraps what ended a stream that had begun.
type streamEnded struct {
	lived time.Duration
	err   error
}

func (e *streamEnded) Error() string { return e.err.Error() }
func (e *streamEnded) Unwrap() error { return e.err }

// reader is the owner of a stream: it receives, hands batches on, and reports positions. It never waits for anything but
// the connection and the clock.
type reader struct {
	*Source
	stream      *stream
	ledger      *ledger
	assemble    *assembler
	batches     chan<- sent
	handlerErr  chan error
	handlerDone bool
	// interrupted is closed to end the session gently.
	interrupted <-chan struct{}
	started     time.Time

	lastHeard, lastStatus time.Time
	reported              LSN
	replyWanted           bool
	// Keepalives that want a reply, repeated without anything new, are a server that waits to shut down.
	beggedEnd   LSN
	begged      int
	beggedSince time.Time
	// probes are the goroutines that ask whether the server is shutting down.
	probes sync.WaitGroup
	naps   naps
}

const (
	// statusPause is the least time between reports of progress, replyPause that between requested replies: a server
	// that shuts down asks again as soon as it has an answer.
	statusPause = 200 * time.Millisecond
	replyPause  = 100 * time.Millisecond
	// aliveEvery is the most time between reports.
	aliveEvery = walSenderTimeout / 3
	// askAfter without a byte the server is asked for one, and given up silentAfter.
	askAfter    = 10 * time.Second
	silentAfter = 45 * time.Second
	// letGoAfter so many requests in a row the connection is closed, so that the server can stop.
	letGoAfter = 15
)

// run ends when ctx is done (nil), or with what ended the stream.
func (r *reader) run(ctx context.Context) error {
	// A blocked read is woken by a deadline in the past.
	stop := context.AfterFunc(ctx, func() { _ = r.stream.conn.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	r.lastHeard = time.Now()
	for ctx.Err() == nil {
		if err := r.step(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			if errors.Is(err, errInterrupted) {
				return err
			}
			err = r.lost(ctx, err)
			if IncidentOf(err) != nil && !r.handlerDone {
				// What came before it would not come again if the incident is accepted.
				if failed := r.hand(ctx, true); failed != nil {
					err = failed
				}
			}
			return &streamEnded{lived: time.Since(r.started), err: err}
		}
	}
	return nil
}

// step hands on what is there, reports, and receives once.
func (r *reader) step(ctx context.Context) error {
	if err := r.attend(); err != nil {
		return err
	}
	if err := r.hand(ctx, false); err != nil {
		return err
	}
	if err := r.report(); err != nil {
		return err
	}
	if r.naps.due() && !r.stream.buffered() {
		r.naps.take()
	}
	deadline := time.Now().Add(statusPause)
	if ctx.Err() != nil {
		return nil
	}
	m, err := r.stream.receive(deadline)
	if errors.Is(err, errTimeout) {
		if silent := time.Since(r.lastHeard); silent > silentAfter {
			return fmt.Errorf("the server has been silent for %s", silent.Round(time.Second))
		} else if silent > askAfter && time.Since(r.lastStatus) > askAfter/2 {
			return r.tell(true)
		}
		return nil
	}
	if err != nil {
		return err
	}
	if err := r.attend(); err != nil {
		return err
	}
	r.lastHeard = time.Now()
	return r.take(m)
}

// hand gives the batch to the handler when its last transaction has arrived whole and nothing more has arrived already,
// or when the batch is full. While the handler is busy it waits, and the server hears from us. The rest is what there is
// when nothing more will come.
func (r *reader) hand(ctx context.Context, rest bool) error {
	select {
	case err := <-r.handlerErr:
		r.handlerDone = true
		return err
	case <-r.interrupted:
		return errInterrupted
	default:
	}
	var b *Batch
	var e *entry
	switch {
	case rest:
		if b, e = r.assemble.takeRest(); b == nil {
			return nil
		}
	case r.assemble.full(), r.assemble.whole() && !r.stream.buffered():
		b, e = r.assemble.take()
	default:
		return nil
	}
	select {
	case r.batches <- sent{b, e}:
		return nil
	default:
	}
	tick := time.NewTicker(replyPause)
	defer tick.Stop()
	var probe <-chan error
	blocked := time.Now()
	for {
		if probe == nil && time.Since(blocked) > probeAfter {
			probe = r.probe(ctx)
		}
		select {
		case r.batches <- sent{b, e}:
			return nil
		case err := <-r.handlerErr:
			r.handlerDone = true
			return err
		case <-ctx.Done():
			return nil
		case <-r.interrupted:
			return errInterrupted
		case err := <-probe:
			if SQLState(err) == "57P03" {
				return errLetGo
			}
			probe, blocked = nil, time.Now()
		case <-tick.C:
			if r.ledger.abandoned() {
				return errAbandoned
			}
			if rest {
				continue // the connection is over
			}
			if err := r.attend(); err != nil {
				return err
			}
			if err := r.report(); err != nil {
				return err
			}
			// What the server has to say waits in the socket: it is not silent.
			r.lastHeard = time.Now()
		}
	}
}

// probeAfter is how long the handler may be busy before the server is asked whether it is shutting down: its own
// requests, which would tell, are not read meanwhile.
const probeAfter = 2 * time.Second

// probe asks by an ordinary connection.
func (r *reader) probe(ctx context.Context) <-chan error {
	answer := make(chan error, 1)
	r.probes.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, probeAfter)
		defer cancel()
		conn, err := r.cfg.connectSQL(ctx)
		if err == nil {
			closeConn(conn)
		}
		answer <- err
	})
	return answer
}

// errAbandoned ends a connection of which a batch will not be settled.
var errAbandoned = errors.New("what was read could not be kept: another process has taken over, or the checkpoint was changed by hand; it is read again")

// errInterrupted ends a session that is asked to end, by Accept.
var errInterrupted = errors.New("interrupted")

// report tells the server where we are, when it is time.
func (r *reader) report() error {
	since := time.Since(r.lastStatus)
	if since < replyPause {
		return nil
	}
	if r.ledger.abandoned() {
		return errAbandoned
	}
	_, flushed := r.ledger.positions()
	if r.replyWanted || since > aliveEvery || since > statusPause && flushed > r.reported {
		return r.tell(false)
	}
	return nil
}

func (r *reader) tell(replyRequested bool) error {
	written, flushed := r.ledger.tell()
	if err := r.stream.status(written, flushed, replyRequested); err != nil {
		return fmt.Errorf("report the position: %w", err)
	}
	r.lastStatus, r.reported, r.replyWanted = time.Now(), flushed, false
	r.heard.Store(r.lastHeard.UnixNano())
	return nil
}

// take handles one message of the server.
func (r *reader) take(m pgproto3.BackendMessage) error {
	switch m := m.(type) {
	case *pgproto3.CopyData:
		if len(m.Data) == 0 {
			return errors.New("empty copy message")
		}
		switch m.Data[0] {
		case pglogrepl.XLogDataByteID:
			x, err := pglogrepl.ParseXLogData(m.Data[1:])
			if err != nil {
				return err
			}
			r.begged = 0
			if err := r.assemble.add(x.WALStart, x.WALData); err != nil {
				return r.undecodable(err, "rowhook cannot read")
			}
			r.naps.message(x.ServerTime, r.assemble.tx)
			return nil
		case pglogrepl.PrimaryKeepaliveMessageByteID:
			k, err := pglogrepl.ParsePrimaryKeepaliveMessage(m.Data[1:])
			if err != nil {
				return err
			}
			return r.keepalive(k)
		}
		return fmt.Errorf("copy message of type %q", m.Data[:1])
	case *pgproto3.ErrorResponse:
		return pgconn.ErrorResponseToPgError(m)
	case *pgproto3.NoticeResponse:
		r.cfg.notice(m.SeverityUnlocalized, m.Code, m.Message)
		if m.SeverityUnlocalized == "WARNING" && m.Code == "55000" {
			// "skipped loading publication", in the language of lc_messages: from 18 on the server leaves out what it cannot
			// decode, instead of ending the stream.
			return r.publicationGone(errors.New(m.Message))
		}
	case *pgproto3.ParameterStatus:
	case *pgproto3.CopyDone, *pgproto3.CommandComplete, *pgproto3.ReadyForQuery:
		return errors.New("the server ended the stream")
	}
	return nil
}

// errLetGo ends a connection for which the server waits.
var errLetGo = errors.New("the server is shutting down: the connection is closed so that it can; what is under way comes again")

func (r *reader) keepalive(k pglogrepl.PrimaryKeepaliveMessage) error {
	r.ledger.keepalive(k.ServerWALEnd)
	if !k.ReplyRequested {
		return nil
	}
	r.replyWanted = true
	now := time.Now()
	if k.ServerWALEnd != r.beggedEnd || now.Sub(r.beggedSince) > time.Duration(letGoAfter)*time.Second {
		r.beggedEnd, r.begged, r.beggedSince = k.ServerWALEnd, 0, now
	}
	if r.begged++; r.begged > letGoAfter {
		return errLetGo
	}
	return nil
}

// lost tells why the stream ended, so that a person understands it.
func (r *reader) lost(ctx context.Context, err error) error {
	state := SQLState(err)
	if state != "42704" && !passes(state) && whileDecoding(err) {
		return r.undecodable(cause(err), "the server cannot decode")
	}
	switch state {
	case "42704":
		return r.publicationGone(cause(err))
	case "57P01", "57P02", "57P03":
		return &Error{Class: Unavailable, What: "the server ended the connection", Err: cause(err)}
	case "":
		var e *Error
		if errors.As(err, &e) || errors.Is(err, errLetGo) || errors.Is(err, errAbandoned) || errors.Is(err, errFrozen) {
			return err
		}
		var tooLong *pgproto3.ExceededMaxBodyLenErr
		if errors.As(err, &tooLong) {
			in := r.incident(TooLarge)
			return gap(in, nil, "raise limits.max_row above its size and restart rowhook: nothing is lost meanwhile.\n    "+r.leaveOut(in),
				"a row or message of %d bytes%s is larger than limits.max_row", tooLong.ActualBodyLen, place(in.Tx))
		}
		return &Error{Class: Unavailable, What: "the replication connection was lost", Err: err}
	}
	return &Error{Class: Unavailable, What: "the replication stream ended", Err: cause(err)}
}

// whileDecoding says that an error of the server came up in the output plugin, so that it comes again at the same place.
// lc_messages translates the context, but for names.
func whileDecoding(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && strings.Contains(pg.Where, "pgoutput")
}

// incident is one that the stream ran into: it concerns the transaction that is open, if one is, since transactions
// arrive whole.
func (r *reader) incident(kind IncidentKind) Incident {
	written, flushed := r.ledger.positions()
	in := Incident{Kind: kind, From: flushed, Tx: r.assemble.tx, received: written}
	if in.Tx != nil {
		in.From, in.FromTime = in.Tx.Commit, in.Tx.Time
	}
	return in
}

// undecodable tells what cannot be read, and where.
func (r *reader) undecodable(err error, who string) error {
	in := r.incident(Undecodable)
	return gap(in, err, "everything before it is delivered, nothing after it is lost meanwhile.\n    "+r.leaveOut(in),
		"%s a change%s", who, place(in.Tx))
}

func (r *reader) leaveOut(in Incident) string {
	if in.Tx != nil {
		return "To go on after this transaction, without what it changed from there on: " + acceptCommand
	}
	return "It is not known where its transaction ends. To leave out everything up to now, and go on with what happens from now on: " + acceptCommand
}

// place is where a transaction stands, for people.
func place(tx *Tx) string {
	if tx == nil {
		return ""
	}
	return fmt.Sprintf(" in transaction %d, committed at %s (%s)", tx.XID, tx.Time.UTC().Format(time.RFC3339), tx.Commit)
}

// drain waits until everything that was taken is settled; on a living connection it keeps telling, says the last word,
// and closes.
func (r *reader) drain(ctx context.Context, alive bool) {
	deadline := time.NewTimer(r.cfg.DrainTimeout)
	defer deadline.Stop()
	stopping := ctx.Done()
	var limit <-chan time.Time
	select {
	case <-r.interrupted:
		stopping = nil
	default:
	}
	if ctx.Err() != nil || stopping == nil {
		stopping, limit = nil, deadline.C
	}
	tick := time.NewTicker(statusPause)
	defer tick.Stop()
	for {
		oldest := r.ledger.outstanding()
		if oldest == nil {
			break
		}
		select {
		case <-oldest.Settled():
			continue
		case <-tick.C:
			if alive && r.tell(false) != nil {
				alive = false
			}
			continue
		case <-stopping:
			deadline.Reset(r.cfg.DrainTimeout)
			stopping, limit = nil, deadline.C
			continue
		case <-limit:
			r.cfg.Log.Warn("stopped before everything was settled: it comes again at the next start", "batches", r.ledger.unsettled())
		}
		break
	}
	if alive {
		if err := r.tell(false); err == nil {
			err = r.stream.finish()
			r.cfg.Log.Debug("stream ended", "acknowledged", r.reported.String(), "error", err)
		}
	}
}
