package check

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/finding"
)

// config tells what of the config works, and had better be known.
func (r *Report) config(cfg *config.Config) {
	if len(cfg.API.Tokens) == 0 {
		r.add(finding.Finding{Level: finding.Warning, Place: "api.tokens", What: "there are no tokens", Consequence: "nobody can subscribe",
			Mend: `add one: {name: ops, token: "${env:ROWHOOK_TOKEN}", account: "*"}`})
	}
	for i, t := range cfg.API.Tokens {
		if monotonous(t.Token.Reveal()) {
			r.add(finding.Finding{Level: finding.Warning, Place: fmt.Sprintf("api.tokens[%d]", i), What: fmt.Sprintf("the token of %s is made of few different characters", t.Name),
				Consequence: "it can be guessed", Mend: "make another one with: openssl rand -hex 24"})
		}
	}
	if cfg.Store.EncryptionKey == "" {
		r.add(finding.Finding{Level: finding.Info, Place: "store.encryption_key", What: "there is none",
			Consequence: "signing secrets and targets of subscriptions stand in the store, and in its backups, as they are",
			Mend:        "make one with: openssl rand -base64 32"})
	}
	if !loopback(cfg.API.Listen) {
		r.add(finding.Finding{Level: finding.Info, Place: "api.listen", What: fmt.Sprintf("the API listens at %s, for other machines too, and without TLS", cfg.API.Listen),
			Consequence: "whoever is on the way reads tokens and secrets",
			Mend:        "keep the network private, or put a proxy that speaks TLS before it"})
	}
	for _, t := range []struct {
		key, whose string
		targets    config.Targets
		open       bool
	}{
		{"delivery", "the admin's", cfg.Delivery.Targets, false},
		{"delivery.accounts", "customers'", cfg.Delivery.Accounts, true},
	} {
		if t.targets.AllowHTTP {
			r.add(finding.Finding{Level: finding.Warning, Place: t.key + ".allow_http", What: t.whose + " subscriptions may have targets without TLS",
				Consequence: "whoever is on the way reads what the hooks tell", Mend: "leave it out where this is no test"})
		}
		if len(t.targets.AllowNetworks) > 0 && t.open {
			r.add(finding.Finding{Level: finding.Warning, Place: t.key + ".allow_networks", What: t.whose + " subscriptions may have targets in networks that are not public",
				Consequence: "customers can have rowhook send requests to machines behind your firewall", Mend: "leave it out where this is no test"})
		}
	}
}

// monotonous says that a token has so few different characters that nobody drew it by lot.
func monotonous(s string) bool {
	seen := map[rune]bool{}
	for _, c := range s {
		seen[c] = true
	}
	return len(seen) < 6
}

func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// slotBounds compares what the slot may keep with what is told of it.
func (r *Report) slotBounds(cfg *config.Config, s *cdc.Survey) {
	if !s.LoggedIn {
		return
	}
	const place = "max_slot_wal_keep_size"
	switch {
	case s.KeepSize < 0:
		r.add(finding.Finding{Level: finding.Info, Place: place, What: "what a slot may keep of the log has no bound",
			Consequence: "while rowhook does not run, the log grows until the server's disk is full",
			Mend:        "alert on it, or set a bound, beyond which the slot is lost: ALTER SYSTEM SET max_slot_wal_keep_size = '50GB';"})
	case s.KeepSize > 0 && s.KeepSize <= cfg.Database.MaxWALLag:
		r.add(finding.Finding{Level: finding.Warning, Place: place,
			What:        fmt.Sprintf("it is %d MB, and database.max_wal_lag is %d MB", s.KeepSize>>20, cfg.Database.MaxWALLag>>20),
			Consequence: "the slot is lost before rowhook says that it is late",
			Mend:        "make max_slot_wal_keep_size greater, or database.max_wal_lag smaller"})
	}
	if s.IdleTimeout > 0 {
		r.add(finding.Finding{Level: finding.Warning, Place: "idle_replication_slot_timeout", What: fmt.Sprintf("it is %s", s.IdleTimeout),
			Consequence: "while rowhook does not run for longer, the slot is lost, and what was committed since then is never delivered",
			Mend:        "ALTER SYSTEM SET idle_replication_slot_timeout = 0;  SELECT pg_reload_conf();"})
	}
	if s.Retained > cfg.Database.MaxWALLag {
		r.add(finding.Finding{Level: finding.Warning, Place: "slot " + cfg.Database.Slot,
			What: fmt.Sprintf("the slot keeps %d MB of the log, more than database.max_wal_lag", s.Retained>>20), Consequence: "rowhook is not ready until it has caught up",
			Mend: "run rowhook; look for long transactions; or drop the slot where nobody needs it any more"})
	}
}
