// Package config loads the configuration file: strictly, with all mistakes at once, each with its place and a hint.
package config

import (
	"net/netip"
	"time"

	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// Config is the whole file.
type Config struct {
	Database  Database
	Store     Store
	App       App
	API       API
	Proxy     Proxy
	Delivery  Delivery
	Retention Retention
	Limits    Limits
	Mapping   mapping.Config
	// Source is the file that it was read from; nil where there was none.
	Source *Source
}

// Database is the source.
type Database struct {
	// URL of the source, direct and not pooled.
	URL secret.String
	// ReadURL is where rows are read that the stream does not have: a pool or a standby of URL. Defaults to URL.
	ReadURL secret.String
	// Slot is the replication slot's name. Defaults to rowhook.
	Slot string
	// Publication is the publication's name. Defaults to rowhook.
	Publication string
	// Environment names where this is. Defaults to host and database name of URL.
	Environment string
	// MaxWALLag is how much log the slot may keep, in bytes, until rowhook is not ready. Defaults to 8 GB.
	MaxWALLag int64
}

// Store is where subscriptions, events and deliveries are kept.
type Store struct {
	// URL defaults to the database's.
	URL secret.String
	// Schema defaults to rowhook.
	Schema string
	// EncryptionKey seals secrets in the store; empty: they are not sealed. PreviousKeys open what was sealed before.
	EncryptionKey secret.String
	PreviousKeys  []secret.String
}

// App is the application.
type App struct {
	// URL is where rowhook asks it. Empty: ${api.…} and compare cannot be used.
	URL       string
	PublicURL string
	// Headers go with every request to URL.
	Headers []application.Header
}

// API is the REST API's listener.
type API struct {
	// Listen defaults to 127.0.0.1:8477.
	Listen string
	// BasePath defaults to /api/v1.
	BasePath string
	Tokens   []Token
	// Accounts bounds what each customer may ask of it.
	Accounts APIAccounts
	// ShowAnswers lets customers see what their targets answered.
	ShowAnswers bool
	// Console serves the console at /console/. Defaults to true.
	Console bool
	// TrustedNetworks are those of gateways, whose word is taken on whom they ask for and how they were asked. Defaults to none.
	TrustedNetworks []netip.Prefix
}

// APIAccounts bounds one customer's use of the API. 0 is no bound.
type APIAccounts struct {
	// Subscriptions that a customer may have. Defaults to 1,000.
	Subscriptions int
	// RequestsPerSecond that a customer may send. Defaults to 20.
	RequestsPerSecond int
}

// Token lets a caller in. Account "*" is the admin.
type Token struct {
	Name    string
	Token   secret.String
	Account string
}

// Delivery holds the defaults of all subscriptions.
type Delivery struct {
	// Timeout of one attempt, connecting and answer's headers included. Defaults to 15s.
	Timeout time.Duration
	// Retries are the waits before each retry. Default: the schedule that Standard Webhooks gives as its example.
	Retries []time.Duration
	// Ordering is OrderingResource or OrderingNone. Defaults to OrderingResource.
	Ordering string
	// Debounce is how long changes of an instance are gathered to be sent as one. Defaults to 0: not at all.
	Debounce time.Duration
	// MaxInFlight bounds the requests under way, in all. Defaults to 512.
	MaxInFlight int
	// RateLimit is how many requests in a time a subscription's target gets. No limit by default.
	RateLimit subscriptions.Rate
	// MaxBody is how large a message may be, in bytes, before its data is left out. Defaults to 0, any size.
	MaxBody int64
	// Targets rule which addresses subscriptions may name; the admin's, and those of accounts.
	Targets  Targets
	Accounts Targets
	// Egress is how connections to all of them leave.
	Egress sender.Egress
}

// Targets rule which addresses may be sent to, beside https ones in public networks.
type Targets struct {
	AllowHTTP     bool
	AllowNetworks []netip.Prefix
}

// Which events are kept: those that a subscription has matched, or all.
const (
	KeepMatched = "matched"
	KeepAll     = "all"
)

// Retention says how long events and their deliveries are kept.
type Retention struct {
	// For defaults to 7 days.
	For time.Duration
	// Events is KeepMatched, the default, or KeepAll.
	Events string
}

// Limits bound what rowhook uses.
type Limits struct {
	// Memory for the bodies of events under way, in bytes. Defaults to 16 MiB.
	Memory int64
	// Hold is how long an event may wait in memory before it is written to the store. Defaults to 5s.
	Hold time.Duration
	// MaxRow is the largest row taken, in bytes. Defaults to 64 MiB.
	MaxRow int64
}
