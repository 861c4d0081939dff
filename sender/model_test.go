package sender_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestDispatcherKeepsItsPromises lets a Dispatcher live through random work, options of all kinds and trouble, and then asks for all of it:
// nothing is lost, first deliveries come in the order of submission, the newest one last, every receipt is settled, the
// memory is given back. A failure names its seed: ROWHOOK_SEED=7 plays it again; ROWHOOK_SEEDS=500 tries more.
func TestDispatcherKeepsItsPromises(t *testing.T) {
	t.Parallel()
	from, n := 1, 16
	if testing.Short() {
		n = 6
	}
	if s, err := strconv.Atoi(os.Getenv("ROWHOOK_SEEDS")); err == nil {
		n = s
	}
	if s, err := strconv.Atoi(os.Getenv("ROWHOOK_SEED")); err == nil {
		from, n = s, 1
	}
	for seed := from; seed < from+n; seed++ {
		t.Run(fmt.Sprint("Memory/", seed), func(t *testing.T) {
			t.Parallel()
			newModel(t, &memoryKeepers{memory: newMemory()}, uint64(seed)).live(40)
		})
		if seed%8 == 1 {
			t.Run(fmt.Sprint("Postgres/", seed), func(t *testing.T) {
				t.Parallel()
				newModel(t, newPostgresKeepers(t), uint64(seed)).live(40)
			})
		}
	}
}

// process is one rowhook: a Dispatcher, its store, and what it has taken from the stream.
type process struct {
	*running
	keeper keeper
	faulty *faulty
	taken  []taken
}

// taken is a batch that was taken from the stream, by its place in it.
type taken struct {
	at      int
	receipt *cdc.Receipt
}

// limited is the subscription that has a rate limit, limitedRate that in requests a second, and limitedBurst what may come of
// it at once.
const limited, limitedRate, limitedBurst = 2, 80, 8

// model is the world around a Dispatcher.
type model struct {
	t        *testing.T
	rng      *rand.Rand
	keepers  keepers
	receiver *hooktest.Receiver
	now      *process
	old      []*process

	subs    []*subscriptions.Subscription
	removed map[int64]int
	// shadowed are those that were a shadow at some time; batched, debounced and loose are those that had such options.
	shadowed, batched, debounced, loose map[int64]bool
	// broken are the paths whose targets take nothing for now.
	broken sync.Map
	// defaults are what the config says, as it was loaded last.
	defaults sender.Config
	// stream is what was ever submitted, in order; settledTo how much of it is settled for good.
	stream    [][]sender.Job
	settledTo int
	last      int
	// resent counts how often a delivery was asked for again. owed are those that it is not known of whether they have their rows.
	resent map[pair]int
	owed   []sender.Job
	// begun is when it began, starts how many processes there were.
	begun  time.Time
	starts int

	mu sync.Mutex
	// uncertain counts, by delivery, the attempts whose answer we did not see: each may have been a success.
	uncertain map[string]int
}

func newModel(t *testing.T, k keepers, seed uint64) *model {
	m := &model{t: t, rng: rand.New(rand.NewPCG(seed, seed)), keepers: k, removed: map[int64]int{},
		shadowed: map[int64]bool{}, batched: map[int64]bool{}, debounced: map[int64]bool{}, loose: map[int64]bool{},
		resent: map[pair]int{}, uncertain: map[string]int{}, begun: time.Now()}
	chance := rand.New(rand.NewPCG(seed, 1))
	m.receiver = hooktest.New(t, func(r hooktest.Request) hooktest.Answer {
		if unwanted(r.ID) {
			return dropped()
		}
		if status, ok := m.broken.Load(r.Path); ok {
			return hooktest.Status(status.(int))
		}
		if m, _ := r.Messages(); len(m) > 4 && chance.IntN(8) == 0 {
			return hooktest.Status(413)
		}
		switch p := chance.IntN(100); {
		case p >= 98:
			return hooktest.RetryAfter([]int{429, 503}[p%2], "1")
		case p < 15:
			return hooktest.Status(500)
		case p < 20:
			return hooktest.Reset()
		case p < 23:
			return hooktest.Hang()
		case p < 40:
			return hooktest.OK().After(time.Duration(chance.IntN(30)) * time.Millisecond)
		}
		return hooktest.OK()
	})
	for i := range 6 {
		s := newSubscription(k.subscription(), m.receiver.URL(fmt.Sprintf("/%d", i)))
		s.Delivery.MaxInFlight = 1 + 2*i
		if i == limited {
			s.Delivery.RateLimit = subscriptions.Rate{Count: limitedRate, Unit: 's'}
		}
		switch i {
		case 1, 3:
			s.Delivery.Batch = m.batch()
		case 4:
			s.Delivery.Ordering = subscriptions.OrderingNone
		case 5:
			s.Delivery.Debounce = durationOf(100 * time.Millisecond)
		}
		m.subs = append(m.subs, s)
		m.note(s)
	}
	m.defaults = m.config()
	m.start()
	return m
}

