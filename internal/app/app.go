package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/coalesce"
	"github.com/rowhook/rowhook/internal/api"
	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/console"
	"github.com/rowhook/rowhook/internal/retention"
	"github.com/rowhook/rowhook/internal/sample"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// Options are what the config file does not say.
type Options struct {
	Log     *slog.Logger
	Version string
	// LogLevel is that of Log: the API sets it. Nil is no such route.
	LogLevel *slog.LevelVar
	// Temporary uses a slot that is gone with the connection, and removes publication and schema at the end.
	Temporary bool
	// ProxyAlone serves the proxy and the API, and leaves the changes and the hooks to another process.
	ProxyAlone bool
	// OnAttempt, when set, is told of every attempt. It must not block.
	OnAttempt func(sender.Report)
	// Trace, when set, makes spans of attempts: see sender.Config.
	Trace func(sender.Report) (traceparent string, end func(sender.Report))
	// OnReady, when set, is called once, when rowhook has begun to stream, or to stand by.
	// The role is active, standby or proxy.
	OnReady func(role string)
	// OnSubscriptions, when set, is told about how much memory the stored subscriptions take, in bytes, when that has
	// changed by a MiB or more. It must not block.
	OnSubscriptions func(bytes int64)
}

// App is one rowhook. Use New, then Run.
type App struct {
	// cfg is the config of the start. What a reload may change is read from live.
	cfg      *config.Config
	live     atomic.Pointer[config.Config]
	opts     Options
	log      *slog.Logger
	def      *mapping.Definition
	owner    string
	metrics  *metrics
	listener net.Listener
	// proxyListener is nil without a proxy.
	proxyListener net.Listener
	front         atomic.Pointer[front]
	proxyDrain    time.Duration
	// rows tells what is visible in the source; reads, which may be the same, reads what the stream leaves out.
	rows, reads *cdc.RowReader
	// asker asks the application, as whom the config of now says.
	asker       *asker
	application atomic.Pointer[application.Client]

	// What is known from which stage on; nil before.
	store      atomic.Pointer[store.Store]
	source     atomic.Pointer[cdc.Source]
	dispatcher atomic.Pointer[sender.Dispatcher]
	// resender is nil while another process reads the slot: it may be sending.
	resender  atomic.Pointer[resender]
	catalogue atomic.Pointer[subscriptions.Catalogue]
	jobs      atomic.Pointer[jobs]
	chores    atomic.Pointer[chores]
	// still is the pause that somebody has asked for.
	still standstill
	// backfills are what backfills read beside the stream, until it has its place.
	backfills *backfills
	// mapper is what transactions that begin now are mapped by.
	mapper atomic.Pointer[mapping.Mapper]
	// labels are those of enums, for schemas; samples reads rows to show.
	labels  atomic.Pointer[map[uint32][]string]
	samples *sample.Reader
	// location tells the URL of an instance.
	location atomic.Pointer[func(resource, instance string) string]
	// console serves the console's files: the same ones for each server of the API.
	console http.Handler
	system  *system
	// ownKey seals sessions where the config has nothing secret to do it by.
	ownKey secret.String
	// members tells what the data of resources are made of.
	members atomic.Pointer[mapping.Members]
	// feeds show what subscriptions have matched.
	feeds *feeds
	// sessions are those of the console that were ended: what this process was told of them outlives a server of the API.
	sessions *sessions
	// served answers the API's requests, by server.
	served atomic.Pointer[api.Server]
	server atomic.Pointer[http.Handler]
	// behind answers those of the proxy's listener.
	behind atomic.Pointer[http.Handler]
	// appTrouble and storeTrouble are what the proxy alone has found last; nil before it has looked.
	appTrouble, storeTrouble atomic.Pointer[string]
	// earlyLag is what the slot keeps while the start waits.
	earlyLag atomic.Pointer[cdc.Lag]
	// waiting says what the start waits for, and trouble more of it.
	waiting atomic.Pointer[string]
	trouble atomic.Pointer[startTrouble]
	// What a status is made of: when the process began, what the database is, what is not settled, what has happened lately, and what
	// was read of the store.
	began     time.Time
	database  atomic.Pointer[cdc.Catalog]
	unsettled atomic.Pointer[unsettled]
	ring      *ring
	measures  measures
	// gones are targets that said that they are gone, refusedConfig is why the last reload was refused.
	gones         gones
	refusedConfig atomic.Pointer[refusedConfig]
	// started is closed when a reload may begin; reloading lets in one at a time.
	started   chan struct{}
	reloading sync.Mutex
}

