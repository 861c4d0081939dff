package sender

import "time"

// SetProxyWait changes how long a subscription waits for a proxy, before any test runs.
func SetProxyWait(d time.Duration) { proxyWait = d }

// SetFallbackRetries changes the waits between the attempts at a fallback, before any test runs.
func SetFallbackRetries(waits ...time.Duration) { fallbackRetries = waits }

// SetKeysMax changes how many keys with rows are remembered one by one.
func (d *Dispatcher) SetKeysMax(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keysMax = n
}

// Keys returns how many are remembered.
func (d *Dispatcher) Keys() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.storedKeys
}

// Whole says whether the subscription goes through the store as a whole.
func (d *Dispatcher) Whole(key int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.subs[key] != nil && d.subs[key].whole
}

// Known is the number of subscriptions of which something is remembered, and of those that are removed.
func (d *Dispatcher) Known() (subscriptions, removed int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.subs), len(d.removed)
}

// DropIdle forgets what is remembered of a subscription, if nothing of it is under way. It says whether it is forgotten.
func (d *Dispatcher) DropIdle(key int64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s := d.subs[key]; s != nil {
		d.dropIdle(s)
	}
	return d.subs[key] == nil
}