// note remembers what a subscription may do by its options.
func (m *model) note(s *subscriptions.Subscription) {
	debounce := m.defaults.Debounce
	if s.Delivery.Debounce != nil {
		debounce = time.Duration(*s.Delivery.Debounce)
	}
	if debounce > 0 {
		m.debounced[s.Key] = true
	}
	if s.Delivery.Batch != nil {
		m.batched[s.Key] = true
	}
	if s.Delivery.Ordering == subscriptions.OrderingNone {
		m.loose[s.Key] = true
	}
}

func durationOf(d time.Duration) *subscriptions.Duration {
	x := subscriptions.Duration(d)
	return &x
}

// options changes some of how a subscription is sent to.
func (m *model) options(i int, o *subscriptions.DeliveryOptions) {
	switch m.rng.IntN(4) {
	case 0:
		if o.Batch = nil; m.rng.IntN(3) > 0 {
			o.Batch = m.batch()
		}
	case 1:
		o.Debounce = nil
		if d := m.rng.IntN(4); d > 0 {
			o.Debounce = durationOf(time.Duration(d-1) * 40 * time.Millisecond)
		}
	case 2:
		if o.RateLimit = (subscriptions.Rate{}); i == limited {
			o.RateLimit = subscriptions.Rate{Count: limitedRate, Unit: 's'}
		} else if m.rng.IntN(2) == 0 {
			o.RateLimit = subscriptions.Rate{Count: int32(30 + 100*m.rng.IntN(10)), Unit: 's'}
		}
	default:
		o.Retries = nil
		if m.rng.IntN(2) == 0 {
			o.Retries = &subscriptions.Retries{}
			for range 1 + m.rng.IntN(20) {
				o.Retries.Waits = append(o.Retries.Waits, subscriptions.Duration(time.Duration(1+m.rng.IntN(30))*time.Millisecond))
			}
		}
	}
}

// reconfigure loads other defaults.
func (m *model) reconfigure() {
	c := m.config()
	c.Hold = time.Duration(20+m.rng.IntN(100)) * time.Millisecond
	c.Memory = int64(8+m.rng.IntN(24)) << 10
	c.MaxInFlight = 4 + m.rng.IntN(16)
	if m.rng.IntN(3) == 0 {
		c.Debounce = time.Duration(20+m.rng.IntN(50)) * time.Millisecond
	}
	if m.rng.IntN(3) == 0 {
		c.RateLimit = subscriptions.Rate{Count: 100, Unit: 's'}
	}
	m.defaults = c
	for _, s := range m.subs {
		m.note(s)
	}
	m.now.Reconfigure(c)
}

// breakSome lets a target take nothing for a while, or mends it.
func (m *model) breakSome() {
	path := fmt.Sprintf("/%d", m.rng.IntN(len(m.subs)))
	if _, ok := m.broken.LoadAndDelete(path); !ok {
		m.broken.Store(path, []int{500, 502, 422}[m.rng.IntN(3)])
	}
}

// batch is one of some sizes, that waits not at all, or shorter or longer than Hold.
func (m *model) batch() *subscriptions.Batch {
	waits := []time.Duration{0, 10 * time.Millisecond, 40 * time.Millisecond, 150 * time.Millisecond}
	return &subscriptions.Batch{Max: 1 + m.rng.IntN(12), Bytes: subscriptions.Size(1+m.rng.IntN(8)) << 10,
		Wait: subscriptions.Duration(waits[m.rng.IntN(len(waits))])}
}

// unwanted says of some events that their targets never want them.
func unwanted(id string) bool {
	n, _ := strconv.Atoi(strings.TrimPrefix(id, "evt_"))
	return n%23 == 7
}

func dropped() hooktest.Answer {
	return hooktest.Status(406).With("Webhook-Delivery", "drop")
}

