package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

const (
	// sessionLook is how long the store may take to say whether a session was ended; sessionLookAgain is when it is asked again after it has not.
	sessionLook      = 2 * time.Second
	sessionLookAgain = 2 * time.Second
	// sessionLooks bounds the connections of the store that these questions take: deliveries are written by the same.
	sessionLooks = 2
)

// sessions are those of the console that somebody has logged out of. The store has them, for all processes; what this process was told it knows
// without the store too.
type sessions struct {
	app   *App
	looks chan struct{}

	mu sync.Mutex
	// told are those that were ended here, until when their cookies could be good.
	told map[[16]byte]time.Time
	// again is when a store that did not answer is asked again.
	again time.Time
}

// errResting is that the store is not asked just now.
var errResting = fmt.Errorf("the store did not answer a moment ago: %w", subscriptions.ErrUnavailable)

func newSessions(a *App) *sessions {
	return &sessions{app: a, looks: make(chan struct{}, sessionLooks), told: map[[16]byte]time.Time{}}
}

// EndSession implements api.Sessions. The session is over here at once, and with no error everywhere.
func (s *sessions) EndSession(ctx context.Context, id [16]byte, until time.Time) error {
	now := time.Now()
	s.mu.Lock()
	maps.DeleteFunc(s.told, func(_ [16]byte, until time.Time) bool { return until.Before(now) })
	s.told[id] = until
	s.mu.Unlock()
	st, err := s.app.openStore()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, sessionLook)
	defer cancel()
	return st.EndSession(ctx, id, until)
}

// SessionEnded implements api.Sessions.
func (s *sessions) SessionEnded(ctx context.Context, id [16]byte) (bool, error) {
	s.mu.Lock()
	_, ended := s.told[id]
	s.mu.Unlock()
	if ended {
		return true, nil
	}
	if s.resting() {
		return false, errResting
	}
	st, err := s.app.openStore()
	if err != nil {
		return false, err
	}
	look, cancel := context.WithTimeout(ctx, sessionLook)
	defer cancel()
	select {
	case s.looks <- struct{}{}:
		defer func() { <-s.looks }()
	case <-look.Done():
		// The store may be well: whoever sends enough requests must not be let in for it. Where it is not, those before have said so by now.
		if s.resting() {
			return false, errResting
		}
		return false, fmt.Errorf("too many look for sessions that were ended: %w", look.Err())
	}
	ended, err = st.SessionEnded(look, id)
	if errors.Is(err, subscriptions.ErrUnavailable) && ctx.Err() == nil {
		s.mu.Lock()
		s.again = time.Now().Add(sessionLookAgain)
		s.mu.Unlock()
	}
	return ended, err
}

// resting says whether the store has not answered a moment ago.
func (s *sessions) resting() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Now().Before(s.again)
}
