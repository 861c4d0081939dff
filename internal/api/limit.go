package api

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/rowhook/rowhook/subscriptions"
)

// limiter bounds the requests of each account, so that one customer's loop is not everybody's outage. The admin is not
// bounded.
type limiter struct {
	rate  rate.Limit
	burst int
	// most, where it is not 0, bounds how many are told apart: callers name themselves, and those beyond it share one rate.
	most int

	mu    sync.Mutex
	of    map[string]*rate.Limiter
	swept time.Time
}

// sweepEvery is how often accounts that have asked for nothing are forgotten.
const sweepEvery = time.Minute

// newLimiter returns nil for a rate of 0, which bounds nobody. A burst is the requests of two seconds.
func newLimiter(perSecond float64) *limiter {
	if perSecond <= 0 {
		return nil
	}
	return &limiter{rate: rate.Limit(perSecond), burst: max(1, int(math.Ceil(2*perSecond))), of: map[string]*rate.Limiter{}}
}

// allow says whether the caller may go on, and if not, when.
func (l *limiter) allow(scope subscriptions.Scope, now time.Time) (time.Duration, bool) {
	if l == nil || scope.Admin {
		return 0, true
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.swept) > sweepEvery {
		l.swept = now
		for account, one := range l.of {
			if one.TokensAt(now) >= float64(l.burst) {
				delete(l.of, account)
			}
		}
	}
	key := scope.Account
	if l.most > 0 && len(l.of) >= l.most && l.of[key] == nil {
		key = ""
	}
	one := l.of[key]
	if one == nil {
		one = rate.NewLimiter(l.rate, l.burst)
		l.of[key] = one
	}
	r := one.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return wait, false
	}
	return 0, true
}

func tooMany(wait time.Duration) answer {
	return tooManyOf("this account has sent too many requests: wait as long as Retry-After says", wait)
}

func tooManyOf(detail string, wait time.Duration) answer {
	seconds := strconv.Itoa(int(math.Ceil(wait.Seconds())))
	a := problem(http.StatusTooManyRequests, detail)
	a.header("Retry-After", seconds)
	return a
}