const (
	// drainGrace is how long requests under way may take to end when rowhook stops; drainTimeout bounds the whole.
	drainGrace   = 10 * time.Second
	drainTimeout = 30 * time.Second
	// perSubscription is how many requests to one target are under way at most, unless its subscription says otherwise.
	perSubscription = 64
)

// New checks what can be checked without a database. The error lists every mistake.
func New(cfg *config.Config, opts Options) (*App, error) {
	def, problems := mapping.Parse(cfg.Mapping)
	if err := problems.Err(); err != nil {
		return nil, err
	}
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	a := &App{cfg: cfg, opts: opts, log: opts.Log, def: def, owner: rand.Text(), started: make(chan struct{}), proxyDrain: proxyDrain, backfills: newBackfills(),
		began: time.Now()}
	a.live.Store(cfg)
	a.console, a.ownKey = console.Handler(cfg.API.BasePath), seal.NewKey()
	a.feeds, a.system, a.sessions = newFeeds(a), newSystem(a), newSessions(a)
	a.rows = cdc.NewRowReader(cfg.Database.URL, cfg.Limits.MaxRow, opts.Log)
	a.reads = a.rows
	if cfg.Database.ReadURL != cfg.Database.URL {
		a.reads = cdc.NewRowReader(cfg.Database.ReadURL, cfg.Limits.MaxRow, opts.Log)
	}
	a.metrics = newMetrics(a)
	a.ring = newRing(a.metrics, func() int64 { return a.replication().Lag.Behind })
	a.application.Store(newApplication(cfg, opts.Version))
	a.asker = &asker{client: a.application.Load, visible: a.rows.AwaitVisible, log: opts.Log, limits: defaultAskLimits,
		observe: func(result string) { a.metrics.asked.WithLabelValues(result).Inc() }}
	a.samples = sample.NewReader(cfg.Database.ReadURL, cfg.Limits.MaxRow, a.askForSample, missingAnswer)
	return a, nil
}

// Listen opens the API's listener and the proxy's, so that their addresses are known, and taken, before anything else is
// done. It returns the API's; see ProxyAddr.
func (a *App) Listen() (net.Addr, error) {
	l, err := net.Listen("tcp", a.cfg.API.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen for the API: %w\n  hint: choose another address in api.listen (rowhook proxy: --api-listen), or end what listens there", err)
	}
	if err := a.listenProxy(); err != nil {
		_ = l.Close()
		return nil, err
	}
	a.listener = l
	return l.Addr(), nil
}

// Run starts everything and works until ctx is done; then it stops reading, lets requests under way end, writes down what
// is left, acknowledges, and returns when all has ended. An error means that it could not start: what a person has to
// mend. It does not return because the database is away.
func (a *App) Run(ctx context.Context) error {
	if a.listener == nil {
		if _, err := a.Listen(); err != nil {
			return err
		}
	}
	// The application's traffic flows first and ends last.
	a.useAPI(a.api(a.cfg))
	front := a.serveProxy()
	defer front()
	srv := a.serve()
	defer srv()
	defer context.AfterFunc(ctx, func() { a.served.Load().Retire() })()
	run := a.run
	if a.opts.ProxyAlone {
		run = a.runProxy
	}
	err := run(ctx)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		return nil
	}
	return err
}

// serve runs the API until the function it returns is called.
func (a *App) serve() func() {
	s := a.api(a.cfg).HTTPServer("")
	s.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { (*a.server.Load()).ServeHTTP(w, r) })
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := s.Serve(a.listener); !errors.Is(err, http.ErrServerClosed) {
			a.log.Error("the API ended", "error", err)
		}
	})
	return func() {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		if s.Shutdown(ctx) != nil {
			_ = s.Close()
		}
		wg.Wait()
	}
}

