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
	d.mu.Lock()
	c, timeout, around := d.accounts, d.cfg.Timeout, d.cfg.envelope()
	if s.Admin {
		c = d.admin
	}
	d.mu.Unlock()
	if s.Delivery.Timeout != nil {
		timeout = time.Duration(*s.Delivery.Timeout)
	}
	started := time.Now()
	t, err := newTarget(s, c, around)
	if err != nil {
		return Outcome{Started: started}.failed(ReasonConfiguration, err)
	}
	data, err := json.Marshal(map[string]string{"subscription": s.ID})
	if err != nil {
		return Outcome{Started: started}.failed(ReasonConfiguration, err)
	}
	ev := &mapping.Event{ID: "evt_" + strings.ToLower(rand.Text()), Type: PingType, Resource: mapping.NoticeResource, Time: started, Data: data}
	return t.deliver(ctx, attempt{event: ev, number: 1, timeout: timeout})
}
