package proxy

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// failed answers a request that did not get an answer of the application.
func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	if x, ok := w.(*exchange); ok && x.body.broke() {
		p.log.Debug("a request's body broke off", "error", unquoted(err))
		w.Header().Set("Connection", "close")
		Problem(w, http.StatusBadRequest, "the request's body cannot be read to its end")
		return
	}
	status, what, next := http.StatusBadGateway, "broke the connection before it answered", "its log may tell why"
	var op *net.OpError
	var dns *net.DNSError
	var timeout net.Error
	var certificate *tls.CertificateVerificationError
	switch {
	case errors.As(err, &dns) && !dns.Timeout():
		what, next = "cannot be reached: its name does not resolve", "mend app.url in rowhook's config"
	case errors.As(err, &op) && (op.Op == "read" || op.Op == "write"):
	case errors.As(err, &timeout) && timeout.Timeout():
		status = http.StatusGatewayTimeout
		what, next = "did not accept a connection within "+connectTimeout.String(), "look whether it is overloaded, and whether app.url in rowhook's config is its address"
	case errors.As(err, &op) && op.Op == "dial":
		what, next = "cannot be reached", "start it, or mend app.url in rowhook's config"
		if errors.Is(err, syscall.ECONNREFUSED) {
			what = "cannot be reached: it refuses connections"
		}
	case errors.As(err, &certificate):
		what, next = "shows a certificate that is not valid for it", "mend the certificate, or app.url in rowhook's config"
	case errors.Is(err, errHeadTooLarge):
		what, next = "answered with headers of more than 1 MiB", "its log may tell why"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
	default:
		what = "did not answer in HTTP/1.1"
	}
	if p.away.CompareAndSwap(false, true) {
		p.log.Warn("the application "+what, "app", p.config.App.Host, "reason", unquoted(err), "hint", next)
	} else {
		p.log.Debug("the application "+what, "app", p.config.App.Host, "reason", unquoted(err))
	}
	// Where it is, and what to do, is nobody's business but the operator's.
	Problem(w, status, "the application "+what)
}

// unquoted is an error's text without what the other side has sent: it may be a cookie that has lost its colon.
func unquoted(err error) string {
	s := err.Error()
	if before, _, quoted := strings.Cut(s, "malformed "); quoted {
		return before + "what was sent is not HTTP/1.1"
	}
	if before, _, quoted := strings.Cut(s, `"`); quoted {
		return before + "…"
	}
	return s
}

// Problem answers with an RFC 9457 problem of the status.
func Problem(w http.ResponseWriter, status int, detail string) {
	body, err := json.Marshal(struct {
		Type   string `json:"type"`
		Title  string `json:"title"`
		Status int    `json:"status"`
		Detail string `json:"detail"`
	}{"about:blank", http.StatusText(status), status, detail})
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	w.Write(body) // a caller that is gone is nobody's concern
}

// clientBody is a request's body that remembers whether it broke, so that the application is not blamed for it.
type clientBody struct {
	io.ReadCloser
	// ended is called when the body has ended, and its trailers are there; it may be nil.
	ended         func()
	broken, whole atomic.Bool

	// reading is held while the body is read; over says that it is not read any more.
	reading sync.Mutex
	over    bool
}

func (b *clientBody) broke() bool { return b != nil && b.broken.Load() }

// held says that some of the body is still to come: the connection cannot be used again. Transport may be reading it when the
// request is over, and net/http then breaks the next one off. Who waits for 100 Continue may not send it at all.
func (b *clientBody) held() bool { return b != nil && !b.whole.Load() }

// leave ends the reading of a body that has not come to its end, for net/http's own: the two at once would wait for each other.
// That one goes on for a while, so that who is still sending does not lose the answer.
func (b *clientBody) leave(c *http.ResponseController) {
	if !b.held() || c.SetReadDeadline(time.Unix(1, 0)) != nil {
		return // without a body, or the connection is not HTTP any more
	}
	b.reading.Lock()
	b.over = true
	b.reading.Unlock()
	_ = c.SetReadDeadline(time.Now().Add(headTimeout))
}

func (b *clientBody) Read(buf []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.over {
		return 0, http.ErrBodyReadAfterClose
	}
	n, err := b.ReadCloser.Read(buf)
	switch {
	case err == io.EOF:
		if !b.whole.Swap(true) && b.ended != nil {
			b.ended()
		}
	case err != nil:
		b.broken.Store(true)
	}
	return n, err
}
