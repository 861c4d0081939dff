//go:build unix

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"
)

// path is that of one of many targets.
func path(n int) string { return fmt.Sprintf("/t/%d", n) }

func paths(n int) (list []string) {
	for i := range n {
		list = append(list, path(i))
	}
	return list
}

// toEach subscribes every one of the paths.
func toEach(paths []string) func(context.Context, *bench, *rowhook) error {
	return func(ctx context.Context, b *bench, r *rowhook) error {
		for _, p := range paths {
			if err := r.subscribe(ctx, b.url(p), ""); err != nil {
				return err
			}
		}
		return nil
	}
}

func fanOutScenario(s sizes) scenario {
	targets := paths(int(s.fanOut))
	l := backlog{events: s.fanOutEvents, subscribe: toEach(targets), receipts: s.fanOutEvents * s.fanOut}
	bare := func(ctx context.Context, b *bench, _ *database) (*outcome, error) {
		return b.postAll(ctx, targets, s.fanOutEvents)
	}
	return scenario{
		Name:     "fan-out",
		What:     fmt.Sprintf("%d single-row transactions wait, for %d subscriptions each; beside a bare net/http client with %d in flight", s.fanOutEvents, s.fanOut, bareInFlight),
		variants: []variant{{"net/http", bare}, {nameRowhook, l.run}},
		ratios:   []ratio{{metric: rate, of: nameRowhook, to: "net/http"}, {metric: cpuPerEvent, of: nameRowhook, to: "net/http"}},
	}
}

// bareInFlight is how many requests the bare client has under way.
const bareInFlight = 32

// bare is the bare client, run.
type bare struct{ *role }

func (p bare) kind() string                 { return "the bare client" }
func (p bare) ended() <-chan struct{}       { return p.done }
func (p bare) settle(context.Context) error { return nil }

// postAll sends the events to all targets without reading any database.
func (b *bench) postAll(ctx context.Context, targets []string, events int64) (*outcome, error) {
	if _, err := b.ask(ctx, order{Begin: &manners{}}); err != nil {
		return nil, err
	}
	var urls []string
	for _, t := range targets {
		urls = append(urls, b.url(t))
	}
	begun := time.Now()
	r, err := startRole("post", postOrders{Targets: urls, Events: int(events), InFlight: bareInFlight})
	if err != nil {
		return nil, err
	}
	o, err := backlog{events: events * int64(len(targets))}.watch(ctx, b, bare{r}, begun)
	if err != nil {
		r.kill()
		return nil, err
	}
	return o, r.stop()
}

// perAccount is how many subscriptions each account has, of which one matches.
const perAccount = 10

func subscriptionsScenario(s sizes) scenario {
	few := backlog{events: s.matching, accounts: s.accounts}
	many := few
	many.subscribe = func(ctx context.Context, b *bench, r *rowhook) error { return r.subscribe(ctx, b.url(hooks), "0") }
	many.prepare = func(ctx context.Context, _ *bench, d *database) error {
		// The one that the API made is copied: the first of each account wants the items, the others the notes.
		tag, err := d.conn.Exec(ctx, `insert into rowhook.subscription (id, account, events, target_url, secrets, delivery, state, metadata, since)
			select 'sub_' || lpad(n::text, 26, 'a'), (n / $2)::text, case n % $2 when 0 then events else array['note.create', 'note.update'] end,
				target_url, secrets, delivery, state, metadata, since
			from rowhook.subscription, generate_series(1, $1::bigint - 1) n`, s.subscriptions, perAccount)
		if err != nil {
			return fmt.Errorf("make the subscriptions: %w", err)
		}
		if n := tag.RowsAffected(); n != s.subscriptions-1 {
			return fmt.Errorf("make the subscriptions: %d instead of %d were made", n, s.subscriptions-1)
		}
		return d.vacuum(ctx)
	}
	const nameMany = "many stored"
	return scenario{
		Name: "subscriptions",
		What: fmt.Sprintf("%d single-row transactions wait; one subscription, or %d over %d accounts, of which one matches each event",
			s.matching, s.subscriptions, s.accounts),
		variants: []variant{{"one stored", few.run}, {nameMany, many.run}},
		ratios: []ratio{{metric: rate, of: nameMany, to: "one stored"}, {metric: cpuPerEvent, of: nameMany, to: "one stored"},
			{metric: peakRSS, of: nameMany, to: "one stored"}},
	}
}

