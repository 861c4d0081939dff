//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// HistoryOptions say what RunHistory does. Program, Dir, Rate, Writers and Keys are needed.
type HistoryOptions struct {
	// Program, Dir, Seed and Log are as in Options.
	Program, Dir string
	Seed         uint64
	Log          func(format string, args ...any)
	// Rate is how many transactions are written per second, by Writers connections: to Keys items most of them, and some to the Cold
	// ones behind these.
	Rate, Writers, Keys, Cold int
	// Rounds is how often each thing is done that can be. Half of them have a kill in their middle, as Kill says.
	Rounds int
	// Restarts is how often Postgres is restarted.
	Restarts int
	// Gap is the longest pause between two things.
	Gap time.Duration
}

// past is one run of RunHistory.
type past struct {
	HistoryOptions
	rng    *rand.Rand
	source *pgtest.Server
	url    string
	env    []string
	config string
	log    *os.File
	recv   *hooktest.Receiver
	app    *application
	began  time.Time

	mu   sync.Mutex
	proc *Process
	subs []*subscriber
	// life counts what ends the work of rowhook for a moment: what was sent before may be sent again behind it. What a killed one
	// has sent can be read when it is gone: so a life begins when rowhook is about to send.
	life atomic.Int64
	rep  HistoryReport
	// following are the consumers of feeds, until it has ended.
	following sync.WaitGroup
	ended     atomic.Bool
}

// RunHistory lets an application write, and mixes outages, subscriptions that are disabled and enabled, replays and backfills, with a
// kill in the middle of them. In the end each subscriber, by the rule that is documented, has to hold the items that it may see as
// they are in the table. What is not so is in the report, not in the error.
func RunHistory(ctx context.Context, o HistoryOptions) (*HistoryReport, error) {
	h := &past{HistoryOptions: o, rng: rand.New(rand.NewPCG(o.Seed, 7)), began: time.Now()}
	h.life.Store(1)
	h.rep.Seed = o.Seed
	defer h.cleanUp()
	err := h.setUp(ctx)
	if err == nil {
		err = h.work(ctx)
	}
	for _, s := range h.subs {
		s.mu.Lock()
		h.rep.Events += s.got.events
		h.rep.Again += s.got.again
		h.rep.Replayed += s.got.replayed
		h.rep.Backfilled += s.got.backfilled
		h.rep.Wrong += s.wrongs
		h.rep.Wrongs = append(h.rep.Wrongs, s.wrong...)
		s.mu.Unlock()
	}
	return &h.rep, err
}

func (h *past) say(format string, args ...any) {
	h.Log("%7.3fs "+format, append([]any{time.Since(h.began).Seconds()}, args...)...)
}

func (h *past) setUp(ctx context.Context) error {
	var err error
	if h.source, err = pgtest.Start(ctx, pgtest.Options{Settings: map[string]string{"fsync": "on", "max_wal_size": "1GB"}, Memory: true}); err != nil {
		return err
	}
	h.url = h.source.URL("postgres")
	conn, err := pgx.Connect(ctx, h.url)
	if err != nil {
		return err
	}
	err = prepareHistory(ctx, conn, h.Keys, h.Cold)
	_ = conn.Close(ctx)
	if err != nil {
		return err
	}
	if h.recv, err = hooktest.Start(hooktest.Options{Keep: 64}); err != nil {
		return err
	}
	h.config = filepath.Join(h.Dir, "history.yaml")
	if err := os.WriteFile(h.config, []byte(historyConfig), 0o600); err != nil {
		return err
	}
	if h.log, err = os.Create(filepath.Join(h.Dir, "rowhook.log")); err != nil {
		return err
	}
	h.env = []string{"DATABASE_URL=" + h.url, "SLOT=history"}
	if err := h.launch(ctx); err != nil {
		return err
	}
	for _, s := range []*subscriber{
		{name: "plain"},
		{name: "one", account: "1"},
		{name: "filtered", account: "2", kind: "a"},
		{name: "batches", batch: true},
		{name: "debounced", debounce: true, account: "1"},
		{name: "unordered", unordered: true, kind: "b"},
		{name: "loses", fails: true, account: "2"},
		{name: "owned", owned: true},
		{name: "abandoned", abandoned: true, fails: true, account: "1"},
		{name: "feed", feed: true, account: "2"},
	} {
		made, err := h.subscribe(ctx, s)
		if err != nil {
			return err
		}
		// They begin with nothing, and the table is there.
		if _, err := h.backfill(ctx, made, client.Backfill{}); err != nil {
			return err
		}
	}
	return nil
}

func (h *past) cleanUp() {
	h.ended.Store(true)
	if h.proc != nil {
		h.proc.Kill()
	}
	h.following.Wait()
	if h.recv != nil {
		h.recv.Close()
	}
	if h.source != nil {
		_ = h.source.Stop()
	}
	if h.log != nil {
		_ = h.log.Close()
	}
}

// launch starts rowhook and waits until it is ready.
func (h *past) launch(ctx context.Context) error {
	p, err := Launch(h.Program, h.config, h.env, h.log, func(time.Time) { h.life.Add(1) })
	if err != nil {
		return err
	}
	h.mu.Lock()
	h.proc = p
	h.mu.Unlock()
	h.rep.Lives++
	ready, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.WaitReady(ready)
}

