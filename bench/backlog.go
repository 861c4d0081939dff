//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// backlog is a run in which everything waits when the system under test starts: how fast can it go?
type backlog struct {
	events int64
	// perInstance is how many of the events each instance has, where each has its own transaction; 0 is 1.
	perInstance int64
	// accounts are what the instances are spread over; 0 is 1.
	accounts int64
	// whole is one transaction; else each event has its own.
	whole bool
	// tables are mapped, and written to in turn; 0 is the items.
	tables int64
	// relate makes tables that the items are related to, relations how many relations are mapped.
	relate    bool
	relations int
	manners   manners
	// settings are added to the config.
	settings string
	// limit runs L instead of rowhook.
	limit bool
	// subscribe makes the subscriptions; nil is one of the admin's. It is told by what base to address the receiver.
	subscribe func(ctx context.Context, b *bench, r *rowhook) error
	// prepare is done with rowhook down, after it has made its tables.
	prepare func(ctx context.Context, b *bench, d *database) error
	// unsettled is a run of which something is left when the counted targets have everything.
	unsettled bool
	// gathered says that several events come in a request.
	gathered bool
	// receipts is how many events the counted targets get; 0 is one each.
	receipts int64
}

// hooks is the path of the receiver, where there is one subscription.
const hooks = "/hooks"

func (l backlog) run(ctx context.Context, b *bench, d *database) (*outcome, error) {
	if err := l.ready(ctx, b, d); err != nil {
		return nil, err
	}
	if err := d.fill(ctx, l); err != nil {
		return nil, err
	}
	if _, err := b.ask(ctx, order{Begin: &l.manners}); err != nil {
		return nil, err
	}
	begun := time.Now()
	s, err := b.start(ctx, d, l.limit)
	if err != nil {
		return nil, err
	}
	o, err := l.watch(ctx, b, s, begun)
	if err != nil {
		s.kill()
		return nil, err
	}
	return o, s.stop()
}

// ready makes what has to be there before the events are written.
func (l backlog) ready(ctx context.Context, b *bench, d *database) error {
	if l.tables > 0 {
		if err := d.spread(ctx, b, l.tables); err != nil {
			return err
		}
	}
	if l.settings != "" {
		if err := d.configure(b, l.settings); err != nil {
			return err
		}
	}
	if l.relate {
		if err := d.relate(ctx, b, l.events, l.relations); err != nil {
			return err
		}
	}
	if l.limit {
		return d.establish(ctx)
	}
	if err := b.visit(ctx, d, func(r *rowhook) error { return l.subscribed(ctx, b, r) }); err != nil || l.prepare == nil {
		return err
	}
	if err := l.prepare(ctx, b, d); err != nil {
		return err
	}
	// What was prepared is in the log too, and is not to be read in the run.
	return b.visit(ctx, d, func(*rowhook) error { return d.caughtUp(ctx) })
}

// visit runs rowhook for as long as a function takes.
func (b *bench) visit(ctx context.Context, d *database, do func(*rowhook) error) error {
	r, err := b.startRowhook(ctx, d, false)
	if err != nil {
		return err
	}
	if err := do(r); err != nil {
		r.kill()
		return err
	}
	return r.stop()
}

func (l backlog) subscribed(ctx context.Context, b *bench, r *rowhook) error {
	if l.subscribe != nil {
		return l.subscribe(ctx, b, r)
	}
	return r.subscribe(ctx, b.url(hooks), "")
}

// start starts L or rowhook.
func (b *bench) start(ctx context.Context, d *database, limit bool) (sut, error) {
	if limit {
		return b.startLimit(ctx, d, hooks)
	}
	return b.startRowhook(ctx, d, true)
}

