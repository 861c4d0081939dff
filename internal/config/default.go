package config

import (
	"slices"
	"time"

	"github.com/rowhook/rowhook/internal/identity"
	"github.com/rowhook/rowhook/mapping"
)

// Default is the configuration of an empty file. What depends on other keys (store.url, database.environment) is empty
// here and filled in after the file is read.
func Default() Config {
	return Config{
		Database: Database{Slot: "rowhook", Publication: "rowhook", MaxWALLag: 8e9},
		Store:    Store{Schema: "rowhook"},
		API:      API{Listen: "127.0.0.1:8477", BasePath: "/api/v1", Accounts: APIAccounts{Subscriptions: 1000, RequestsPerSecond: 20}, Console: true},
		Proxy:    Proxy{Identity: identity.Config{Headers: slices.Clone(identity.DefaultHeaders), Cache: identity.DefaultCache}},
		Delivery: Delivery{
			Timeout: 15 * time.Second,
			Retries: []time.Duration{
				5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour,
				14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
			},
			Ordering:    OrderingResource,
			MaxInFlight: 512,
		},
		Mapping:   mapping.Config{Previous: true},
		Retention: Retention{For: 7 * day, Events: KeepMatched},
		Limits:    Limits{Memory: 16 << 20, Hold: 5 * time.Second, MaxRow: 64 << 20},
	}
}

// complete fills in the defaults that other keys give.
func (c *Config) complete() {
	if c.Store.URL == "" {
		c.Store.URL = c.Database.URL
	}
	if c.Database.ReadURL == "" {
		c.Database.ReadURL = c.Database.URL
	}
	if c.Database.Environment == "" {
		c.Database.Environment = environmentOf(c.Database.URL)
	}
	c.Mapping.Application = c.App.URL != ""
	for i := range c.Mapping.Resources {
		r := &c.Mapping.Resources[i]
		// Only the admin gets these; a resource with an account has to say what its customers see.
		if r.Representation == nil && r.Columns == nil && r.Account == nil {
			r.AllColumns = true
		}
	}
}
