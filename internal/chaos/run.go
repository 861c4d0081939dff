//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
)

// Options say what a run does. All but Program, Dir and Rate may be zero.
type Options struct {
	// Program is rowhook, made by Build; Dir takes its config and its log, which stays there.
	Program, Dir string
	// Seed decides the schedule and the failures.
	Seed uint64
	// Rate is how many transactions are written per second, by Writers connections, over so many Keys. Every 15 s one
	// changes Bulk rows at once.
	Rate, Writers, Keys, Bulk int

	// How often what is done: SIGKILL and SIGTERM of rowhook, restarts of Postgres, half of them immediate; rowhook or
	// the walsender frozen; the store away for a moment, with OwnStore; subscriptions made, changed or deleted.
	Kills, Stops, Restarts, Freezes, Outages, Changes int
	// Gap is the longest pause between two of them.
	Gap time.Duration

	// Previous is the program of the release before: it begins, and there are Rounds of upgrades to Program, with roll-backs
	// between them. MustMigrate says that Program has to migrate the store for it.
	Previous    string
	Rounds      int
	MustMigrate bool
	// Further is SQL that is run once on the store, meanwhile: what a later release does to it.
	Further string

	// Standby has a second rowhook wait for the end of the first, all the time.
	Standby bool
	// OwnStore keeps the store in a cluster of its own.
	OwnStore bool
	// Soak breaks nothing, and looks for so long at what rowhook takes. Retention is what its config then says.
	Soak, Retention time.Duration
	// Drain is how long nothing may arrive at the end before what is missing counts as lost. Defaults to a minute.
	Drain time.Duration
	// Log is told what is done.
	Log func(format string, args ...any)
}

// run is one run.
type run struct {
	Options
	rng           *rand.Rand
	source, store *pgtest.Server
	url           string
	env           []string
	config        string
	log           *os.File
	ledger        *ledger
	recv          *hooktest.Receiver
	load          *load
	procs         []*Process // alive, the oldest first
	older         bool       // what is started next is the release before
	peaks         []int64
	subs          subs
	loaded        time.Duration
	found         Report // what check has found
	samples       []Sample
}

// patience is how long a start may take, Postgres' recovery and a standby's takeover included.
const patience = 90 * time.Second

// Run does a run and compares. The report is there with the error as far as it got; what was promised and not kept is in
// the report, not in the error.
func Run(ctx context.Context, o Options) (*Report, error) {
	if o.Log == nil {
		o.Log = func(string, ...any) {}
	}
	if o.Drain == 0 {
		o.Drain = time.Minute
	}
	r := &run{Options: o, rng: rand.New(rand.NewPCG(o.Seed, o.Seed)), ledger: newLedger()}
	defer r.cleanUp()
	if err := r.setUp(ctx); err != nil {
		return r.report(), fmt.Errorf("set up: %w", err)
	}
	if err := r.work(ctx); err != nil {
		return r.report(), err
	}
	if err := r.drain(ctx); err != nil {
		r.ledger.mu.Lock()
		r.ledger.accuse("%v", err)
		r.ledger.mu.Unlock()
	}
	if err := r.check(ctx); err != nil {
		return r.report(), fmt.Errorf("compare: %w", err)
	}
	return r.report(), nil
}

