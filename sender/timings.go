package sender

import (
	"time"

	"github.com/rowhook/rowhook/sender/internal/http1"
)

// Timings are what the parts of an attempt took. DNS, Connect and TLS are those of its connection, zero where it was kept from an
// earlier attempt. FirstByte is from the attempt's beginning to the first byte of the answer, zero where there was none.
type Timings struct {
	DNS, Connect, TLS, FirstByte time.Duration
}

// onePiece is within what time of the first byte of an answer its headers are at an end, where nothing is to be told of it.
const onePiece = time.Millisecond

// timingsOf are those of an attempt that is worth more than its duration, else nil: most have a connection that was kept, and
// cost nothing.
func timingsOf(p http1.Phases, started time.Time, duration time.Duration) *Timings {
	var first time.Duration
	if !p.Answered.IsZero() {
		first = min(p.Answered.Sub(started), duration)
	}
	if p.DNS+p.Connect+p.TLS == 0 && (first == 0 || duration-first < onePiece) {
		return nil
	}
	return &Timings{DNS: p.DNS, Connect: p.Connect, TLS: p.TLS, FirstByte: first}
}
