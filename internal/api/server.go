package api

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/seal"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// Config is what a Server needs. Nothing of it may be changed afterwards.
type Config struct {
	// BasePath is where the API is: /api/v1. Health and metrics are at the root.
	BasePath string
	Tokens   []Token
	// Made stores the tokens that the admin makes. Nil is no such route.
	Made subscriptions.Tokens
	// AccountSubscriptions is how many subscriptions an account may have. 0 is any number.
	AccountSubscriptions int
	// AccountRate is how many requests an account may send in a second. 0 is any number.
	AccountRate float64
	// Repository stores the subscriptions.
	Repository subscriptions.Repository
	// Catalogue gives the events that can be subscribed to, nil while the source is not known. It is called from many
	// goroutines, and what it returns is not changed. Nil is never known.
	Catalogue func() subscriptions.Catalogue
	// EventTypes tells what the events of the catalogue look like. Nil is no such routes.
	EventTypes EventTypes
	// Admin and Accounts rule the targets of subscriptions of the admin, and of accounts.
	Admin    subscriptions.Policy
	Accounts subscriptions.Policy
	// ConfigRetries is the number of waits in the config's retry schedule.
	ConfigRetries int
	// Ready gives the readiness, at once. It is called from many goroutines. Nil is always ready.
	Ready func() client.Readiness
	// Resume lets replication go on, with the loss of changes if acceptGap is set. Nil is no such route.
	Resume func(ctx context.Context, said client.Resume) (*client.Resumed, error)
	// Status tells how this process is. It is called from many goroutines. Nil is no such route.
	Status func(ctx context.Context) *client.Status
	// Pauses lets nothing be sent. Nil is no such route.
	Pauses Pauses
	// LogLevels sets how much is logged. Nil is no such route.
	LogLevels LogLevels
	// Drain waits until everything up to a position is delivered or stored. Nil is no such route.
	Drain func(ctx context.Context, want client.Drain) (*client.Drained, error)
	// Feed tells what subscriptions have matched. Nil is no such routes.
	Feed Feed
	// DeadLetters keeps what could not be mapped. Nil is no such routes.
	DeadLetters DeadLetters
	// Deliveries is the log of what was sent. Nil is no such routes.
	Deliveries Deliveries
	// ShowAnswers lets accounts see what targets answered; the admin always does.
	ShowAnswers bool
	// Jobs does what takes longer than a request. Nil is no such routes.
	Jobs Jobs
	// Ping sends a message to the subscription's target at once, and tells how that ended. Nil is no such route.
	Ping func(ctx context.Context, s *subscriptions.Subscription) (*client.Pinged, error)
	// Confirm confirms a subscription by the secret that its target was given; what is not right is subscriptions.ErrNotFound.
	// Nil is no such route.
	Confirm func(ctx context.Context, id string, value secret.String) error
	// System tells the admin what runs. Nil is no such routes.
	System System
	// SessionKeys seal the cookies of browsers that have logged in. Nil is no such routes.
	SessionKeys *seal.Keys
	// Sessions knows those that were ended. Nil is that a log-out only takes the cookie back.
	Sessions Sessions
	// TrustedNetworks are those of gateways, whose word on whom they ask for is taken where somebody logs in.
	TrustedNetworks []netip.Prefix
	// Console serves /console/, and leads to it from /. Nil is none.
	Console http.Handler
	// Metrics serves /metrics. Nil is none.
	Metrics http.Handler
	// Log gets a line for each request. Nil is none.
	Log *slog.Logger
	// Version is shown by /healthz.
	Version string
}

// Sessions are those of browsers that have logged in, of which only the ended ones are kept. Both are called from many goroutines.
type Sessions interface {
	// EndSession lets a session let nobody in any more; its cookies are worth nothing after the time in any case. An error that wraps
	// subscriptions.ErrUnavailable is that others may not have been told.
	EndSession(ctx context.Context, id [16]byte, until time.Time) error
	// SessionEnded says whether a session was ended. An error that wraps subscriptions.ErrUnavailable is that this is not known.
	SessionEnded(ctx context.Context, id [16]byte) (bool, error)
}

// Token lets a caller in.
type Token struct {
	// Name is for the log.
	Name  string
	Token secret.String
	// Account is the caller's; "*" is the admin. A token with an empty account or an empty text lets nobody in.
	Account string
}

// Server is the REST API. Its methods may be called from any goroutine.
type Server struct {
	config  Config
	base    string
	logins  []login
	log     *slog.Logger
	limiter *limiter
	// confirmClients and confirmIDs bound the requests to confirm, which need no login.
	confirmClients, confirmIDs *limiter
	// loginClients and loginAll bound log-ins; origin refuses requests that a browser was made to send.
	loginClients, loginAll *limiter
	origin                 *http.CrossOriginProtection
	// table is what find looks in.
	table []placed
	// described is the API's description, made when somebody asks for it.
	described func() *description
	// lookups are those of tokens that are under way.
	lookups chan struct{}
	// feedTurns are for feeds and lists of events, logTurns for the log of deliveries, countTurns for what a replay selects.
	feedTurns, logTurns, countTurns *turns
	// retired is closed when those who wait are to come again.
	retired chan struct{}
	retire  sync.Once
	// pulse is how often a stream says that it lives.
	pulse time.Duration
}

// lookupsAtOnce bounds how many connections of the store whoever is not known may take: deliveries are written by the same.
const lookupsAtOnce = 2

// countsAtOnce bounds how many count what a replay selects, for seconds each: half of the store's connections are for what is sent.
const countsAtOnce = 2

// New makes a server of the config.
func New(c Config) *Server {
	s := &Server{config: c, base: "/" + strings.Trim(c.BasePath, "/"), logins: logins(c.Tokens), log: c.Log,
		limiter: newLimiter(c.AccountRate), confirmClients: newConfirmLimiter(confirmsOfClient), confirmIDs: newConfirmLimiter(confirmsOfSubscription), lookups: make(chan struct{}, lookupsAtOnce),
		loginClients: newConfirmLimiter(loginsOfClient), loginAll: newConfirmLimiter(loginsOfAll), origin: http.NewCrossOriginProtection(),
		feedTurns: newTurns(0), logTurns: newTurns(0), countTurns: newTurns(countsAtOnce), retired: make(chan struct{}), pulse: streamPulse}
	if s.base == "/" {
		s.base = ""
	}
	s.table = s.routes()
	s.described = sync.OnceValue(s.describe)
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	return s
}

// Retire ends what waits for events, and streams of them: another server answers from now on, or none.
func (s *Server) Retire() { s.retire.Do(func() { close(s.retired) }) }

// HTTPServer returns a server of Handler for the address, with bounds on time and size that keep slow and large requests
// from holding connections. The caller starts and stops it.
func (s *Server) HTTPServer(addr string) *http.Server {
	return &http.Server{
		Addr:              addr,
		Handler:           s.Handler(),
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      60 * time.Second,
		IdleTimeout:       120 * time.Second,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}