// useAPI lets the server answer all requests from now on. Those under way end as they began.
func (a *App) useAPI(s *api.Server) {
	h, behind := s.Handler(), a.behindProxy(s)
	a.server.Store(&h)
	a.behind.Store(&behind)
	if before := a.served.Swap(s); before != nil {
		before.Retire() // who waits is let in by another config now
	}
}

func (a *App) api(cfg *config.Config) *api.Server {
	tokens := make([]api.Token, len(cfg.API.Tokens))
	for i, t := range cfg.API.Tokens {
		tokens[i] = api.Token{Name: t.Name, Token: t.Token, Account: t.Account}
	}
	admin, accounts := guards(cfg)
	var levels api.LogLevels
	if a.opts.LogLevel != nil {
		levels = logLevels{a}
	}
	return api.New(api.Config{
		LogLevels:            levels,
		BasePath:             a.cfg.API.BasePath,
		Tokens:               tokens,
		Repository:           repository{a},
		Made:                 madeTokens{a},
		AccountSubscriptions: cfg.API.Accounts.Subscriptions,
		AccountRate:          float64(cfg.API.Accounts.RequestsPerSecond),
		Catalogue: func() subscriptions.Catalogue {
			if c := a.catalogue.Load(); c != nil {
				return *c
			}
			return nil
		},
		EventTypes:    eventTypes{a},
		Admin:         subscriptions.Policy{AllowHTTP: admin.AllowHTTP, CheckAddress: admin.Check, Config: true},
		Accounts:      subscriptions.Policy{AllowHTTP: accounts.AllowHTTP, CheckAddress: accounts.Check},
		ConfigRetries: len(cfg.Delivery.Retries),
		Ready:         a.readiness,
		Status:        a.status,
		Resume:        a.goOn,
		Pauses:        pauses{a},
		Drain:         a.drain,
		Ping:          a.ping,
		Confirm:       a.confirm,
		DeadLetters:   deadLetters{a},
		Feed:          a.feeds,
		Deliveries:    deliveries{a},
		ShowAnswers:   cfg.API.ShowAnswers,
		Jobs:          jobsAPI{a},
		Metrics:       a.metrics.handler(),
		Console:       a.consoleOf(cfg),
		System:        a.system,
		SessionKeys:   a.sessionKeys(cfg), Sessions: a.sessions, TrustedNetworks: cfg.API.TrustedNetworks,
		Log:     a.log,
		Version: a.opts.Version,
	})
}

func guards(cfg *config.Config) (admin, accounts sender.Guard) {
	d := cfg.Delivery
	return sender.Guard{AllowHTTP: d.Targets.AllowHTTP, AllowNetworks: d.Targets.AllowNetworks},
		sender.Guard{AllowHTTP: d.Accounts.AllowHTTP, AllowNetworks: d.Accounts.AllowNetworks}
}