func (r *run) setUp(ctx context.Context) error {
	var err error
	settings := pgtest.Options{Settings: map[string]string{"fsync": "on", "max_wal_size": "1GB"}, Memory: true}
	if r.source, err = pgtest.Start(ctx, settings); err != nil {
		return err
	}
	r.url = r.source.URL("postgres")
	storeURL := r.url
	if r.OwnStore {
		if r.store, err = pgtest.Start(ctx, settings); err != nil {
			return err
		}
		storeURL = r.store.URL("postgres")
	}
	conn, err := pgx.Connect(ctx, r.url)
	if err != nil {
		return err
	}
	err = prepare(ctx, conn, r.Keys, r.Bulk)
	_ = conn.Close(ctx)
	if err != nil {
		return err
	}
	// Some requests are enough to look at when it goes wrong.
	if r.recv, err = hooktest.Start(hooktest.Options{Keep: 256, Script: r.ledger.answer}); err != nil {
		return err
	}
	r.config = filepath.Join(r.Dir, "config.yaml")
	text := config
	if r.Retention > 0 {
		text += fmt.Sprintf("retention: {for: %s}\n", r.Retention)
	}
	if err := os.WriteFile(r.config, []byte(text), 0o600); err != nil {
		return err
	}
	if r.log, err = os.Create(filepath.Join(r.Dir, "rowhook.log")); err != nil {
		return err
	}
	r.env = []string{"DATABASE_URL=" + r.url, "STORE_URL=" + storeURL, "SLOT=chaos"}
	r.older = r.Previous != ""
	if err := r.launch(ctx); err != nil {
		return err
	}
	for _, t := range r.subs.fixed(r) {
		if err := r.subs.make(ctx, r, t); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) cleanUp() {
	for _, p := range r.procs {
		_ = p.Signal(syscall.SIGCONT)
		p.Kill()
	}
	if r.recv != nil {
		r.recv.Close()
	}
	for _, s := range []*pgtest.Server{r.source, r.store} {
		if s != nil {
			_ = s.Stop()
		}
	}
	if r.log != nil {
		_ = r.log.Close()
	}
}

// start starts one rowhook; launch as many as there should be, and waits until they are ready.
func (r *run) start() (*Process, error) {
	program := r.Program
	if r.older {
		program = r.Previous
	}
	p, err := Launch(program, r.config, r.env, r.log, r.ledger.sending)
	if err == nil {
		r.procs = append(r.procs, p)
	}
	return p, err
}

func (r *run) launch(ctx context.Context) error {
	want := 1
	if r.Standby {
		want = 2
	}
	for len(r.procs) < want {
		p, err := r.start()
		if err != nil {
			return err
		}
		if err := r.ready(ctx, p); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) ready(ctx context.Context, p *Process) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return p.WaitReady(ctx)
}

// takeover is the least time in which a standby gets the slot.
const takeover = 50 * time.Millisecond

// ended forgets a process.
func (r *run) ended(p *Process) {
	if len(r.procs) > 1 {
		// The standby sends when it has got the slot, of which nobody tells.
		r.ledger.sending(time.Now().Add(takeover))
	}
	r.peaks = append(r.peaks, p.Peak())
	for i, q := range r.procs {
		if q == p {
			r.procs = append(r.procs[:i], r.procs[i+1:]...)
			return
		}
	}
}

// work writes, and breaks one thing after the other.
func (r *run) work(ctx context.Context) error {
	var actions []func(context.Context) error
	add := func(n int, what func(context.Context) error) {
		for range n {
			actions = append(actions, what)
		}
	}
	add(r.Kills, r.kill)
	add(r.Stops, r.stop)
	add(r.Restarts/2, func(context.Context) error { return r.restart(pgtest.Immediate) })
	add(r.Restarts-r.Restarts/2, func(context.Context) error { return r.restart(pgtest.Fast) })
	add(r.Freezes/2, r.freeze)
	add(r.Freezes-r.Freezes/2, r.freezeWalsender)
	add(r.Outages, r.outage)
	add(r.Changes, r.change)
	if r.Further != "" {
		add(1, r.bringFurther)
	}
	r.rng.Shuffle(len(actions), func(i, j int) { actions[i], actions[j] = actions[j], actions[i] })

	writing, stopWriting := context.WithCancel(ctx)
	defer stopWriting()
	r.load = &load{url: r.url, seed: r.Seed, rate: r.Rate, keys: r.Keys, bulk: r.Bulk}
	written := make(chan error, 1)
	began := time.Now()
	go func() { written <- r.load.run(writing, r.Writers) }()
	err := func() error {
		if r.Soak > 0 {
			return r.soak(ctx)
		}
		if r.Previous != "" {
			return r.upgrade(ctx)
		}
		for i, act := range actions {
			wait(ctx, time.Duration(r.rng.Int64N(int64(r.Gap)))) // the moment is the random part
			if err := act(ctx); err != nil {
				return fmt.Errorf("breakage %d of %d: %w", i+1, len(actions), err)
			}
			if (i+1)%20 == 0 {
				r.Log("%d of %d done, %d transactions", i+1, len(actions), r.load.transactions.Load())
			}
		}
		return nil
	}()
	stopWriting()
	err = errors.Join(err, <-written)
	r.loaded = time.Since(began)
	if err != nil {
		return err
	}
	return r.launch(ctx)
}

// victim is the process that is at work, or, seldom, its standby.
func (r *run) victim() *Process {
	if len(r.procs) > 1 && r.rng.IntN(5) == 0 {
		return r.procs[1]
	}
	return r.procs[0]
}

func (r *run) kill(ctx context.Context) error {
	p := r.victim()
	at := p.Kill()
	r.ledger.broke(killed, at)
	r.ended(p)
	if r.rng.IntN(8) == 0 { // and again, in the middle of its start
		p, err := r.start()
		if err != nil {
			return err
		}
		wait(ctx, time.Duration(r.rng.IntN(300))*time.Millisecond)
		r.ledger.broke(killed, p.Kill())
		r.ended(p)
	}
	return r.launch(ctx)
}

func (r *run) stop(ctx context.Context) error {
	p := r.victim()
	at := time.Now()
	err := p.Stop(patience)
	r.ledger.broke(stopped, at)
	r.ended(p)
	return errors.Join(err, r.launch(ctx))
}

func (r *run) restart(mode pgtest.Mode) error {
	defer r.ledger.over(r.ledger.broke(crashed, time.Now()))
	return r.source.Restart(mode)
}

// freezeFor is how long something is frozen: shorter than what makes anybody give up.
func (r *run) freezeFor() time.Duration {
	return time.Duration(200+r.rng.IntN(1800)) * time.Millisecond
}

func (r *run) freeze(ctx context.Context) error {
	p := r.victim()
	defer r.ledger.over(r.ledger.broke(frozen, time.Now()))
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	wait(ctx, r.freezeFor())
	return p.Signal(syscall.SIGCONT)
}

func (r *run) freezeWalsender(ctx context.Context) error {
	conn, err := pgx.Connect(ctx, r.url)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }()
	var pid *int
	if err := conn.QueryRow(ctx, `select active_pid from pg_replication_slots where slot_name = 'chaos'`).Scan(&pid); err != nil {
		return err
	}
	if pid == nil {
		return nil
	}
	defer r.ledger.over(r.ledger.broke(frozen, time.Now()))
	if err := syscall.Kill(*pid, syscall.SIGSTOP); err != nil {
		return nil // it has just ended
	}
	wait(ctx, r.freezeFor())
	_ = syscall.Kill(*pid, syscall.SIGCONT)
	return nil
}

