package sender

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"strings"
	"time"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

// PingType is the type of the message that Ping sends. No subscription has it among its events.
const PingType = mapping.NoticeResource + ".ping"

// Ping sends one message to the subscription's target, by the rules of every attempt, and returns how that ended. It is no
// delivery: nothing is stored or tried again, the subscription's state does not count, and no answer changes it. It takes at
// most as long as an attempt, and may be called at any time, by any process.
func (d *Dispatcher) Ping(ctx context.Context, s *subscriptions.Subscription) Outcome {
	t, a, err := d.notice(s, PingType, 1)
	if err != nil {
		return Outcome{Started: a.event.Time}.failed(ReasonConfiguration, err)
	}
	return t.deliver(ctx, a)
}

// notice is a message of ours about a subscription, to its target, as an attempt that is no delivery's. The attempt has its event also
// with an error.
func (d *Dispatcher) notice(s *subscriptions.Subscription, kind string, number int) (*target, attempt, error) {
	d.mu.Lock()
	c, timeout, around := d.accounts, d.cfg.Timeout, d.cfg.envelope()
	if s.Admin {
		c = d.admin
	}
	d.mu.Unlock()
	if s.Delivery.Timeout != nil {
		timeout = time.Duration(*s.Delivery.Timeout)
	}
	ev := &mapping.Event{ID: "evt_" + strings.ToLower(rand.Text()), Type: kind, Resource: mapping.NoticeResource, Time: time.Now()}
	a := attempt{event: ev, number: number, timeout: timeout}
	t, err := newTarget(s, c, around)
	if err != nil {
		return nil, a, err
	}
	ev.Data, err = json.Marshal(map[string]string{"subscription": s.ID})
	return t, a, err
}