func (a *App) run(ctx context.Context) error {
	watched, stopWatching := context.WithCancel(ctx)
	var watch sync.WaitGroup
	watch.Go(func() { a.watchWAL(watched) })
	watch.Go(func() { a.ring.loop(watched) })
	defer watch.Wait()
	defer stopWatching()
	look, err := a.lookFirst(ctx)
	if err != nil {
		return err
	}
	st, err := wait(ctx, a, "the store", func() (*store.Store, error) { return store.Open(ctx, a.storeConfig()) })
	if err != nil {
		return err
	}
	defer st.Close()
	defer a.cleanUp(st)
	a.store.Store(st)
	if a.cfg.Store.EncryptionKey == "" {
		a.log.Info("secrets and targets of subscriptions are stored in the clear: store.encryption_key would seal them")
	}
	a.tellOpenLetters(ctx, st, 1)

	h := &handler{app: a, store: st, index: subscriptions.NewIndex(), asker: a.asker}
	muted := &mutes{log: a.log}
	h.spoken = spoken{log: a.log, mutes: muted}
	failing := newFilterErrors(a)
	h.filters = newFilters(failing)
	src, err := cdc.New(a.sourceConfig(), h, st)
	if err != nil {
		return err
	}
	a.source.Store(src)
	if !look.fresh() {
		if look, err = a.lookAgain(ctx, src); err != nil {
			return err
		}
	}
	cat, tables := look.cat, look.tables
	a.database.Store(cat)
	a.unsettled.Store(&h.unsettled)
	// A mapping that does not fit is refused before anything is made: a slot that nobody reads would hold the log.
	mapper, err := a.compile(ctx, st, a.def, tables, cat.Lineage())
	if err != nil {
		return err
	}
	if _, err := wait(ctx, a, "publication and slot", func() (struct{}, error) { return struct{}{}, src.Establish(ctx, cat) }); err != nil {
		return err
	}
	a.useMapper(a.cfg, mapper)
	a.loadLabels(ctx, tables)
	h.completer = completer{rows: a.reads, maxRow: int(min(a.cfg.Limits.MaxRow, math.MaxInt32))}
	h.toucher = toucher{rows: a.reads, maxRow: int(min(a.cfg.Limits.MaxRow, math.MaxInt32))}
	h.filler = filler{
		rows:     a.reads,
		columns:  func(c *cdc.Change) []int { return h.mapperOf(c).Columns(c.Relation) },
		accounts: func(c *cdc.Change) []int { return h.mapperOf(c).AccountColumns(c.Relation) },
	}
	h.stage.Wanted = func(c *cdc.Change) coalesce.Wanted { return h.mapperOf(c).Wanted(c.Relation) }
	h.stage.Holds = func(c *cdc.Change) bool { return h.mapperOf(c).Coalesces() }
	a.tellStart(cat, mapper)

	d := sender.New(a.senderConfig(a.cfg), st)
	h.dispatcher = d
	h.chores = newChores(a, st, d)
	a.chores.Store(h.chores)
	h.resender = &resender{store: st, dispatcher: d}
	h.requested = newJobs(a, st, h.resender)
	a.jobs.Store(h.requested)
	st.OnChange(func(_ string, _ int64, deleted bool, key int64) {
		// From when the caller has its answer, nothing is sent any more.
		if deleted {
			d.Remove(key)
		}
	})
	st.OnWritten(a.feeds.written)
	a.dispatcher.Store(d)
	offers := catalogueOf(mapper)
	a.catalogue.Store(&offers)
	a.waiting.Store(nil)
	close(a.started)

	// The stages end in the order in which data flows: the source first, the dispatcher when nothing comes any more.
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	var wg sync.WaitGroup
	wg.Go(func() { _ = d.Run(work) })
	wg.Go(func() { a.expireLoop(work, st, &h.unsettled) })
	wg.Go(func() { a.summarizeLoop(work, st) })
	wg.Go(func() { a.leaseLoop(work, st) })
	wg.Go(func() { a.pauseLoop(work, st) })
	wg.Go(func() { a.noticeLoop(work, st) })
	wg.Go(func() { a.resendLoop(work, h.resender) })
	wg.Go(func() { muted.loop(work) })
	wg.Go(func() { failing.loop(work, st) })
	wg.Go(func() { h.chores.loop(ctx, work) })
	wg.Go(func() { h.requested.loop(ctx, work) })
	if a.opts.OnReady != nil {
		wg.Go(func() { a.tellReady(work) })
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		select {
		case <-ctx.Done():
		case <-work.Done():
			return // the source ended by itself
		}
		a.log.Info("stopping: no more is read, requests under way may end")
		d.Drain(drainGrace)
	}()
	err = src.Run(ctx)
	if ctx.Err() != nil {
		<-drained
	}
	stopWork()
	wg.Wait()
	if err == nil {
		if at := src.Status().Acknowledged; at > 0 {
			a.log.Info("stopped", "acknowledged", at.String())
		} else {
			a.log.Info("stopped")
		}
	}
	return err
}

// tellStart says in a line each what was found and made.
func (a *App) tellStart(cat *cdc.Catalog, m *mapping.Mapper) {
	verb := func(made bool) string {
		if made {
			return "made"
		}
		return "found"
	}
	if old := cdc.OldMinor(cat.ServerVersion); old != nil {
		a.log.Warn(old.What, "so", old.Consequence, "hint", old.Mend)
	}
	a.log.Info("publication "+verb(cat.MadePublication), "publication", a.cfg.Database.Publication, "tables", len(cat.Tables))
	for _, t := range cat.AddedTables {
		a.log.Info("table added to the publication", "table", t.String())
	}
	if !a.opts.Temporary {
		a.log.Info("replication slot "+verb(cat.MadeSlot), "slot", a.cfg.Database.Slot)
	}
	a.tellResources(a.cfg, m)
	a.log.Info("API", "listen", a.listener.Addr().String(), "base_path", a.cfg.API.BasePath)
}

