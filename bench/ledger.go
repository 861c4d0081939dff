//go:build unix

package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"
)

// A ledger knows what arrived at one target. Of each instance the numbers 0, 1, 2 … are expected, in this order.
type ledger struct {
	instances  map[int64]*instance
	distinct   int64 // events, each once
	doubled    int64
	disordered int64 // arrived after a later one of their instance
	first      time.Time
	last       time.Time
	fromCommit []int32 // microseconds from the commit's timestamp to the receipt
	fromSend   []int32 // microseconds from just before the statement was sent
}

type instance struct {
	next    int64              // all before it arrived, but what is missing
	missing map[int64]struct{} // nil most of the time
}

// add notes an event and says whether it is the first time that it came.
func (l *ledger) add(e *event, firstNumber int64, at time.Time) {
	if l.first.IsZero() {
		l.first = at
	}
	l.last = at
	i := l.instances[e.id]
	if i == nil {
		i = &instance{next: firstNumber}
		l.instances[e.id] = i
	}
	switch {
	case e.seq == i.next:
		i.next++
	case e.seq > i.next:
		if i.missing == nil {
			i.missing = map[int64]struct{}{}
		}
		for n := i.next; n < e.seq; n++ {
			i.missing[n] = struct{}{}
		}
		i.next = e.seq + 1
	default:
		if _, ok := i.missing[e.seq]; !ok {
			l.doubled++
			return
		}
		delete(i.missing, e.seq)
		l.disordered++
	}
	l.distinct++
	l.fromCommit = append(l.fromCommit, int32(at.Sub(e.committed).Microseconds()))
	if e.sent > 0 {
		l.fromSend = append(l.fromSend, int32(at.UnixMicro()-e.sent))
	}
}

// event is what a body says.
type event struct {
	committed time.Time
	id, seq   int64
	sent      int64 // when the statement was sent, in microseconds of Unix time; 0 if that was not noted
}

var errNotOurs = errors.New("the body is not that of an event of the benchmark")

// appendEvents appends the event of a body, or those of an array in their order.
func appendEvents(to []event, body []byte) ([]event, error) {
	several := len(body) > 0 && body[0] == '['
	for {
		e, rest, err := parseEvent(body)
		if err != nil {
			return nil, err
		}
		to = append(to, e)
		if body = rest; !several || !bytes.Contains(body, []byte(timestampMember)) {
			return to, nil
		}
	}
}

// timestampMember is the first of an event that is read. Each has it once.
const timestampMember = `"timestamp":"`

// parseEvent reads the members that the ledger needs, which stand in this order, and returns what follows. It reads no JSON:
// the receiver has to be fast.
func parseEvent(body []byte) (e event, rest []byte, err error) {
	timestamp, rest, ok := member(body, timestampMember, '"')
	if !ok {
		return e, nil, errNotOurs
	}
	if e.committed, err = time.Parse(time.RFC3339, string(timestamp)); err != nil {
		return e, nil, fmt.Errorf("%w: timestamp: %w", errNotOurs, err)
	}
	for _, m := range []struct {
		name string
		to   *int64
	}{{`"id":`, &e.id}, {`"seq":`, &e.seq}, {`"sent":`, &e.sent}} {
		var number []byte
		if number, rest, ok = member(rest, m.name, ','); !ok {
			return e, nil, errNotOurs
		}
		if *m.to, err = strconv.ParseInt(string(number), 10, 64); err != nil {
			return e, nil, fmt.Errorf("%w: %s %w", errNotOurs, m.name, err)
		}
	}
	return e, rest, nil
}

// member is what stands between a name and the end of its value, and what follows.
func member(body []byte, name string, end byte) (value, rest []byte, ok bool) {
	at := bytes.Index(body, []byte(name))
	if at < 0 {
		return nil, nil, false
	}
	body = body[at+len(name):]
	length := bytes.IndexByte(body, end)
	if length < 0 {
		return nil, nil, false
	}
	return body[:length], body[length:], true
}
