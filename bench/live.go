//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// live is a run in which the application writes while the system under test works, or while there is none.
type live struct {
	orders  loadOrders
	limit   bool           // L instead of rowhook
	alone   bool           // neither
	apart   bool           // rowhook has its store on another server
	outcome func(*liveRun) // sets the figures of the scenario
	// seed are rows that are there before anything is read. Their first change has the number 1.
	seed int64
	// countConnections asks Postgres all the time for who is there.
	countConnections bool
}

// liveRun is what a live run gave.
type liveRun struct {
	*outcome
	load        loadResult
	behind      int64 // events that had not arrived when the last write was done
	got         receipts
	wal         int64 // bytes written from the first write until everything was settled
	connections int   // the most that there were at once, without ours
}

// connectionsEvery is how often connections are counted.
const connectionsEvery = 50 * time.Millisecond

func (l live) run(ctx context.Context, b *bench, d *database) (*outcome, error) {
	l.orders.Database = d.ownURL()
	if l.seed > 0 {
		if _, err := d.conn.Exec(ctx, writeWhole, l.seed); err != nil {
			return nil, fmt.Errorf("write the rows: %w", err)
		}
		if err := d.vacuum(ctx); err != nil {
			return nil, err
		}
	}
	if _, err := b.ask(ctx, order{Begin: &manners{First: min(l.seed, 1)}}); err != nil {
		return nil, err
	}
	var s sut
	if !l.alone {
		var err error
		if s, err = l.start(ctx, b, d); err != nil {
			return nil, err
		}
	}
	o, err := l.watch(ctx, b, d, s)
	switch {
	case s == nil:
		return o, err
	case err != nil:
		s.kill()
		return nil, err
	}
	return o, s.stop()
}

// start starts L or rowhook, with a subscription.
func (l live) start(ctx context.Context, b *bench, d *database) (sut, error) {
	if l.limit {
		if err := d.establish(ctx); err != nil {
			return nil, err
		}
		return b.startLimit(ctx, d, hooks)
	}
	if l.apart {
		if err := b.moveStore(ctx, d); err != nil {
			return nil, err
		}
	}
	r, err := b.startRowhook(ctx, d, true)
	if err != nil {
		return nil, err
	}
	if err := r.subscribe(ctx, b.url(hooks), ""); err != nil {
		r.kill()
		return nil, err
	}
	return r, nil
}

func (l live) watch(ctx context.Context, b *bench, d *database, s sut) (*outcome, error) {
	if err := d.rest(ctx); err != nil {
		return nil, err
	}
	run := &liveRun{}
	counted := func() error { return nil }
	if l.countConnections {
		counted = run.countConnections(ctx, d)
	}
	walBefore, err := d.wal(ctx)
	if err != nil {
		return nil, errors.Join(err, counted())
	}
	memory := b.watchMemory()
	from := b.sample(s)
	err = l.work(ctx, b, s, run)
	to := b.sample(s)
	postgresMemory := memory()
	if err := errors.Join(err, counted()); err != nil {
		return nil, err
	}
	walAfter, err := d.wal(ctx)
	if err != nil {
		return nil, err
	}
	run.wal = walAfter - walBefore
	run.outcome = newOutcome(0, run.got)
	if s != nil {
		run.outcome = newOutcome(run.load.Transactions, run.got)
	}
	l.outcome(run)
	if s != nil {
		run.set(behind, float64(run.behind))
	}
	run.perEvent(s, from, to, run.load.Transactions, postgresMemory)
	return run.outcome, nil
}

// work has the application write, and waits until everything has arrived and is settled.
func (l live) work(ctx context.Context, b *bench, s sut, run *liveRun) error {
	generator, err := startRole("load", l.orders)
	if err != nil {
		return err
	}
	if err := generator.answer(ctx, &run.load); err != nil {
		generator.kill()
		return err
	}
	if err := generator.stop(); err != nil {
		return err
	}
	if s == nil {
		return nil
	}
	atEnd, err := b.ask(ctx, order{})
	if err != nil {
		return err
	}
	run.behind = run.load.Transactions - atEnd.Distinct
	if _, err := b.await(ctx, s, run.load.Transactions); err != nil {
		return err
	}
	if err := s.settle(ctx); err != nil {
		return err
	}
	if run.got, err = b.ask(ctx, order{All: true}); err != nil {
		return err
	}
	if run.got.Strange > 0 {
		return errors.New("the receiver got what is no event" + run.got.strange())
	}
	return nil
}

