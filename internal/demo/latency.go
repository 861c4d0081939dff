package demo

import (
	"context"
	"fmt"
	"slices"
	"text/tabwriter"
	"time"
)

// warmUp is how many changes are made before any is counted: connections, plans, caches.
const warmUp = 20

// measure makes changes one after another, each when the hook of the one before has arrived, and tells how long they
// took. All times are of one clock: this machine's.
func (s *stage) measure(ctx context.Context, n int, hooks <-chan arrival) error {
	whole, round, fromCommit := make([]time.Duration, 0, n), make([]time.Duration, 0, n), make([]time.Duration, 0, n)
	for i := range warmUp + n {
		sent := time.Now()
		var id int64
		err := s.conn.QueryRow(ctx, `INSERT INTO contacts (account_id, first_name, last_name, email) VALUES (1, 'Grace', $1, 'grace@tidal.example')
			RETURNING id`, fmt.Sprintf("Hopper %d", i)).Scan(&id)
		if err != nil {
			return fmt.Errorf("make a contact: %w", err)
		}
		answered := time.Now()
		h, err := await(ctx, hooks, fmt.Sprintf("contact/%d", id))
		if err != nil {
			return err
		}
		if h.Err != nil {
			return fmt.Errorf("contact/%d: %w", id, h.Err)
		}
		if i >= warmUp {
			whole = append(whole, h.Request.At.Sub(sent))
			round = append(round, answered.Sub(sent))
			fromCommit = append(fromCommit, h.Latency)
		}
	}
	fmt.Fprintf(s.opts.Out, "%d single-row inserts, each after the hook of the one before; Postgres %s with fsync on; milliseconds\n\n", n, s.server.Version())
	w := tabwriter.NewWriter(s.opts.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "p50\tp95\tp99\tmax\t\t")
	row := func(what string, d []time.Duration) {
		slices.Sort(d)
		ms := func(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
		fmt.Fprintf(w, "%.2f\t%.2f\t%.2f\t%.2f\t\t%s\n", ms(percentile(d, 50)), ms(percentile(d, 95)), ms(percentile(d, 99)), ms(d[len(d)-1]), what)
	}
	row("from the commit's timestamp to the receipt of the hook", fromCommit)
	row("from sending the INSERT to the receipt of the hook", whole)
	row("the INSERT's own round trip, for comparison", round)
	return w.Flush()
}

// percentile is the smallest of the sorted values that p in a hundred do not exceed.
func percentile(sorted []time.Duration, p int) time.Duration {
	return sorted[max((len(sorted)*p+99)/100-1, 0)]
}

// await waits for the hook of an instance.
func await(ctx context.Context, hooks <-chan arrival, instance string) (arrival, error) {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		select {
		case h := <-hooks:
			if h.Instance == instance {
				return h, nil
			}
		case <-wait.Done():
			if ctx.Err() != nil {
				return arrival{}, context.Cause(ctx)
			}
			return arrival{}, fmt.Errorf("no hook of %s arrived within %s", instance, patience)
		}
	}
}
