package hooktest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Patience is how long the waiting methods without a deadline of their own wait.
const Patience = 2 * time.Minute

// errTooLate is why waiting ended.
var errTooLate = errors.New("the deadline has passed")

// Requests are the requests that arrived so far, in order. The slice must not be changed; it does not grow.
func (r *Receiver) Requests() []Request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.view()
}

func (r *Receiver) view() []Request { return r.requests[:len(r.requests):len(r.requests)] }

// Forget drops the requests that arrived so far. Numbers go on.
func (r *Receiver) Forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forgotten += len(r.requests)
	r.requests = nil
}

// Await waits until the condition holds for the requests, and returns these. It is asked at once and after each arrival;
// where many arrive together, once for all of them.
func (r *Receiver) Await(ctx context.Context, condition func([]Request) bool) ([]Request, error) {
	for {
		r.mu.Lock()
		requests, arrived := r.view(), r.arrived
		r.mu.Unlock()
		if condition(requests) {
			return requests, nil
		}
		select {
		case <-arrived:
		case <-ctx.Done():
			return requests, context.Cause(ctx)
		case <-r.closing:
			return requests, errors.New("the receiver was closed")
		}
	}
}

// Wait waits for n requests, those that are there already included, and returns all. The test fails at the deadline.
func (r *Receiver) Wait(tb TB, n int, deadline time.Duration) []Request {
	tb.Helper()
	requests, err := r.await(deadline, func(requests []Request) bool { return len(requests) >= n })
	if err != nil {
		tb.Fatalf("hooktest: wait for %d requests (%s): %v; got %s", n, deadline, err, summary(requests))
	}
	return requests
}

// WaitFor waits until the condition holds for the requests, and returns these. The test fails after [Patience].
func (r *Receiver) WaitFor(tb TB, condition func([]Request) bool) []Request {
	tb.Helper()
	requests, err := r.await(Patience, condition)
	if err != nil {
		tb.Fatalf("hooktest: wait for a condition (%s): %v; got %s", Patience, err, summary(requests))
	}
	return requests
}

// Next returns the first request that Next has not returned yet, and waits for it. The test fails after [Patience].
func (r *Receiver) Next(tb TB) Request {
	tb.Helper()
	var next Request
	requests, err := r.await(Patience, func(requests []Request) bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, request := range requests {
			if request.Number > r.next {
				next, r.next = request, request.Number
				return true
			}
		}
		return false
	})
	if err != nil {
		tb.Fatalf("hooktest: wait for the next request (%s): %v; got %s", Patience, err, summary(requests))
	}
	return next
}

// Quiet fails the test if another request arrives within the time.
func (r *Receiver) Quiet(tb TB, d time.Duration) {
	tb.Helper()
	before := r.total()
	requests, err := r.await(d, func([]Request) bool { return r.total() > before })
	if err == nil {
		tb.Fatalf("hooktest: want no request within %s; got %s", d, summary(requests))
	}
}

// total counts the requests that were forgotten too.
func (r *Receiver) total() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.forgotten + len(r.requests)
}

func (r *Receiver) await(deadline time.Duration, condition func([]Request) bool) ([]Request, error) {
	ctx, cancel := context.WithTimeoutCause(context.Background(), deadline, errTooLate)
	defer cancel()
	return r.Await(ctx, condition)
}

// summary tells a failed test what did arrive: the last requests, a line each.
func summary(requests []Request) string {
	const most = 20
	var b strings.Builder
	fmt.Fprintf(&b, "%d", len(requests))
	if len(requests) > most {
		fmt.Fprintf(&b, ", the last %d", most)
		requests = requests[len(requests)-most:]
	}
	for _, request := range requests {
		b.WriteString("\n\t" + request.String())
	}
	return b.String()
}