func (m *model) config() sender.Config {
	cfg := testConfig()
	cfg.MaxInFlight, cfg.Hold, cfg.Timeout = 12, 60*time.Millisecond, 400*time.Millisecond
	cfg.Memory = 16 << 10
	cfg.OnAttempt = func(r sender.Report) {
		if v := r.Outcome.Verdict; !r.Replay && (v == sender.Interrupted || v == sender.Retry && r.Outcome.Status == 0) {
			m.mu.Lock()
			messages := r.Messages
			if messages == nil {
				messages = []*mapping.Event{r.Event}
			}
			for _, ev := range messages {
				m.uncertain[deliveryName(r.Subscription.TargetURL.Reveal(), ev.ID)]++
			}
			m.mu.Unlock()
		}
	}
	return cfg
}

func deliveryName(target, event string) string {
	return target[strings.LastIndexByte(target, '/'):] + " " + event
}

// start begins a process that takes over: what is not settled comes again from the stream, but for what is recorded.
func (m *model) start() {
	k := m.keepers.open()
	p := &process{keeper: k, faulty: &faulty{Store: k}}
	p.running = run(m.t, m.defaults, p.faulty)
	if m.rng.IntN(2) == 0 {
		p.SetKeysMax(m.rng.IntN(8))
	}
	m.now = p
	m.starts++
	k.own()
	m.resume(false)
	for at := m.settledTo; at < len(m.stream); at++ {
		m.take(at)
	}
	m.resend()
}

// resume is what the handler does when a connection has begun.
func (m *model) resume(same bool) {
	known := map[int64]*subscriptions.Subscription{}
	for _, s := range m.subs {
		if _, ok := m.removed[s.Key]; !ok {
			known[s.Key] = s
		}
	}
	err := m.now.Resume(m.t.Context(), same, func(key int64) *subscriptions.Subscription { return known[key] })
	if err != nil {
		m.t.Fatal(err)
	}
}

// take submits a batch of the stream, leaving out what the store has.
func (m *model) take(at int) {
	var jobs []sender.Job
	n := 0
	for _, j := range m.stream[at] {
		j.Stored = m.now.keeper.hasEvent(j.Event.Position)
		var to []*subscriptions.Subscription
		for _, s := range j.To {
			// Nobody wants what is for a subscription that is not there any more.
			if _, gone := m.removed[s.Key]; !gone && !m.now.keeper.has(s.Key, j.Event) {
				to = append(to, s)
			}
		}
		if j.To = to; len(to) > 0 {
			jobs = append(jobs, j)
			n += len(to)
		}
	}
	receipt := cdc.NewReceipt(n)
	if err := m.now.Submit(m.t.Context(), jobs, receipt); err != nil {
		m.t.Fatal(err)
	}
	m.now.taken = append(m.now.taken, taken{at, receipt})
}

// settle notes how far the stream is settled: what the checkpoint does.
func (m *model) settle() {
	for len(m.now.taken) > 0 && m.now.taken[0].receipt.IsSettled() {
		m.settledTo = max(m.settledTo, m.now.taken[0].at+1)
		m.now.taken = m.now.taken[1:]
	}
}

func (m *model) live(steps int) {
	for range steps {
		m.step()
		m.settle()
	}
	m.finish()
	m.check()
}

func (m *model) step() {
	switch p := m.rng.IntN(100); {
	case p < 48:
		m.submit()
	case p < 51:
		m.reconfigure()
	case p < 54:
		m.breakSome()
	case p < 60:
		m.askAgain()
	case p < 68:
		n, lose := 1+m.rng.IntN(2), m.rng.IntN(2) == 0
		m.now.faulty.set(func(f *faulty) {
			if lose {
				f.lose = n
			} else {
				f.refuse = n
			}
		})
	case p < 74:
		pause(time.Duration(m.rng.IntN(100)) * time.Millisecond)
	case p < 77:
		m.now.Pause(time.Now())
		for range m.rng.IntN(3) {
			m.submit()
			pause(time.Duration(m.rng.IntN(30)) * time.Millisecond)
		}
		m.now.Pause(time.Time{})
	case p < 82:
		m.now.Suspend()
		if m.rng.IntN(2) == 0 {
			pause(time.Duration(m.rng.IntN(30)) * time.Millisecond)
		}
		m.resume(m.rng.IntN(2) == 0)
	case p < 87:
		m.update()
	case p < 88:
		m.remove()
	case p < 92:
		m.restart()
	case p < 96:
		m.crash()
	default:
		m.failover()
	}
}

// pause lets the world go on for a time that the seed gives: nothing is asserted of what happens within.
func pause(d time.Duration) {
	t := time.NewTimer(d)
	<-t.C
}