// kill kills it, and, if anything is done in between, starts it behind that.
func (h *past) kill(ctx context.Context, between ...func() error) error {
	h.proc.Kill()
	h.rep.Kills++
	for _, do := range between {
		if err := do(); err != nil {
			return err
		}
	}
	return h.launch(ctx)
}

func (h *past) client(s *subscriber) *client.Client {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &client.Client{URL: h.proc.API(), Token: token}
	if s != nil && s.account != "" {
		c.Token += "-" + s.account
	}
	return c
}

// call calls the API until it answers: what is away comes again.
func (h *past) call(ctx context.Context, s *subscriber, do func(context.Context, *client.Client) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := do(ctx, h.client(s))
		if err == nil || !unavailable(err) && !statusIs(err, 429) {
			return err
		}
		wait(ctx, again)
		if ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
	}
}

func statusIs(err error, status int) bool {
	var answer *client.Error
	return errors.As(err, &answer) && answer.Status == status
}

// subscribe makes a subscription.
func (h *past) subscribe(ctx context.Context, s *subscriber) (*subscriber, error) {
	s.begin()
	s.life = func() int { return int(h.life.Load()) }
	want := &client.Subscription{Name: s.name, Events: []string{"item.*"}, TargetURL: h.recv.URL("/" + s.name)}
	if s.feed {
		want.TargetURL, want.FeedOnly = "", true
	}
	if s.kind != "" {
		want.Filter = fmt.Sprintf("data.kind == %q", s.kind)
	}
	if s.abandoned {
		want.Delivery.Timeout = "30s" // it loses nothing because a machine is slow
	}
	if s.fails {
		want.Delivery.Retries = &client.Retries{Count: 2}
	}
	if s.unordered {
		want.Delivery.Ordering = "none"
	}
	if s.debounce {
		want.Delivery.Debounce = "1s"
	}
	if s.batch {
		want.Delivery.Batch = &client.Batch{Max: batchMax, Wait: "100ms"}
	}
	h.recv.Handle("/"+s.name, s.answer)
	err := h.call(ctx, s, func(ctx context.Context, c *client.Client) error {
		made, err := c.Create(ctx, want)
		if err == nil {
			s.id = made.ID
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("subscribe %s: %w", s.name, err)
	}
	h.subs = append(h.subs, s)
	h.rep.Subscribers++
	if s.feed {
		h.following.Go(func() { h.follow(ctx, s) })
	}
	return s, nil
}

// follow reads a feed until rowhook is gone for good.
func (h *past) follow(ctx context.Context, s *subscriber) {
	for ctx.Err() == nil && !h.ended.Load() {
		s.mu.Lock()
		after := s.cursor
		s.mu.Unlock()
		if after == "" {
			after = "oldest"
		}
		page, err := h.client(s).Feed(ctx, s.id, client.FeedQuery{After: after, Limit: 50, Wait: time.Second})
		if err != nil {
			var told *client.Error
			if errors.As(err, &told) && told.Status < 500 && told.Status != 429 {
				s.mu.Lock()
				s.accuse("the feed after %s: %v", after, err)
				s.mu.Unlock()
				return
			}
			wait(ctx, again)
			continue
		}
		s.follow(page.Events, page.Cursor)
	}
}

// work writes, does one thing after the other, and compares.
func (h *past) work(ctx context.Context) error {
	type deed struct {
		name string
		do   func(context.Context) error
	}
	var deeds []deed
	for range h.Rounds {
		for _, d := range []deed{{"outage", h.outage}, {"outage", h.outage}, {"disable or enable", h.toggle}, {"replay", h.replayAny}, {"backfill", h.backfillAny},
			{"cancelled backfill", h.cancelled}, {"two backfills", h.twice}, {"late", h.late}, {"give up", h.giveUp}} {
			// One that gives up is killed anyway.
			if h.rng.IntN(2) == 0 && d.name != "give up" {
				do := d.do
				d.name, d.do = d.name+", killed", func(ctx context.Context) error { return h.inTheMiddle(ctx, do) }
			}
			deeds = append(deeds, d)
		}
	}
	for i := range h.Restarts {
		mode := []pgtest.Mode{pgtest.Immediate, pgtest.Fast}[i%2]
		deeds = append(deeds, deed{"restart of Postgres", func(context.Context) error {
			h.life.Add(1)
			defer h.life.Add(1)
			h.rep.Restarts++
			return h.source.Restart(mode)
		}})
	}
	h.rng.Shuffle(len(deeds), func(i, j int) { deeds[i], deeds[j] = deeds[j], deeds[i] })

	writing, stop := context.WithCancel(ctx)
	defer stop()
	h.app = &application{url: h.url, seed: h.Seed, rate: h.Rate, keys: h.Keys, total: h.Keys + h.Cold}
	written := make(chan error, 1)
	began := time.Now()
	go func() { written <- h.app.run(writing, h.Writers) }()
	err := func() error {
		for i, d := range deeds {
			wait(ctx, time.Duration(h.rng.Int64N(int64(h.Gap))))
			h.say("%s", d.name)
			if err := d.do(ctx); err != nil {
				return fmt.Errorf("%d of %d, %s: %w", i+1, len(deeds), d.name, err)
			}
		}
		return h.mendWhatWasOff(ctx)
	}()
	stop()
	err = errors.Join(err, <-written)
	h.rep.Loaded, h.rep.Transactions = time.Since(began), int(h.app.committed.Load())
	if err != nil {
		return err
	}
	return h.end(ctx)
}
