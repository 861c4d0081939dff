//go:build unix

package chaos

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/rowhook/rowhook/client"
)

// subs are the subscriptions of a run: fixed ones from the begin to the end, and guests that come and go.
type subs struct {
	all    []*target
	ids    map[*target]string
	guests []*guest
	made   int
	// onlyUpdates says what the changed one gets now.
	onlyUpdates bool
	changed     *target
}

// guest is a subscription that was made during the run. What was committed before low surely does not belong to it, and
// what is committed after high surely does.
type guest struct {
	target    *target
	low, high map[int64]int64
	gone      bool
}

// fixed are those that live all the time.
func (s *subs) fixed(r *run) []*target {
	s.ids = map[*target]string{}
	s.changed = &target{name: "changed", temper: seldom, updatesOnly: true}
	return []*target{
		{name: "healthy", temper: healthy},
		{name: "badkeys", temper: badKeys},
		{name: "slow", temper: slow, gzip: true},
		{name: "unordered", temper: moody, unordered: true},
		{name: "batches", temper: seldom, batch: true, gzip: true},
		{name: "unorderedbatches", temper: moody, unordered: true, batch: true},
		s.changed,
	}
}

// batchMax is the most events of a request to a target that gets batches.
const batchMax = 20

func (r *run) client() *client.Client {
	return &client.Client{URL: r.procs[r.rng.IntN(len(r.procs))].API(), Token: token}
}

// make subscribes a target to everything.
func (s *subs) make(ctx context.Context, r *run, t *target) error {
	t.seed = r.Seed
	r.ledger.add(t)
	made, err := r.client().Create(ctx, r.wanted(t))
	if err != nil {
		return fmt.Errorf("subscribe %s: %w", t.name, err)
	}
	s.all = append(s.all, t)
	s.ids[t] = made.ID
	return nil
}

// wanted is a target's subscription.
func (r *run) wanted(t *target) *client.Subscription {
	// Some answers never come.
	s := &client.Subscription{Name: t.name, Events: []string{"*"}, TargetURL: r.recv.URL("/" + t.name + "/a"), Delivery: client.Delivery{Timeout: "2s"}}
	if t.unordered {
		s.Delivery.Ordering = "none"
	}
	if t.batch {
		s.Delivery.Batch = &client.Batch{Max: batchMax, Wait: "100ms"}
	}
	if t.gzip {
		s.Request.Compression = "gzip"
	}
	return s
}

// change makes, changes or deletes a subscription, now and then with a kill in the middle.
func (r *run) change(ctx context.Context) error {
	s := &r.subs
	var alive []*guest
	for _, g := range s.guests {
		if !g.gone {
			alive = append(alive, g)
		}
	}
	var do func(context.Context, *client.Client) error
	after := func(context.Context) error { return nil }
	switch p := r.rng.IntN(10); {
	case p < 4 || p < 7 && len(alive) == 0:
		g, err := r.invite(ctx)
		if err != nil {
			return err
		}
		do = func(ctx context.Context, c *client.Client) error {
			_, err := c.Create(ctx, r.wanted(g.target))
			return err
		}
		after = func(ctx context.Context) error { return r.arrived(ctx, g) }
	case p < 7:
		g := alive[r.rng.IntN(len(alive))]
		do = func(ctx context.Context, c *client.Client) error { return c.Delete(ctx, s.ids[g.target]) }
		after = func(ctx context.Context) error { return r.dismiss(ctx, g) }
	default:
		s.onlyUpdates = !s.onlyUpdates
		patch := client.Patch{"events": []string{"*"}, "target_url": r.recv.URL("/changed/a")}
		if s.onlyUpdates {
			patch = client.Patch{"events": []string{"item.update"}, "target_url": r.recv.URL("/changed/b")}
		}
		do = func(ctx context.Context, c *client.Client) error {
			_, err := c.Update(ctx, s.ids[s.changed], patch)
			return err
		}
	}
	c := r.client()
	if r.rng.IntN(3) > 0 {
		try, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if err := do(try, c); err != nil && !unavailable(err) {
			return fmt.Errorf("change a subscription: %w", err)
		}
		return after(ctx)
	}
	// What becomes of it is seen afterwards.
	answered := make(chan struct{})
	go func() { _ = do(ctx, c); close(answered) }()
	wait(ctx, time.Duration(r.rng.IntN(15000))*time.Microsecond)
	err := r.kill(ctx)
	<-answered
	return errors.Join(err, after(ctx))
}

func unavailable(err error) bool {
	var told *client.Error
	return errors.As(err, &told) && told.Status == http.StatusServiceUnavailable
}

func (r *run) invite(ctx context.Context) (*guest, error) {
	r.subs.made++
	g := &guest{target: &target{name: fmt.Sprintf("guest%d", r.subs.made), temper: seldom, late: true, seed: r.Seed, batch: r.subs.made%2 == 0}}
	var err error
	if g.low, err = committed(ctx, r.url); err != nil {
		return nil, err
	}
	r.ledger.add(g.target)
	return g, nil
}

// arrived looks whether the guest's subscription was made.
func (r *run) arrived(ctx context.Context, g *guest) error {
	id, err := r.find(ctx, g.target.name)
	if err != nil || id == "" {
		return err
	}
	if g.high, err = committed(ctx, r.url); err != nil {
		return err
	}
	r.subs.ids[g.target] = id
	r.subs.guests = append(r.subs.guests, g)
	r.subs.all = append(r.subs.all, g.target)
	return nil
}

// dismiss looks whether the guest's subscription was deleted, and deletes it if not. From when that was answered,
// nothing may come; a request that was cut may be read by the receiver a moment later.
func (r *run) dismiss(ctx context.Context, g *guest) error {
	c := r.client()
	try, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := c.Delete(try, r.subs.ids[g.target])
		var told *client.Error
		if err == nil || errors.As(err, &told) && told.Status == http.StatusNotFound {
			break
		}
		if try.Err() != nil || !unavailable(err) {
			return fmt.Errorf("delete %s: %w", g.target.name, err)
		}
		wait(try, again)
	}
	g.gone = true
	r.ledger.close(g.target, time.Now().Add(cutWithin))
	return nil
}

const cutWithin = time.Second

// find returns the id of the subscription with a name, empty if there is none.
func (r *run) find(ctx context.Context, name string) (string, error) {
	try, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		id, err := "", error(nil)
		for sub, listErr := range r.client().List(try) {
			if listErr != nil {
				err = listErr
				break
			}
			if sub.Name == name {
				id = sub.ID
			}
		}
		if err == nil || try.Err() != nil || !unavailable(err) {
			return id, err
		}
		wait(try, again)
	}
}
