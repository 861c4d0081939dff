package http1

import (
	"context"
	"crypto/tls"
	"net/http/httptrace"
	"sync"
	"time"
)

// Phases are how long the parts of a request took that come before its answer. Those of a connection are zero where it was
// kept from an earlier request.
type Phases struct {
	// DNS is the lookup of the name, Connect from the first address that was tried to the last, TLS the handshake.
	DNS, Connect, TLS time.Duration
	// Answered is when the first byte of the answer came; zero without one.
	Answered time.Time
}

// Watch measures the phases of a request that is made by the standard library. It may be asked while the request goes on:
// net/http may go on dialling when it has found another connection.
type Watch struct {
	mu     sync.Mutex
	phases Phases
	// When each began: dns is zero once it has ended.
	dns, connect, tls  time.Time
	connecting, shaken bool
	// kept says that the request has got a connection of an earlier one, whatever was begun for it meanwhile.
	kept bool
}

// Trace makes a context whose request is watched.
func (w *Watch) Trace(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		DNSStart: func(httptrace.DNSStartInfo) { w.note(func(now time.Time) { w.dns = now }) },
		DNSDone: func(httptrace.DNSDoneInfo) {
			w.note(func(now time.Time) { w.phases.DNS += now.Sub(w.dns); w.dns = time.Time{} })
		},
		ConnectStart: func(string, string) {
			// Several addresses may be tried, also at once.
			w.note(func(now time.Time) {
				if !w.connecting {
					w.connect, w.connecting = now, true
				}
			})
		},
		ConnectDone: func(string, string, error) { w.note(func(now time.Time) { w.phases.Connect = now.Sub(w.connect) }) },
		TLSHandshakeStart: func() {
			w.note(func(now time.Time) { w.tls, w.shaken = now, false })
		},
		TLSHandshakeDone: func(tls.ConnectionState, error) {
			w.note(func(now time.Time) { w.phases.TLS, w.shaken = now.Sub(w.tls), true })
		},
		GotConn:              func(info httptrace.GotConnInfo) { w.note(func(time.Time) { w.kept = info.Reused }) },
		GotFirstResponseByte: func() { w.note(func(now time.Time) { w.phases.Answered = now }) },
	})
}

func (w *Watch) note(f func(time.Time)) {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	f(now)
}

// Phases are what has been measured. What has begun and not ended has taken until now.
func (w *Watch) Phases() Phases {
	now := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	p := w.phases
	switch {
	case w.kept:
		p.DNS, p.Connect, p.TLS = 0, 0, 0
	case !w.dns.IsZero():
		p.DNS += now.Sub(w.dns)
	case w.connecting && p.Connect == 0:
		p.Connect = now.Sub(w.connect)
	case !w.tls.IsZero() && !w.shaken:
		p.TLS = now.Sub(w.tls)
	}
	return p
}
