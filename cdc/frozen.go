package cdc

import (
	"errors"
	"time"
)

// frozenAfter is how long the reader may not have run before another process can have got the slot: the server ends the
// connection walSenderTimeout after our last word, which is at most aliveEvery older than the reader's last step.
const frozenAfter = walSenderTimeout / 2

// errFrozen ends a connection that nobody looked after. What is in its socket may have been sent to another process since.
var errFrozen = errors.New("this process did not run for a while (frozen, or without CPU), and another may have taken over: the connection is made anew")

// noteEvery is how often it is noted that the reader runs: it takes some steps for each message, and far less often will do.
const noteEvery = frozenAfter / 100

// attend notes that the reader runs. It is an error when it has not done so for too long.
func (s *Source) attend() error {
	now := time.Now()
	last := s.attended.Load()
	if !s.cfg.Temporary && !attended(last, now) {
		return errFrozen
	}
	if last == nil || now.Sub(*last) > noteEvery {
		note := now // else each call would allocate
		s.attended.Store(&note)
	}
	return nil
}

// Attended says whether the connection has been looked after so recently that nobody else can have the slot. A process that
// was frozen knows by it, before anything else happens, that it must not go on as if nothing had been. A temporary slot is
// never anybody else's.
func (s *Source) Attended() bool { return s.cfg.Temporary || attended(s.attended.Load(), time.Now()) }

func attended(last *time.Time, now time.Time) bool {
	if last == nil {
		return false
	}
	// The monotonic clock stands still while a machine sleeps, the other one may be set: the greater counts.
	return max(now.Sub(*last), now.Round(0).Sub(last.Round(0))) < frozenAfter
}