func (m *model) submit() {
	var jobs []sender.Job
	for range 1 + m.rng.IntN(12) {
		m.last++
		ev := newEvent(m.last, string(rune('a'+m.rng.IntN(3))))
		ev.Time = time.Now() // an old one is not waited for
		ev.Data = append(ev.Data[:len(ev.Data)-1], fmt.Sprintf(`,"pad":%q}`, strings.Repeat("x", m.rng.IntN(600)))...)
		j := sender.Job{Event: ev}
		for _, s := range m.subs {
			if _, gone := m.removed[s.Key]; !gone && m.rng.IntN(3) > 0 {
				j.To = append(j.To, s)
			}
		}
		jobs = append(jobs, j)
	}
	m.stream = append(m.stream, jobs)
	m.take(len(m.stream) - 1)
}

// askAgain asks for some of what has ended, or all of it, to be sent again; and crashes, sometimes, before that is known to be durable.
func (m *model) askAgain() {
	some := 1 + m.rng.IntN(40)
	for _, batch := range m.stream {
		for _, j := range batch {
			for _, s := range j.To {
				p := pair{s.Key, j.Event.Position}
				if _, gone := m.removed[s.Key]; gone || m.rng.IntN(some) > 0 {
					continue
				}
				if f, ended := m.now.keeper.outcome(p); ended {
					m.owed = append(m.owed, again(j.Event, f.attempts+10*m.resent[p], m.subscription(s.Key)))
					m.resent[p]++
				}
			}
		}
	}
	if m.rng.IntN(4) > 0 {
		m.resend()
		return
	}
	ctx, cancel := context.WithCancel(m.t.Context())
	ended := make(chan struct{})
	p, jobs := m.now, m.unasked()
	go func() {
		defer close(ended)
		_ = p.Resend(ctx, jobs)
	}()
	if m.rng.IntN(2) == 0 {
		pause(time.Duration(m.rng.IntN(30)) * time.Millisecond)
	}
	m.crash()
	cancel()
	<-ended
}

// subscription is one as it is now.
func (m *model) subscription(key int64) *subscriptions.Subscription {
	return m.subs[slices.IndexFunc(m.subs, func(s *subscriptions.Subscription) bool { return s.Key == key })]
}

// unasked is what is owed and has no row.
func (m *model) unasked() []sender.Job {
	if err := m.now.Recorded(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	return slices.DeleteFunc(slices.Clone(m.owed), func(j sender.Job) bool {
		return m.now.keeper.waits(pair{j.To[0].Key, j.Event.Position})
	})
}

// resend is what the process that reads the slot does with a page.
func (m *model) resend() {
	if len(m.owed) == 0 {
		return
	}
	if err := m.now.Resend(m.t.Context(), m.unasked()); err != nil {
		m.t.Fatal(err)
	}
	m.owed = nil
}

// update changes a subscription: its slots, or its state.
func (m *model) update() {
	i := m.rng.IntN(len(m.subs))
	if _, gone := m.removed[m.subs[i].Key]; gone {
		return
	}
	s := m.subs[i].Clone()
	s.Version++
	switch {
	case m.rng.IntN(2) == 0:
		m.options(i, &s.Delivery)
	case m.rng.IntN(2) == 0:
		s.Delivery.MaxInFlight = 1 + m.rng.IntN(8)
	case s.State != subscriptions.Active:
		s.State = subscriptions.Active
	case m.rng.IntN(2) == 0:
		s.State = subscriptions.Disabled
	default:
		s.State = subscriptions.Shadow
		m.shadowed[s.Key] = true
	}
	m.subs[i] = s
	m.note(s)
	m.now.Update(s)
}

func (m *model) remove() {
	if len(m.removed) == 2 {
		return
	}
	i := m.rng.IntN(len(m.subs))
	key := m.subs[i].Key
	if _, gone := m.removed[key]; gone {
		return
	}
	m.now.Remove(key)
	// What is on the way through the kernel, or to a receiver that is slow to be woken, was sent before.
	pause(200 * time.Millisecond)
	m.removed[key] = len(m.requests(i))
	if m.rng.IntN(2) == 0 {
		// Something matched before the removal was seen in the stream.
		m.now.submit(m.t, newEvent(1_000_000+m.last, "z"), m.subs[i])
	}
	m.now.Forget(key)
}

func (m *model) requests(sub int) []hooktest.Request {
	return hooktest.ByPath(m.receiver.Requests())[fmt.Sprintf("/%d", sub)]
}

// restart ends the process in order, and starts another one.
func (m *model) restart() {
	m.now.Drain(time.Duration(m.rng.IntN(300)) * time.Millisecond)
	// The source waits for the receipts before the rest is stopped.
	m.receipts(m.now)
	eventually(m.t, "everything is written", func() bool { return m.now.Counts().Unwritten == 0 })
	m.now.stop()
	m.settle()
	m.start()
}

// crash ends the process in the middle: nothing that it has not written is ever written.
func (m *model) crash() {
	m.now.faulty.set(func(f *faulty) { f.dead = true })
	p := m.now
	m.settle()
	p.Suspend()
	// Requests that have been begun must have arrived before those of the next process: nobody can take them back.
	eventually(m.t, "requests end", func() bool { return p.Counts().InFlight == 0 })
	m.allowUnwritten()
	p.stop()
	m.start()
}

// failover starts another process while this one, which has lost its connection, does not know yet.
func (m *model) failover() {
	p := m.now
	gate := make(chan struct{})
	p.faulty.set(func(f *faulty) { f.gate = gate })
	p.Suspend()
	eventually(m.t, "requests end", func() bool { return p.Counts().InFlight == 0 })
	m.settle()
	m.allowUnwritten()
	m.start()
	close(gate)
	m.old = append(m.old, p)
}

// allowUnwritten allows another delivery of what is not known to be finished when a process ends without a word.
func (m *model) allowUnwritten() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, batch := range m.stream {
		for _, j := range batch {
			for _, s := range j.To {
				if _, ok := m.now.keeper.outcome(pair{s.Key, j.Event.Position}); !ok {
					m.uncertain[deliveryName(s.TargetURL.Reveal(), j.Event.ID)]++
				}
			}
		}
	}
}

