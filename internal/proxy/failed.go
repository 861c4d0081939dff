package proxy

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"syscall"
)

// failed answers a request that did not get an answer of the application.
func (p *Proxy) failed(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil {
		panic(http.ErrAbortHandler) // the client has gone
	}
	if x, ok := w.(*exchange); ok && x.body.broke() {
		p.log.Debug("a request's body broke off", "error", err)
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
		p.log.Warn("the application does not answer", "app", p.config.App.Host, "reason", err)
	} else {
		p.log.Debug("the application does not answer", "app", p.config.App.Host, "reason", err)
	}
	Problem(w, status, "the application at "+p.config.App.Host+" "+what+": "+next)
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
	broken atomic.Bool
}

func (b *clientBody) broke() bool { return b != nil && b.broken.Load() }

func (b *clientBody) Read(buf []byte) (int, error) {
	n, err := b.ReadCloser.Read(buf)
	if err != nil && err != io.EOF {
		b.broken.Store(true)
	}
	return n, err
}
