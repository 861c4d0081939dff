package proxy

import (
	"errors"
	"mime"
	"net/http"
	"strings"
)

// exchange is one request of the application's on its way there and back. It is the writer of the answer, and keeps
// net/http from adding headers that the application did not send.
type exchange struct {
	http.ResponseWriter
	proxy *Proxy
	last  bool        // on its connection
	old   bool        // HTTP/1.0, where nothing comes before an answer
	body  *clientBody // the request's; nil if it has none
	// direct says that the answer is flushed before more of it is waited for, and at no other time.
	direct bool
	// chunked is an answer whose length the application did not say, so neither do we. Events are one that ReverseProxy
	// flushes, from a goroutine of its own.
	chunked, events bool
}

// pass has the application answer.
func (p *Proxy) pass(w http.ResponseWriter, r *http.Request) {
	x := &exchange{ResponseWriter: w, proxy: p, last: lastOn(r), old: r.ProtoMinor == 0}
	if x.old || tunnels(r.Header) {
		delete(r.Header, "Upgrade")
		delete(r.Header, "Http2-Settings")
	}
	if r.Body != nil && r.Body != http.NoBody {
		x.body = &clientBody{ReadCloser: r.Body}
		r.Body = x.body
		// An application may answer while the body is still coming. net/http would read the body to its end first.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	if r.ContentLength < 0 && r.Trailer == nil {
		// net/http adds what comes after the body to this map, which rewrite shares; without one it would make its own.
		r.Trailer = http.Header{}
	}
	if p.config.Before != nil && x.body != nil && r.Trailer != nil {
		trailers := *r
		trailers.Header = http.Header{}
		x.body.ended = func() { p.config.Before(&trailers) }
	}
	reverse := p.reverse
	reverse.Transport = x
	if x.direct = p.direct.takes(r); x.direct {
		reverse.FlushInterval = 0
	}
	defer x.body.leave(http.NewResponseController(w))
	reverse.ServeHTTP(x, r)
}

// RoundTrip implements http.RoundTripper.
func (x *exchange) RoundTrip(r *http.Request) (res *http.Response, err error) {
	if x.direct {
		res, err = x.proxy.direct.roundTrip(r, x.flush)
	} else {
		res, err = x.proxy.transport.RoundTrip(r)
	}
	if err != nil {
		return nil, err
	}
	if res.StatusCode < 100 {
		_ = res.Body.Close()
		return nil, errNoStatus
	}
	x.proxy.answered()
	if x.direct && res.ContentLength < 0 {
		// ReverseProxy takes it for a sign to flush each piece by itself, with a goroutine that flushes the headers.
		res.ContentLength = 0
		x.chunked = res.Body != http.NoBody
	}
	if kind := res.Header.Get("Content-Type"); strings.Contains(strings.ToLower(kind), "event-stream") {
		kind, _, _ = mime.ParseMediaType(kind)
		x.events = kind == "text/event-stream" // as ReverseProxy looks at it
	}
	return res, nil
}

var errNoStatus = errors.New("the status of its answer is none of HTTP")

// answered tells that the application is back.
func (p *Proxy) answered() {
	if p.away.Load() && p.away.CompareAndSwap(true, false) {
		p.log.Info("the application answers again", "app", p.config.App.Host)
	}
}

func (x *exchange) flush() {
	if !x.events {
		_ = http.NewResponseController(x.ResponseWriter).Flush()
	}
}

// Unwrap is for http.ResponseController.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

// WriteHeader writes the headers that there are, and no others.
func (x *exchange) WriteHeader(status int) {
	if x.old && status < 200 {
		return
	}
	if h := x.Header(); status >= 200 {
		for _, name := range [...]string{"Content-Type", "Date"} {
			if _, ok := h[name]; !ok {
				h[name] = nil
			}
		}
	}
	if (x.last || x.body.held()) && status >= 200 {
		x.Header().Set("Connection", "close") // headers before the answer's own have taken it away
	}
	if x.chunked && status >= 200 {
		x.Header().Set("Transfer-Encoding", "chunked")
	}
	x.ResponseWriter.WriteHeader(status)
}

// tunnels says that an upgrade asks for another kind of HTTP, or for TLS. Such a connection would carry requests that the
// proxy does not see: with headers that say who calls, and who asked.
func tunnels(h http.Header) bool {
	for _, line := range h["Upgrade"] {
		for protocol := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(protocol), "/")
			switch strings.ToLower(name) {
			case "h2c", "h2", "http", "tls":
				return true
			}
		}
	}
	return false
}