// finish lets all trouble end, and waits until everything is done.
func (m *model) finish() {
	m.receiver.HandleAll(func(r hooktest.Request) hooktest.Answer {
		if unwanted(r.ID) {
			return dropped()
		}
		return hooktest.OK()
	})
	m.receiver.Release()
	m.now.faulty.set(func(f *faulty) { f.refuse, f.lose = 0, 0 })
	for i, s := range m.subs {
		if _, gone := m.removed[s.Key]; !gone && s.State != subscriptions.Active {
			if s.State == subscriptions.Shadow && m.rng.IntN(2) == 0 {
				continue // all that it has is dropped
			}
			m.subs[i] = s.Clone()
			m.subs[i].Version++
			m.subs[i].State = subscriptions.Active
			m.now.Update(m.subs[i])
		}
	}
	m.now.idle(m.t)
	for _, p := range append(slices.Clone(m.old), m.now) {
		m.receipts(p)
	}
}

// receipts waits for those of a process.
func (m *model) receipts(p *process) {
	var receipts []*cdc.Receipt
	for _, x := range p.taken {
		receipts = append(receipts, x.receipt)
	}
	settled(m.t, receipts...)
}

func (m *model) check() {
	for i, s := range m.subs {
		requests := m.requests(i)
		odd := func(id string) bool { return unwanted(id) && !m.batched[s.Key] }
		if before, gone := m.removed[s.Key]; gone {
			if len(requests) > before {
				m.t.Errorf("%s: %d requests after it was removed", s.ID, len(requests)-before)
			}
			continue
		}
		if i == limited {
			// Each process begins anew, whatever the one before has sent.
			for n, q := range requests {
				if most := m.starts*limitedBurst + int(q.At.Sub(m.begun)*limitedRate/time.Second); n+1 > most {
					m.t.Fatalf("%s: %d requests after %s and %d starts, at most %d are allowed", s.ID, n+1, q.At.Sub(m.begun), m.starts, most)
				}
			}
		}
		replays, first := partReplays(hooktest.Split(requests))
		m.checkReplays(s, replays)
		delivered := hooktest.Delivered(first)
		times := hooktest.ByID(delivered)
		failed := map[string]bool{}
		want := m.wanted(s)
		for _, batch := range m.stream {
			for _, j := range batch {
				if !slices.Contains(want, j.Event) {
					continue
				}
				got, ok := m.now.keeper.outcome(pair{s.Key, j.Event.Position})
				n := len(times[j.Event.ID])
				switch {
				case !ok:
					m.t.Errorf("%s %s: not recorded", s.ID, j.Event.ID)
				case got.status == sender.StatusDropped && !m.shadowed[s.Key] && !unwanted(j.Event.ID) && (!m.debounced[s.Key] || newest(want, j.Event)):
					m.t.Errorf("%s %s: dropped, and never was it a shadow", s.ID, j.Event.ID)
				case odd(j.Event.ID) && got.status != sender.StatusDropped:
					m.t.Errorf("%s %s: its target does not want it, and it ended as %s", s.ID, j.Event.ID, got.status)
				case got.status == sender.StatusFailed, got.status == sender.StatusDropped:
					failed[j.Event.ID] = true
				case n == 0:
					m.t.Errorf("%s %s: recorded as delivered, and never arrived", s.ID, j.Event.ID)
				}
				if allowed := 1 + m.uncertain[deliveryName(s.TargetURL.Reveal(), j.Event.ID)]; n > allowed {
					m.t.Errorf("%s %s: delivered %d times, at most %d are allowed", s.ID, j.Event.ID, n, allowed)
				}
			}
		}
		if !m.loose[s.Key] {
			m.checkOrder(s, delivered, want, failed)
		}
	}
}

