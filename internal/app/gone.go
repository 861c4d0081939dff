package app

import (
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// gonesKept are the targets that are remembered as gone, goneFor for how long: in memory, since the subscriptions are deleted.
	gonesKept = 20
	goneFor   = 24 * time.Hour
)

// gones remember the targets that have said lately that they are gone.
type gones struct {
	mu   sync.Mutex
	last []gone
	// more are those that were too many.
	more int
}

type gone struct {
	id, host string
	at       time.Time
}

func (g *gones) add(s *subscriptions.Subscription, at time.Time) {
	host := ""
	if u, err := url.Parse(s.TargetURL.Reveal()); err == nil {
		host = u.Hostname()
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.last = append(g.last, gone{s.ID, host, at})
	if n := len(g.last) - gonesKept; n > 0 {
		g.last, g.more = append(g.last[:0], g.last[n:]...), g.more+n
	}
}

// tell makes a finding of the newest of them.
func (g *gones) tell(f *findingList) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for len(g.last) > 0 && time.Since(g.last[0].at) > goneFor {
		g.last, g.more = g.last[1:], 0
	}
	if len(g.last) == 0 {
		return
	}
	newest := g.last[len(g.last)-1]
	what := fmt.Sprintf("the target of %s at %s has answered 410: the subscription was deleted, as that answer asks for", newest.id, hostOr(newest.host))
	if n := len(g.last) + g.more - 1; n > 0 {
		what += fmt.Sprintf("; so were %d others before", n)
	}
	f.add(client.SeverityInfo, codeTargetGone, what, "nothing is sent to it any more",
		"nothing, if its owner meant it; else let it subscribe again, and send what is there by rowhook subscription backfill ID", newest.at)
}