// tellResources says what is sent, to whom not, and who may subscribe.
func (a *App) tellResources(cfg *config.Config, m *mapping.Mapper) {
	types, events := m.Types(), map[string][]string{}
	for _, t := range types {
		events[t.Resource] = append(events[t.Resource], t.Name)
	}
	for _, r := range cfg.Mapping.Resources {
		a.log.Info("resource", "resource", r.Name, "table", r.Table.String(), "events", strings.Join(events[r.Name], " "))
	}
	reasons := map[string]bool{}
	for _, t := range types {
		if t.Accounted && t.AccountReason != "" && !strings.HasSuffix(t.Name, ".truncate") && !reasons[t.AccountReason] {
			reasons[t.AccountReason] = true
			a.log.Warn("not offered to accounts", "event", t.Name, "reason", t.AccountReason)
		}
		if t.Reason != "" {
			a.log.Warn("not offered", "event", t.Name, "reason", t.Reason)
		}
	}
	for _, reason := range m.Ineffective() {
		a.log.Warn("has no effect", "reason", reason)
	}
	for _, advice := range m.Advice() {
		a.log.Warn("reading relations is slow", "reason", advice)
	}
	for _, untold := range m.Untold() {
		a.log.Warn("touch is not told of every change", "reason", untold)
	}
	if len(cfg.API.Tokens) == 0 && a.proxyListener == nil {
		a.log.Warn("api.tokens is empty: nobody can subscribe")
	}
}

// tellReady calls OnReady when there is something to tell.
func (a *App) tellReady(ctx context.Context) {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if r := a.readiness(); r.Ready {
				a.opts.OnReady(r.Role)
				return
			}
		}
	}
}

func (a *App) storeConfig() store.Config {
	c := store.Config{URL: a.cfg.Store.URL, Schema: a.cfg.Store.Schema, Release: a.opts.Version, Log: a.log}
	if a.storeApart() {
		c.SourceURL = a.cfg.Database.URL
	}
	if key := a.cfg.Store.EncryptionKey; key != "" {
		// The config was refused if one of them were none.
		c.Keys, _ = seal.New(append([]secret.String{key}, a.cfg.Store.PreviousKeys...)...)
	}
	return c
}

// storeApart says that the store is not in the source's database.
func (a *App) storeApart() bool { return a.cfg.Store.URL != a.cfg.Database.URL }

func (a *App) sourceConfig() cdc.Config {
	return cdc.Config{
		URL: a.cfg.Database.URL, Slot: a.cfg.Database.Slot, Publication: a.cfg.Database.Publication,
		Environment: a.cfg.Database.Environment, Tables: a.def.Tables(), Temporary: a.opts.Temporary,
		Prefixes: []string{subscriptions.MessagePrefix, messagePrefix}, DrainTimeout: drainTimeout, MaxMessage: a.cfg.Limits.MaxRow, Log: a.log,
	}
}

func (a *App) senderConfig(cfg *config.Config) sender.Config {
	admin, accounts := guards(cfg)
	return sender.Config{
		MaxInFlight: cfg.Delivery.MaxInFlight, PerSubscription: perSubscription,
		Hold: cfg.Limits.Hold, Memory: cfg.Limits.Memory,
		Timeout: cfg.Delivery.Timeout, Retries: cfg.Delivery.Retries, Ordering: cfg.Delivery.Ordering, RateLimit: cfg.Delivery.RateLimit,
		MaxBody: cfg.Delivery.MaxBody, Debounce: cfg.Delivery.Debounce,
		Admin: admin, Accounts: accounts, Egress: cfg.Delivery.Egress, UserAgent: "rowhook/" + a.opts.Version, Log: a.log,
		Source: sender.SourceOf(a.cfg.Database.Name()), Location: a.locationOf, Nested: a.nested, Told: a.told, Touched: a.touched,
		MayBegin: a.source.Load().Attended, OnAttempt: a.observe, Trace: a.opts.Trace, OnGone: a.gone, DisableAfter: disableAfter, TellAfter: tellAfter, OnDead: a.dead, OnDropped: a.metrics.dropped, OnRefused: func() { a.metrics.buried(1) },
	}
}

