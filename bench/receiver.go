//go:build unix

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// manners are how the receiver answers in one run.
type manners struct {
	Delay time.Duration            // before each answer
	Slow  map[string]time.Duration // the same for single paths
	Body  string                   // of the answer
	First int64                    // the number that the first event of each instance has
	// Counted are the paths that receipts tells of; nil is all.
	Counted []string
}

// order is one to the receiver: to begin anew with the manners, or to tell what it got. All is with the latencies.
type order struct {
	Begin *manners
	All   bool
}

// receipts is what the receiver got since it began anew.
type receipts struct {
	Distinct, Doubled, Disordered int64
	// Requests are all, also those that are not counted; Strange had a body that the benchmark did not cause.
	Requests, Strange    int64
	First, Last          time.Time
	FromCommit, FromSend quantiles
	Addr                 string // the receiver's
	StrangeBody          string
}

// receiverState is one run as the receiver sees it.
type receiverState struct {
	manners
	answer   []byte   // the same to each request
	targets  sync.Map // path → *target
	requests atomic.Int64
	strange  atomic.Int64
	body     atomic.Pointer[string]
}

type target struct {
	delay time.Duration
	mu    sync.Mutex
	ledger
}

func newState(m manners) *receiverState {
	answer := fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(m.Body), m.Body)
	return &receiverState{manners: m, answer: answer}
}

func (s *receiverState) target(path string) *target {
	if t, ok := s.targets.Load(path); ok {
		return t.(*target)
	}
	delay := s.Delay
	if d, ok := s.Slow[path]; ok {
		delay = d
	}
	t, _ := s.targets.LoadOrStore(path, &target{delay: delay, ledger: ledger{instances: map[int64]*instance{}}})
	return t.(*target)
}

// take notes a request.
func (s *receiverState) take(t *target, body []byte) {
	at := time.Now()
	s.requests.Add(1)
	var room [1]event
	events, err := appendEvents(room[:0], body)
	if err != nil {
		s.refuse(fmt.Sprintf("%v: %.300s", err, body))
		return
	}
	t.mu.Lock()
	for i := range events {
		t.add(&events[i], s.First, at)
	}
	t.mu.Unlock()
}

// refuse notes what is not of the benchmark.
func (s *receiverState) refuse(why string) {
	s.strange.Add(1)
	s.body.Store(&why)
}

// receipts sums up the counted targets.
func (s *receiverState) receipts(all bool) (sum receipts) {
	var fromCommit, fromSend []int32
	s.targets.Range(func(path, value any) bool {
		if s.Counted != nil && !slices.Contains(s.Counted, path.(string)) {
			return true
		}
		t := value.(*target)
		t.mu.Lock()
		defer t.mu.Unlock()
		sum.Distinct += t.distinct
		sum.Doubled += t.doubled
		sum.Disordered += t.disordered
		if sum.First.IsZero() || !t.first.IsZero() && t.first.Before(sum.First) {
			sum.First = t.first
		}
		if t.last.After(sum.Last) {
			sum.Last = t.last
		}
		if all {
			fromCommit, fromSend = append(fromCommit, t.fromCommit...), append(fromSend, t.fromSend...)
		}
		return true
	})
	sum.Requests, sum.Strange = s.requests.Load(), s.strange.Load()
	if text := s.body.Load(); text != nil {
		sum.StrangeBody = *text
	}
	sum.FromCommit, sum.FromSend = quantilesOf(fromCommit), quantilesOf(fromSend)
	return sum
}

// receive is the role: the receiver, which does what the orders say until they end.
func receive(_ context.Context, in *json.Decoder, out io.Writer) error {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	var s server
	s.state.Store(newState(manners{}))
	var serving sync.WaitGroup
	serving.Go(func() { s.serve(l) })
	answers := json.NewEncoder(out)
	for {
		var o order
		if err := in.Decode(&o); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return fmt.Errorf("read an order: %w", err)
		}
		if o.Begin != nil {
			s.state.Store(newState(*o.Begin))
		}
		answer := s.state.Load().receipts(o.All)
		answer.Addr = l.Addr().String()
		if err := answers.Encode(answer); err != nil {
			return fmt.Errorf("tell what arrived: %w", err)
		}
	}
	err = l.Close()
	serving.Wait()
	return err
}

// ask gives the receiver an order.
func (b *bench) ask(ctx context.Context, o order) (got receipts, err error) {
	if err := json.NewEncoder(b.receiver.in).Encode(o); err != nil {
		return got, fmt.Errorf("ask the receiver: %w", err)
	}
	return got, b.receiver.answer(ctx, &got)
}

const (
	// look is how often the receiver is asked how far it is.
	look = 5 * time.Millisecond
	// patience is how long nothing may arrive before what is missing counts as lost. rowhook's first retry comes after
	// about 5 s.
	patience = 30 * time.Second
)

// await waits until the receiver has got so many different events, or no more come. It is an error if none came at all.
func (b *bench) await(ctx context.Context, s sut, events int64) (receipts, error) {
	tick := time.NewTicker(look)
	defer tick.Stop()
	progress, last := time.Now(), int64(-1)
	for {
		got, err := b.ask(ctx, order{})
		if err != nil || got.Distinct >= events {
			return got, err
		}
		if got.Distinct != last {
			progress, last = time.Now(), got.Distinct
		}
		if time.Since(progress) > patience {
			fmt.Fprintf(b.progress, "%s: %d of %d events arrived, and then none for %s: the others count as lost%s\n",
				b.turn, got.Distinct, events, patience, got.strange())
			if got.Distinct == 0 {
				err = fmt.Errorf("no event of %s arrived within %s%s", s.kind(), patience, got.strange())
			}
			return got, err
		}
		select {
		case <-tick.C:
		case <-s.ended():
			return got, fmt.Errorf("%s ended when %d of %d events had arrived", s.kind(), got.Distinct, events)
		case <-ctx.Done():
			return got, context.Cause(ctx)
		}
	}
}

// strange tells of bodies that are not events.
func (r *receipts) strange() string {
	if r.Strange == 0 {
		return ""
	}
	return fmt.Sprintf("; %d bodies were not of the benchmark, the last one: %s", r.Strange, r.StrangeBody)
}