const (
	healthyTargets = 8
	// slowAnswer is what the slow target takes.
	slowAnswer = time.Second
)

func isolationScenario(s sizes) scenario {
	healthy := paths(healthyTargets)
	slow := path(healthyTargets)
	alone := backlog{events: s.isolation, unsettled: true, subscribe: toEach(healthy), receipts: s.isolation * healthyTargets,
		manners: manners{Counted: healthy, Slow: map[string]time.Duration{slow: slowAnswer}}}
	beside := alone
	beside.subscribe = func(ctx context.Context, b *bench, r *rowhook) error {
		dead, err := closedPort()
		if err != nil {
			return err
		}
		// The sick ones first: what comes first could be preferred.
		return errors.Join(r.subscribe(ctx, "http://"+dead+"/", ""), toEach(slices.Concat([]string{slow}, healthy))(ctx, b, r))
	}
	return scenario{
		Name: "isolation",
		What: fmt.Sprintf("%d single-row transactions wait; %d healthy subscriptions alone, and beside one that refuses connections and one that takes %s",
			s.isolation, healthyTargets, slowAnswer),
		variants: []variant{{"the healthy alone", alone.run}, {"beside a dead and a slow one", beside.run}},
		ratios:   []ratio{{metric: rate, of: "beside a dead and a slow one", to: "the healthy alone"}},
	}
}

// closedPort is an address at which nobody listens.
func closedPort() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func retentionScenario(s sizes) scenario {
	empty := backlog{events: s.retention, perInstance: 4}
	full := empty
	full.prepare = func(ctx context.Context, _ *bench, d *database) error { return d.retain(ctx, s.retained) }
	const nameFull, nameEmpty = "full store", "empty store"
	return scenario{
		Name:     "retention",
		What:     fmt.Sprintf("%d single-row transactions wait; the store is empty, or keeps %d delivered events of today", s.retention, s.retained),
		variants: []variant{{nameEmpty, empty.run}, {nameFull, full.run}},
		ratios: []ratio{{metric: rate, of: nameFull, to: nameEmpty}, {metric: cpuPerEvent, of: nameFull, to: nameEmpty},
			{metric: postgresCPU, of: nameFull, to: nameEmpty}},
	}
}

// retain writes delivered events of today into the store, in the partitions that new ones go to.
func (d *database) retain(ctx context.Context, events int64) error {
	for _, table := range []string{"event", "attempt", "outcome", "resent"} {
		_, err := d.conn.Exec(ctx, fmt.Sprintf(`do $$ begin execute format(
			'create table if not exists rowhook.%[1]s_%%s partition of rowhook.%[1]s for values from (%%L) to (%%L)',
			to_char(now() at time zone 'UTC', 'YYYYMMDD'), date_trunc('day', now(), 'UTC'), date_trunc('day', now(), 'UTC') + interval '1 day'); end $$`, table))
		if err != nil {
			return fmt.Errorf("make today's partition of %s: %w", table, err)
		}
	}
	// Their positions are before all that are to come: epoch and commit LSN 0, and the number as ordinal.
	_, err := d.conn.Exec(ctx, `with e as (
			insert into rowhook.event (position, committed_at, id, type, resource, instance, account, data)
			select decode(lpad(to_hex(n), 40, '0'), 'hex'), greatest(now() - n * interval '1 microsecond', date_trunc('day', now(), 'UTC')),
				'evt_' || lpad(n::text, 26, 'a'), 'item.update', 'item', n::text, '1',
				convert_to('{"id":' || n || ',"name":"' || md5(n::text) || '","note":"' || repeat(md5((n + 1)::text), 10) || '"}', 'UTF8')
			from generate_series(1, $1::bigint) n
			returning position, committed_at)
		insert into rowhook.outcome (subscription, newest, committed_at, oldest, finished_at, packed)
		select (select min(key) from rowhook.subscription), (array_agg(position order by position desc))[1], min(committed_at),
			(array_agg(position order by position))[1], now(),
			string_agg(position || int4send(500) || int2send(200::smallint) || int2send(1::smallint) || '\x01'::bytea, ''::bytea)
		from (select *, row_number() over () / 20 as written from e) e group by written`, events)
	if err != nil {
		return fmt.Errorf("fill the store: %w", err)
	}
	return d.vacuum(ctx)
}
