package app

import (
	"context"
	"sync"

	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/sender"
)

// resender sends events again, beside the stream. Its methods may be called from any goroutine.
type resender struct {
	store      *store.Store
	dispatcher *sender.Dispatcher
	// mu lets in one at a time: between the look for what waits and the rows of what does not, nobody else adds any.
	mu sync.Mutex
}

// resendPage is how many jobs are to be given to resend at once: it holds them in memory until they have their rows.
const resendPage = 500

// resend lets deliveries be sent again, marked as replays, and returns when they have their rows in the store: how many those are,
// without the ones that wait already. See sender.Dispatcher.Resend for what it needs to know of them, and for its errors. After an
// error the same ones can be given again. Subscriptions that are not there any more are left out.
func (r *resender) resend(ctx context.Context, jobs []sender.Job) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// What has been decided in memory must be in the store to be seen there.
	if err := r.dispatcher.Recorded(ctx); err != nil {
		return 0, err
	}
	var asked []store.Delivery
	var keys []int64
	for _, j := range jobs {
		for _, to := range j.To {
			asked, keys = append(asked, store.Delivery{Subscription: to.Key, Event: j.Event}), append(keys, to.Key)
		}
	}
	waiting, err := r.store.Waiting(ctx, asked)
	if err != nil {
		return 0, err
	}
	again, n := make([]sender.Job, 0, len(jobs)), 0
	for _, j := range jobs {
		to := j.To[:0:0]
		for _, s := range j.To {
			if at := (store.Pair{Subscription: s.Key, Position: j.Event.Position}); !waiting[at] {
				waiting[at] = true
				to = append(to, s)
			}
		}
		if j.To = to; len(to) > 0 {
			again, n = append(again, j), n+len(to)
		}
	}
	if err := r.dispatcher.Resend(ctx, again); err != nil {
		return 0, err
	}
	// One that was deleted meanwhile has no rows, and may have been forgotten before it was submitted to.
	gone, err := r.store.Gone(ctx, keys)
	for _, key := range gone {
		r.dispatcher.Remove(key)
		r.dispatcher.Forget(key)
	}
	return n, err
}