// wanted are the events of a subscription, in their order.
func (m *model) wanted(s *subscriptions.Subscription) (want []*mapping.Event) {
	for _, batch := range m.stream {
		for _, j := range batch {
			if slices.ContainsFunc(j.To, func(x *subscriptions.Subscription) bool { return x.Key == s.Key }) {
				want = append(want, j.Event)
			}
		}
	}
	return want
}

// newest says that no later event is of the same instance: nothing could have taken its place.
func newest(events []*mapping.Event, ev *mapping.Event) bool {
	return !slices.ContainsFunc(events, func(x *mapping.Event) bool { return x.Instance == ev.Instance && x.Position.Compare(ev.Position) > 0 })
}

func partReplays(requests []hooktest.Request) (replays, others []hooktest.Request) {
	for _, r := range requests {
		if r.Header.Get("Webhook-Replay") == "1" {
			replays = append(replays, r)
		} else {
			others = append(others, r)
		}
	}
	return replays, others
}

// checkReplays looks for what was asked for again, and for nothing else.
func (m *model) checkReplays(s *subscriptions.Subscription, replays []hooktest.Request) {
	asked := map[string]bool{}
	times := hooktest.ByID(hooktest.Delivered(replays))
	for _, batch := range m.stream {
		for _, j := range batch {
			p := pair{s.Key, j.Event.Position}
			if m.resent[p] == 0 {
				continue
			}
			asked[j.Event.ID] = true
			ends := m.now.keeper.resent(p)
			if len(ends) == 0 && !m.shadowed[s.Key] {
				m.t.Errorf("%s %s: was to be sent again, and nothing has become of it", s.ID, j.Event.ID)
			}
			for _, f := range ends {
				if f.status == sender.StatusDelivered && len(times[j.Event.ID]) == 0 {
					m.t.Errorf("%s %s: recorded as delivered again, and never arrived", s.ID, j.Event.ID)
				}
			}
			if m.now.keeper.waits(p) {
				m.t.Errorf("%s %s: still waits", s.ID, j.Event.ID)
			}
		}
	}
	for _, r := range replays {
		if !asked[r.ID] {
			m.t.Errorf("%s %s: sent again, and nobody has asked for it", s.ID, r.ID)
		}
	}
}

// checkOrder compares first deliveries of each key with the order of submission, and looks for the newest one last.
func (m *model) checkOrder(s *subscriptions.Subscription, delivered []hooktest.Request, want []*mapping.Event, failed map[string]bool) {
	byKey := map[string][]string{}
	for _, ev := range want {
		if !failed[ev.ID] {
			byKey[ev.Instance] = append(byKey[ev.Instance], ev.ID)
		}
	}
	for instance, requests := range hooktest.ByInstance(delivered) {
		var order []string
		for _, r := range requests {
			again := slices.Index(order, r.ID)
			if again >= 0 && m.debounced[s.Key] {
				// What stood for those before it was sent, which a crash forgot, and they are not merged any more.
				order = slices.Delete(order, again, again+1)
				again = -1
			}
			if !failed[r.ID] && again < 0 {
				order = append(order, r.ID)
			}
		}
		key := strings.TrimPrefix(instance, "contact/")
		if !slices.Equal(order, byKey[key]) {
			m.t.Errorf("%s %s: deliveries in the order\n%v, want\n%v", s.ID, key, order, byKey[key])
		}
	}
	if err := hooktest.CheckNewestLast(delivered); err != nil {
		m.t.Errorf("%s: %v", s.ID, err)
	}
}