// outage takes the store away for a moment.
func (r *run) outage(ctx context.Context) error {
	if r.store == nil {
		return nil
	}
	mode := pgtest.Fast
	if r.rng.IntN(2) == 0 {
		mode = pgtest.Immediate
	}
	defer r.ledger.over(r.ledger.broke(crashed, time.Now()))
	if err := r.store.Shutdown(mode, patience); err != nil {
		return err
	}
	wait(ctx, r.freezeFor())
	if r.rng.IntN(3) == 0 { // rowhook dies with it, and starts before it
		p := r.procs[0]
		r.ledger.broke(killed, p.Kill())
		r.ended(p)
		p, err := r.start()
		if err != nil {
			return err
		}
		wait(ctx, 300*time.Millisecond)
		return errors.Join(r.store.StartAgain(), r.ready(ctx, p))
	}
	return r.store.StartAgain()
}

// drain waits until as much has arrived as was committed, as long as something still comes.
func (r *run) drain(ctx context.Context) error {
	var want [4]int
	last := map[int64]int64{}
	conn, err := pgx.Connect(ctx, r.url)
	if err != nil {
		return err
	}
	rows, _ := conn.Query(ctx, `select op, count(*) from journal group by op`)
	var op, n int
	_, err = pgx.ForEachRow(rows, []any{&op, &n}, func() error { want[op] = n; return nil })
	if err == nil {
		rows, _ = conn.Query(ctx, `select id, max(seq) from journal group by id`)
		var key, seq int64
		_, err = pgx.ForEachRow(rows, []any{&key, &seq}, func() error { last[key] = seq; return nil })
	}
	_ = conn.Close(ctx)
	if err != nil {
		return err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	began := time.Now()
	moved, before := began, 0
	for {
		missing, got := "", 0
		for _, t := range r.subs.all {
			have := r.ledger.delivered(t)
			got += have[insert] + have[update] + have[remove]
			if !t.late && !(have[update] == want[update] && (t.updatesOnly || have == want)) {
				missing += fmt.Sprintf(" %s %v of %v", t.name, have[1:], want[1:])
			}
		}
		for _, g := range r.subs.guests {
			if owed := r.owed(g, last); owed > 0 {
				missing += fmt.Sprintf(" %s %d", g.target.name, owed)
			}
		}
		if missing == "" {
			r.Log("drained in %s", time.Since(began).Round(100*time.Millisecond))
			return r.settle(ctx)
		}
		if got != before {
			moved, before = time.Now(), got
		}
		if time.Since(moved) > r.Drain {
			return fmt.Errorf("nothing has arrived for %s, and there is still missing:%s", r.Drain, missing)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// settle stops rowhook cleanly and lets it start once more: then nothing is left to be sent, so nothing may come, but
// what was repeated after a kill and was answered badly.
func (r *run) settle(ctx context.Context) error {
	if err := r.stop(ctx); err != nil {
		return err
	}
	try, cancel := context.WithTimeout(ctx, r.Drain)
	defer cancel()
	for {
		due, _, _, err := r.stored(try)
		if err != nil {
			return fmt.Errorf("wait until nothing is due: %w", err)
		}
		if due == 0 {
			break
		}
		wait(try, again)
	}
	for len(r.procs) > 0 {
		p := r.procs[0]
		at := time.Now()
		err := p.Stop(patience)
		r.ledger.broke(stopped, at)
		r.ended(p)
		if err != nil {
			return err
		}
	}
	return nil
}
