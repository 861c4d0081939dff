package sender

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/mapping"
)

const (
	// letterText bounds the texts of a dead letter that we make, in bytes.
	letterText = 500
	// refusedLogEvery is the least time between lines about refused records: there may be as many as events.
	refusedLogEvery = time.Second
)

// refusals are what the recorder has to say of refused records.
type refusals struct {
	logged time.Time
	since  int
}

// buryRefused writes what can be kept of a record that the store refuses. What the target said is left out first; when
// that does not help it is the event, and a dead letter takes its place: the delivery is over, and what comes after it of
// its key goes on.
func (d *Dispatcher) buryRefused(ctx context.Context, r *Record, refused *RefusedError) bool {
	if plain, ok := withoutAnswer(r); ok {
		err := d.write(ctx, []Record{plain}, true)
		if err == nil {
			d.written([]Record{*r})
			return true
		}
		if !errors.As(err, new(*RefusedError)) {
			return false // not refused: it comes again
		}
	}
	if r.Op == Mark || r.Op == Pause || r.Op == Pass || r.Op == Fold {
		d.written([]Record{*r}) // numbers that nobody needs
		return true
	}
	rest := []Record{{Op: Bury, DeadLetter: letterOf(r, refused)}}
	if r.Op == Amend {
		rest[0].Op, rest[0].Closed = Amend, r.Closed
	}
	if r.Stored && !r.delivery.refused {
		rest = append(rest, overOf(r))
	}
	if d.write(ctx, rest, false) != nil {
		return false
	}
	d.logRefused(rest[0].DeadLetter)
	d.buried(r)
	if d.cfg.OnRefused != nil {
		d.cfg.OnRefused()
	}
	return true
}

// withoutAnswer is the record without what the target had a say in. It is false when there is nothing of it.
func withoutAnswer(r *Record) (Record, bool) {
	if r.Outcome == nil || r.Outcome.Detail == "" && len(r.Outcome.Answer) == 0 {
		return *r, false
	}
	plain, out := *r, *r.Outcome
	out.Detail, out.Answer = "", nil
	plain.Outcome = &out
	return plain, true
}

// overOf ends a delivery that has a due row, as numbers only. One that has none leaves nothing: a delivery without its
// event could be taken for that of another one.
func overOf(r *Record) Record {
	over := Record{Op: Finish, Event: r.Event, Subscription: r.Subscription, Key: r.Key, Stored: r.Stored, Status: r.Status, Dropped: r.Dropped, Attempts: r.Attempts,
		Replay: r.Replay}
	if r.Op != Finish {
		over.Status = StatusFailed
	}
	return over
}

// letterOf is the dead letter of a refused record: in ASCII, and short, so that it cannot be refused for the same reason.
func letterOf(r *Record, refused *RefusedError) *mapping.DeadLetter {
	if r.Op == Bury || r.Op == Amend {
		l := *r.DeadLetter
		l.Key, l.Known, l.Context = keyOf(l.Instance), nil, nil
		l.Resource, l.Type, l.Instance, l.Reason = inASCII(l.Resource), inASCII(l.Type), inASCII(l.Instance), inASCII(l.Reason)
		if account := inASCII(l.Account); account != l.Account {
			l.Account = ""
		}
		return &l
	}
	ev := r.Event
	l := &mapping.DeadLetter{Resource: inASCII(ev.Resource), Op: opOf(ev), Instance: inASCII(ev.Instance), Position: ev.Position, Time: ev.Time,
		Reason: "the store refuses the event: " + inASCII(refused.Reason), EventID: ev.ID, Type: inASCII(ev.Type), Key: keyOf(ev.Instance), Refused: true,
		Audience: ev.Audience}
	if account := inASCII(ev.Account); ev.Audience == mapping.ToAccount && account == ev.Account {
		l.Account = account
	}
	return l
}

// keyOf is the key of a letter whose instance is written in ASCII: none where its row cannot be found by that, else that
// of its resource.
func keyOf(instance string) []string {
	if inASCII(instance) == instance {
		return nil
	}
	return []string{}
}

// inASCII is the text with \u escapes in place of what is not printable ASCII, bounded.
func inASCII(s string) string {
	quoted := strconv.QuoteToASCII(s[:min(len(s), letterText)])
	out := strings.ReplaceAll(quoted[1:len(quoted)-1], `\"`, `"`)
	return out[:min(len(out), letterText)]
}

func opOf(ev *mapping.Event) cdc.Op {
	switch ev.Type[strings.LastIndexByte(ev.Type, '.')+1:] {
	case "create":
		return cdc.Insert
	case "delete":
		return cdc.Delete
	case "truncate":
		return cdc.Truncate
	}
	return cdc.Update
}

// buried lets a record take effect of which a dead letter is left: the delivery is over, and there is no row of it.
func (d *Dispatcher) buried(r *Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if r.Op == Reschedule {
		r.Op = Finish
	}
	if r.Op != Defer {
		d.takeEffect([]Record{*r})
		return
	}
	d.writing--
	dl := r.delivery
	// Its key stays as busy as it is: the attempt may be under way, or the record of its end in the queue. Unless this was
	// that record: of an attempt that failed after its first row was refused.
	over := dl.refused && !dl.running
	dl.stored, dl.refused = false, true
	d.settle(dl)
	if s := dl.lane.sub; !s.removed {
		if over && dl.follower() == nil {
			delete(s.busy, r.Key)
		}
		d.rowGone(s, dl.lane, time.Now()) // counted when the record was made
	}
	d.launch(d.schedule())
}

// logRefused tells of refused records, not of each where there are many.
func (d *Dispatcher) logRefused(l *mapping.DeadLetter) {
	d.refusals.since++
	if now := time.Now(); now.Sub(d.refusals.logged) > refusedLogEvery {
		d.cfg.Log.Error("the store refuses what some records hold: they are kept as dead letters", "records", d.refusals.since,
			"resource", l.Resource, "position", l.Position.String(), "reason", l.Reason)
		d.refusals = refusals{logged: now}
	}
}
