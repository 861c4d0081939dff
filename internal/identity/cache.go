package identity

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// maxRemembered bounds the answers that are kept, maxRememberedBody those of refusals, in bytes: together 6 MB.
	maxRemembered     = 8192
	maxRememberedBody = 512
	// refusedFor is how long a 401 is kept: somebody may just have logged in.
	refusedFor = 2 * time.Second
	// sweepEvery is how often what is over is looked for, when there are as many as may be.
	sweepEvery = time.Second
)

// digest stands for a question. Nothing can be read out of it, in a core dump neither: its key is this process's.
type digest [sha256.Size]byte

// cache keeps the application's answers, by credential.
type cache struct {
	ttl time.Duration
	key []byte
	now func() time.Time

	mu       sync.Mutex
	answers  map[digest]remembered
	underway map[digest]*flight
	swept    time.Time
}

type remembered struct {
	identity Identity
	refusal  *Error
	until    time.Time
}

// flight is a question under way, for all who ask it meanwhile.
type flight struct {
	began    time.Time
	done     chan struct{}
	identity Identity
	err      error
}

func newCache(ttl time.Duration) *cache {
	key := make([]byte, 32)
	rand.Read(key)
	return &cache{ttl: ttl, key: key, now: time.Now, answers: map[digest]remembered{}, underway: map[digest]*flight{}}
}

// digest stands for the texts in this order.
func (c *cache) digest(texts []string) (d digest) {
	mac := hmac.New(sha256.New, c.key)
	for _, s := range texts {
		// The length keeps two texts from reading as other two.
		mac.Write(strconv.AppendInt(nil, int64(len(s)), 10))
		mac.Write([]byte{':'})
		mac.Write([]byte(s))
	}
	mac.Sum(d[:0])
	return d
}

// errCut says that whoever asked did not come back with an answer.
var errCut = errors.New("the question was cut short")

// get returns what is remembered, or what ask returns. Who asks at the same time gets the same answer. Ask's context does not
// end with the caller's: others wait for it.
func (c *cache) get(ctx context.Context, key digest, ask func(context.Context) (Identity, error)) (Identity, error) {
	if c.ttl <= 0 {
		// A question that began before may be answered by what has changed since: nobody shares one.
		return ask(ctx)
	}
	c.mu.Lock()
	// The time of the answer is that of the question: the application may have looked right then.
	began := c.now()
	if a, ok := c.answers[key]; ok && began.Before(a.until) {
		c.mu.Unlock()
		if a.refusal != nil {
			return Identity{}, a.refusal
		}
		return a.identity, nil
	}
	// One that has been under way for longer than an answer is good for may answer with what is no more.
	if f := c.underway[key]; f != nil && began.Sub(f.began) < c.ttl {
		c.mu.Unlock()
		select {
		case <-f.done:
			return f.identity, f.err
		case <-ctx.Done():
			return Identity{}, ctx.Err()
		}
	}
	f := &flight{began: began, done: make(chan struct{}), err: errCut}
	c.underway[key] = f
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		if c.underway[key] == f {
			delete(c.underway, key)
		}
		c.remember(key, f)
		c.mu.Unlock()
		close(f.done)
	}()
	f.identity, f.err = ask(context.WithoutCancel(ctx))
	return f.identity, f.err
}

// remember keeps who was found, and for a short time that somebody is nobody. The caller holds the lock.
func (c *cache) remember(key digest, f *flight) {
	a := remembered{identity: f.identity, until: f.began.Add(c.ttl)}
	if f.err != nil {
		var e *Error
		if !errors.As(f.err, &e) || e.Status != http.StatusUnauthorized || e.Err != nil || len(e.Body) > maxRememberedBody {
			return
		}
		a.refusal, a.until = e, f.began.Add(min(c.ttl, refusedFor))
	}
	now := c.now()
	if was, there := c.answers[key]; !now.Before(a.until) || there && was.until.After(a.until) {
		return // it is over, or a later question was quicker
	}
	if _, there := c.answers[key]; !there && len(c.answers) >= maxRemembered {
		c.makeRoom(now)
	}
	c.answers[key] = a
}

// makeRoom forgets what is over, and else any one: whoever it is of is asked for again.
func (c *cache) makeRoom(now time.Time) {
	if now.Sub(c.swept) >= sweepEvery {
		c.swept = now
		for k, a := range c.answers {
			if !now.Before(a.until) {
				delete(c.answers, k)
			}
		}
	}
	for k := range c.answers {
		if len(c.answers) < maxRemembered {
			return
		}
		delete(c.answers, k)
	}
}