func (a *App) observe(r sender.Report) {
	a.metrics.attempt(r)
	if a.opts.OnAttempt != nil {
		a.opts.OnAttempt(r)
	}
}

// gone deletes a subscription whose target said that it is. Until it is done, the dispatcher sends it nothing.
func (a *App) gone(ctx context.Context, s *subscriptions.Subscription) {
	a.gones.add(s, time.Now())
	pause := 100 * time.Millisecond
	for {
		err := a.store.Load().Delete(ctx, subscriptions.Scope{Admin: true}, s.ID, func(x *subscriptions.Subscription) error {
			x.NotifyEnd = false // its target has said so itself
			return nil
		})
		if err == nil || errors.Is(err, subscriptions.ErrNotFound) {
			return
		}
		a.log.Warn("a subscription whose target is gone cannot be deleted yet", "subscription", s.ID, "error", err)
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause = min(2*pause, 5*time.Second)
		}
	}
}

// expireLoop drops what is older than the retention.
func (a *App) expireLoop(ctx context.Context, st *store.Store, u *unsettled) {
	next := time.NewTimer(retention.First)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
			next.Reset(retention.Every)
		}
		before := u.expireBefore(time.Now(), a.live.Load().Retention.For)
		a.removeExpired(ctx, st, before)
		a.removeKept(ctx, st, before)
		dropped, err := st.Expire(ctx, before)
		if err != nil && ctx.Err() == nil {
			a.log.Warn("what is older than the retention cannot be removed", "error", err)
		}
		a.tellOpenLetters(ctx, st, lettersMany)
		for _, name := range dropped {
			a.log.Info("partition dropped: it is older than the retention", "partition", name)
		}
	}
}

// summarizeEvery is how often the log's index by instance is brought up to date. What is newer is gone through.
const summarizeEvery = 30 * time.Second

func (a *App) summarizeLoop(ctx context.Context, st *store.Store) {
	next := time.NewTicker(summarizeEvery)
	defer next.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-next.C:
		}
		if err := st.Summarize(ctx); err != nil && ctx.Err() == nil {
			a.log.Warn("the index of events by instance is not brought up to date: searches take longer", "error", err)
		}
	}
}

// cleanUp leaves nothing behind of a temporary run.
func (a *App) cleanUp(st *store.Store) {
	if !a.opts.Temporary {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if src := a.source.Load(); src != nil {
		if err := src.DropPublication(ctx); err != nil {
			a.log.Error("the publication could not be removed", "publication", a.cfg.Database.Publication, "error", err)
		}
	}
	if err := st.Drop(ctx); err != nil {
		a.log.Error("the schema could not be removed", "schema", a.cfg.Store.Schema, "error", err)
	}
}

// catalogueOf is what can be subscribed to. Customers read its reasons, so the tables and the mend, which the log has,
// are left out.
func catalogueOf(m *mapping.Mapper) subscriptions.Catalogue {
	offers := subscriptions.Catalogue{}
	shapes := shapesOf(m)
	for _, t := range m.Types() {
		o := subscriptions.Offer{Name: t.Name, Resource: t.Resource, AdminOnly: !t.Accounted || strings.HasSuffix(t.Name, ".truncate"), Shape: shapes[t.Resource]}
		if !o.AdminOnly && t.AccountReason != "" {
			o.AccountReason = "it does not tell which account it belongs to; the operator finds the mend in rowhook's log"
		}
		if t.Accounted && strings.HasSuffix(t.Name, ".truncate") {
			o.AccountReason = "it empties the whole table, of all accounts"
		}
		if t.Reason != "" {
			o.Reason = "the replication stream does not tell enough of the old row; the operator finds the mend in rowhook's log"
		}
		offers = append(offers, o)
	}
	return append(offers, noticeOffers()...)
}
