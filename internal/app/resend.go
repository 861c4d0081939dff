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

	// asking guards what was asked for and nobody has taken up.
	asking sync.Mutex
	asked  []*resending
}

// resending is one call of resend. The result is written by whoever has mu.
type resending struct {
	jobs []sender.Job
	done bool
	n    int
	err  error
}

// resendPage is how many jobs are to be given to resend at once: it holds them in memory until they have their rows.
const resendPage = 500

// resend lets deliveries be sent again, marked as replays, and returns when they have their rows in the store: how many those are,
// without the ones that wait already. See sender.Dispatcher.Resend for what it needs to know of them, and for its errors. After an
// error the same ones can be given again. Subscriptions that are not there any more are left out.
//
// What is asked for at the same time is done together: each time costs two writes of the store, and many replays that have a rate ask
// for a few deliveries every second.
func (r *resender) resend(ctx context.Context, jobs []sender.Job) (int, error) {
	own := &resending{jobs: jobs}
	r.asking.Lock()
	r.asked = append(r.asked, own)
	r.asking.Unlock()
	r.mu.Lock()
	defer r.mu.Unlock()
	if own.done {
		return own.n, own.err
	}
	all := r.take(own)
	err := r.resendAll(ctx, all)
	if err != nil && ctx.Err() != nil {
		// It ends for this one only.
		r.asking.Lock()
		r.asked = append(r.asked, all[1:]...)
		r.asking.Unlock()
		return 0, err
	}
	for _, x := range all {
		x.done, x.err = true, err
	}
	return own.n, err
}

// take takes up a call, which is the first of what it returns, and others with it as far as a page has room.
func (r *resender) take(own *resending) []*resending {
	r.asking.Lock()
	defer r.asking.Unlock()
	all, left, size := []*resending{own}, []*resending(nil), len(own.jobs)
	for _, x := range r.asked {
		switch {
		case x == own:
		case size+len(x.jobs) <= resendPage:
			all, size = append(all, x), size+len(x.jobs)
		default:
			left = append(left, x)
		}
	}
	r.asked = left
	return all
}

// resendAll does what several calls ask for, and sets their numbers. It is called with mu held.
func (r *resender) resendAll(ctx context.Context, calls []*resending) error {
	// What has been decided in memory must be in the store to be seen there.
	if err := r.dispatcher.Recorded(ctx); err != nil {
		return err
	}
	var asked []store.Delivery
	var keys []int64
	for _, call := range calls {
		for _, j := range call.jobs {
			for _, to := range j.To {
				asked, keys = append(asked, store.Delivery{Subscription: to.Key, Event: j.Event}), append(keys, to.Key)
			}
		}
	}
	waiting, err := r.store.Waiting(ctx, asked)
	if err != nil {
		return err
	}
	again := make([]sender.Job, 0, len(asked))
	for _, call := range calls {
		call.n = 0
		for _, j := range call.jobs {
			to := j.To[:0:0]
			for _, s := range j.To {
				if at := (store.Pair{Subscription: s.Key, Position: j.Event.Position}); !waiting[at] {
					waiting[at] = true
					to = append(to, s)
				}
			}
			if j.To = to; len(to) > 0 {
				again, call.n = append(again, j), call.n+len(to)
			}
		}
	}
	if err := r.dispatcher.Resend(ctx, again); err != nil {
		return err
	}
	// One that was deleted meanwhile has no rows, and may have been forgotten before it was submitted to.
	gone, err := r.store.Gone(ctx, keys)
	for _, key := range gone {
		r.dispatcher.Remove(key)
		r.dispatcher.Forget(key)
	}
	return err
}
