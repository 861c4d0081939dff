package http1

import (
	"sync"
	"time"
)

// key is whom a connection leads to.
type key struct{ scheme, host string }

// idle are the connections that nothing uses. The one that was used last is used first, the one that has waited longest
// makes room. One timer closes those that are too old.
type idle struct {
	mu             sync.Mutex
	newest, oldest *conn
	n              int
	// top is the newest of each host; the others are below it.
	top map[key]*conn
	// closing says that connections that come back are closed, until one is asked for again.
	closing bool
	timer   *time.Timer
	armed   bool
}

// take returns an idle connection on which nothing has come, or nil.
func (p *idle) take(k key) *conn {
	for {
		p.mu.Lock()
		p.closing = false
		c := p.top[k]
		if c != nil {
			p.remove(c)
		}
		p.mu.Unlock()
		if c == nil || c.quiet() {
			return c
		}
		c.abort()
	}
}

// put gives a connection back.
func (p *idle) put(c *conn, limit int, timeout time.Duration) {
	c.reused = true
	p.mu.Lock()
	if p.closing || limit <= 0 {
		p.mu.Unlock()
		c.close()
		return
	}
	c.since = time.Now()
	c.older = p.newest
	if p.newest != nil {
		p.newest.newer = c
	} else {
		p.oldest = c
	}
	p.newest = c
	if p.top == nil {
		p.top = map[key]*conn{}
	}
	if below := p.top[c.key]; below != nil {
		c.below, below.above = below, c
	}
	p.top[c.key] = c
	p.n++
	var over *conn
	if p.n > limit {
		over = p.oldest
		p.remove(over)
	}
	if !p.armed && timeout > 0 {
		p.armed = true
		if p.timer == nil {
			p.timer = time.AfterFunc(timeout, func() { p.expire(timeout) })
		} else {
			p.timer.Reset(timeout)
		}
	}
	p.mu.Unlock()
	if over != nil {
		over.close()
	}
}

// expire closes what is too old, and comes again for the next.
func (p *idle) expire(timeout time.Duration) {
	p.mu.Lock()
	var old []*conn
	p.armed = false
	for p.oldest != nil {
		if left := timeout - time.Since(p.oldest.since); left > 0 {
			p.armed = true
			p.timer.Reset(left)
			break
		}
		old = append(old, p.oldest)
		p.remove(p.oldest)
	}
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// closeHost closes the idle connections of one host.
func (p *idle) closeHost(k key) {
	p.mu.Lock()
	var all []*conn
	for c := p.top[k]; c != nil; c = p.top[k] {
		all = append(all, c)
		p.remove(c)
	}
	p.mu.Unlock()
	for _, c := range all {
		c.abort()
	}
}

func (p *idle) closeAll() {
	p.mu.Lock()
	p.closing = true
	var all []*conn
	for p.oldest != nil {
		all = append(all, p.oldest)
		p.remove(p.oldest)
	}
	p.mu.Unlock()
	for _, c := range all {
		c.close()
	}
}

// remove takes a connection out of both lists. It is called with the mutex held.
func (p *idle) remove(c *conn) {
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		p.newest = c.older
	}
	if c.older != nil {
		c.older.newer = c.newer
	} else {
		p.oldest = c.newer
	}
	switch {
	case c.above != nil:
		c.above.below = c.below
	case c.below != nil:
		p.top[c.key] = c.below
	default:
		delete(p.top, c.key)
	}
	if c.below != nil {
		c.below.above = c.above
	}
	c.newer, c.older, c.above, c.below = nil, nil, nil, nil
	p.n--
}