// watch measures from the first receipt until everything has arrived and is settled: the start is not in it.
func (l backlog) watch(ctx context.Context, b *bench, s sut, begun time.Time) (*outcome, error) {
	expected := l.events
	if l.receipts > 0 {
		expected = l.receipts
	}
	memory := b.watchMemory()
	early, err := b.await(ctx, s, 1)
	from := b.sample(s)
	if err == nil {
		early, err = b.ask(ctx, order{}) // as many as had arrived when the sample was taken
	}
	if err == nil {
		_, err = b.await(ctx, s, expected)
	}
	if err == nil && !l.unsettled {
		err = s.settle(ctx)
	}
	postgresMemory := memory()
	if err != nil {
		return nil, err
	}
	to := b.sample(s)
	got, err := b.ask(ctx, order{})
	if err != nil {
		return nil, err
	}
	if got.Strange > 0 {
		return nil, errors.New("the receiver got what is no event" + got.strange())
	}
	took := got.Last.Sub(got.First).Seconds()
	if took <= 0 {
		return nil, fmt.Errorf("%d events arrived in no time: there are too few to measure", got.Distinct)
	}
	o := newOutcome(expected, got)
	o.set(rate, float64(got.Distinct)/took)
	o.set(firstEvent, float64(got.First.Sub(begun).Microseconds())/1000)
	if l.gathered {
		o.set(eventsPerRequest, float64(got.Distinct)/float64(got.Requests))
	}
	o.perEvent(s, from, to, got.Distinct-early.Distinct, postgresMemory)
	return o, nil
}

const (
	nameL       = "L"
	nameRowhook = "rowhook"
)

func backlogScenario(s sizes) scenario {
	l := backlog{events: s.backlog, perInstance: 4}
	limited := l
	limited.limit = true
	return scenario{
		Name:     "backlog",
		What:     fmt.Sprintf("%d single-row transactions wait, four of each instance; one subscription", s.backlog),
		variants: []variant{{nameL, limited.run}, {nameRowhook, l.run}},
		ratios: []ratio{{metric: rate, of: nameRowhook, to: nameL}, {metric: cpuPerEvent, of: nameRowhook, to: nameL},
			{metric: peakRSS, of: nameRowhook, to: nameL}},
	}
}

func transactionScenario(s sizes, name string, rows int64) scenario {
	single, whole := backlog{events: rows}, backlog{events: rows, whole: true}
	limited := whole
	limited.limit = true
	const nameSingle = "rowhook, single-row transactions"
	return scenario{
		Name:     name,
		What:     fmt.Sprintf("one transaction of %d rows waits, or as many single-row ones; one subscription", rows),
		variants: []variant{{nameL, limited.run}, {nameSingle, single.run}, {nameRowhook, whole.run}},
		ratios: []ratio{{metric: rate, of: nameRowhook, to: nameSingle}, {metric: rate, of: nameRowhook, to: nameL},
			{metric: peakRSS, of: nameRowhook, to: nameSingle}},
	}
}

func slowScenario(s sizes) scenario {
	l := backlog{events: s.slow, manners: manners{Delay: 20 * time.Millisecond}}
	limited := l
	limited.limit = true
	return scenario{
		Name:     "slow-receiver",
		What:     fmt.Sprintf("%d single-row transactions wait, one event of each instance; every answer takes 20 ms", s.slow),
		variants: []variant{{"L, 8 in flight", limited.run}, {nameRowhook, l.run}},
		ratios:   []ratio{{metric: rate, of: nameRowhook, to: "L, 8 in flight"}},
	}
}

func bodyScenario(s sizes) scenario {
	without := backlog{events: s.backlog, perInstance: 4}
	with := without
	with.manners.Body = "ok"
	return scenario{
		Name:     "answer-body",
		What:     fmt.Sprintf("the backlog of %d with answers without a body, and with one", s.backlog),
		variants: []variant{{"without", without.run}, {"with", with.run}},
		ratios:   []ratio{{metric: rate, of: "with", to: "without"}, {metric: cpuPerEvent, of: "with", to: "without"}},
	}
}