// countConnections counts until the function it returns is called.
func (r *liveRun) countConnections(ctx context.Context, d *database) func() error {
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() {
		// The run has the database's own connection.
		other := &database{name: d.name, url: d.url}
		if failed = other.connect(ctx); failed != nil {
			return
		}
		defer other.conn.Close(context.WithoutCancel(ctx))
		tick := time.NewTicker(connectionsEvery)
		defer tick.Stop()
		for {
			n, err := other.connections(ctx)
			if err != nil && ctx.Err() == nil {
				failed = fmt.Errorf("count the connections: %w", err)
			}
			if err != nil {
				return
			}
			r.connections = max(r.connections, n)
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	return func() error { cancel(); wg.Wait(); return failed }
}

func ms(us float64) float64 { return us / 1000 }

func latencyScenario(s sizes, perSecond int) scenario {
	l := live{orders: loadOrders{Connections: 4, Rate: perSecond, Duration: time.Duration(s.latency) * time.Second},
		outcome: func(r *liveRun) {
			sent, own := r.got.FromSend, r.load.RoundTrip
			r.set(latency50, ms(sent.P50))
			r.set(insert50, ms(own.P50))
			r.set(over50, ms(sent.P50-own.P50))
			r.set(latency99, ms(sent.P99))
			r.set(insert99, ms(own.P99))
			r.set(over99, ms(sent.P99-own.P99))
			r.set(commit50, ms(r.got.FromCommit.P50))
			r.set(commit99, ms(r.got.FromCommit.P99))
			r.set(late99, ms(r.load.Late.P99))
		}}
	limited := l
	limited.limit = true
	return scenario{
		Name:     fmt.Sprintf("latency-%d", perSecond),
		What:     fmt.Sprintf("%d single-row INSERTs a second for %d s, whether those before are done or not; one subscription", perSecond, s.latency),
		variants: []variant{{nameL, limited.run}, {nameRowhook, l.run}},
		ratios:   []ratio{{metric: cpuPerEvent, of: nameRowhook, to: nameL}},
	}
}

func walScenario(s sizes) scenario {
	l := live{orders: loadOrders{Connections: 4, Rate: s.walRate, Duration: time.Duration(s.wal) * time.Second},
		outcome: func(r *liveRun) {
			r.set(walPerWrite, float64(r.wal)/float64(r.load.Transactions))
		}}
	alone := l
	alone.alone = true
	return scenario{
		Name:     "wal",
		What:     fmt.Sprintf("%d rows of 300 bytes a second are inserted for %d s; the store is in the same database", s.walRate, s.wal),
		variants: []variant{{"without rowhook", alone.run}, {"with rowhook", l.run}},
		ratios:   []ratio{{metric: walPerWrite, of: "with rowhook", to: "without rowhook", excess: true}},
	}
}

func connectionsScenario(s sizes) scenario {
	l := live{orders: loadOrders{Connections: 4, Rate: s.connectionRate, Duration: time.Duration(s.connections) * time.Second}, countConnections: true,
		outcome: func(r *liveRun) {
			r.set(connectionsMax, float64(r.connections))
		}}
	return scenario{
		Name:     "connections",
		What:     fmt.Sprintf("connections of all kinds that rowhook has to Postgres while %d rows a second are inserted", s.connectionRate),
		variants: []variant{{nameRowhook, l.run}},
	}
}

func applicationScenario(s sizes) scenario {
	l := live{orders: loadOrders{Connections: s.applicationClients, Duration: time.Duration(s.application) * time.Second, Instances: s.applicationInstances},
		seed: s.applicationInstances,
		outcome: func(r *liveRun) {
			r.set(transactions, float64(r.load.Transactions)/r.load.Took.Seconds())
			r.set(transaction50, ms(r.load.RoundTrip.P50))
			r.set(transaction99, ms(r.load.RoundTrip.P99))
		}}
	alone, limited, apart := l, l, l
	alone.alone, limited.limit, apart.apart = true, true, true
	return scenario{
		Name: "application",
		What: fmt.Sprintf("%d clients do transactions like pgbench's simple update, one after another, for %d s; each is one event",
			s.applicationClients, s.application),
		variants: []variant{{"without rowhook", alone.run}, {"with L", limited.run}, {"with rowhook", l.run}, {"with rowhook, store on another server", apart.run}},
		ratios: []ratio{{metric: transactions, of: "with L", to: "without rowhook"},
			{metric: transactions, of: "with rowhook", to: "without rowhook"},
			{metric: transactions, of: "with rowhook, store on another server", to: "without rowhook"}},
	}
}
