package sender

import (
	"slices"
	"time"
)

// Reconfigure makes what the config says the defaults and bounds from now on, for all subscriptions and what already waits
// too: an attempt that begins afterwards is made by them, one that runs ends as it began. Log, UserAgent, Source, OnAttempt,
// Trace and OnGone stay as they were given to New.
func (d *Dispatcher) Reconfigure(c Config) {
	d.mu.Lock()
	defer d.mu.Unlock()
	connections := d.cfg.MaxInFlight
	d.cfg.MaxInFlight, d.cfg.PerSubscription = c.MaxInFlight, c.PerSubscription
	d.cfg.Hold, d.cfg.Memory = c.Hold, c.Memory
	d.cfg.Timeout, d.cfg.Retries, d.cfg.Ordering = c.Timeout, c.Retries, c.Ordering
	d.cfg.RateLimit = c.RateLimit
	d.cfg.MaxBody = c.MaxBody
	d.cfg.Debounce, d.cfg.Nested, d.cfg.Told = c.Debounce, c.Nested, c.Told
	d.cfg.Admin, d.cfg.Accounts = c.Admin, c.Accounts
	d.cfg.Egress = c.Egress
	d.cfg.Location = c.Location
	d.direct.limit, d.read.limit = c.Memory, c.Memory/4
	// A connection that an earlier guard allowed must not be used under another one, nor one that left in another way: its pool
	// goes with it.
	renew := func(old *client, g Guard) *client {
		if old.guard.same(g) && old.egress == c.Egress && connections == c.MaxInFlight {
			return old
		}
		defer old.close()
		return newClient(g, d.cfg.UserAgent, c.MaxInFlight).through(c.Egress)
	}
	d.admin, d.accounts = renew(d.admin, c.Admin), renew(d.accounts, c.Accounts)
	for _, s := range d.subs {
		if s.sub != nil && !s.removed {
			d.configure(s)
			d.enter(s)
			d.makeReady(s)
		}
	}
	wake(d.direct.freed)
	wake(d.wakeFetcher)
	d.launch(d.schedule())
}

func (g Guard) same(other Guard) bool {
	return g.AllowHTTP == other.AllowHTTP && slices.Equal(g.AllowNetworks, other.AllowNetworks)
}

// holdEvery is how often to look for deliveries that wait too long: at least every second, since it may become shorter.
func (d *Dispatcher) holdEvery() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return min(max(d.cfg.Hold/20, 10*time.Millisecond), time.Second)
}

// closeClients closes the connections that nothing uses.
func (d *Dispatcher) closeClients() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.admin.close()
	d.accounts.close()
}
