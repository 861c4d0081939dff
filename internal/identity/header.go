package identity

import (
	"net/http"
	"net/netip"
	"strings"
)

// headers believes a header that a gateway in front of us sets.
type headers struct {
	name, allow string
	from        []netip.Prefix
}

func newHeaders(c *Header) *headers {
	h := &headers{name: http.CanonicalHeaderKey(c.Name), from: c.From}
	if c.AllowHeader != "" {
		h.allow = http.CanonicalHeaderKey(c.AllowHeader)
	}
	return h
}

func (h *headers) Who(r *http.Request) (Identity, error) {
	if !h.trusted(r) {
		// Strip has been here before; this is for the caller who forgot it.
		return Identity{}, unauthorized("log in", "")
	}
	values := r.Header.Values(h.name)
	switch {
	case len(values) == 0:
		return Identity{}, unauthorized("log in", "")
	case len(values) > 1:
		// One may be the caller's own, which the gateway added to and did not replace.
		return Identity{}, &Error{Status: http.StatusForbidden, Detail: "the header " + h.name + " came more than once"}
	}
	mayWrite := true
	if h.allow != "" {
		says := r.Header.Values(h.allow)
		mayWrite = len(says) == 1 && strings.EqualFold(strings.TrimSpace(says[0]), "true")
	}
	return accounted(strings.TrimSpace(values[0]), mayWrite)
}

// Strip takes the headers off that did not come from one of the networks. Those that a server could take for them, as CGI
// and WSGI do with X_Account_Id, and some with X.Account.Id, are taken off whoever sent them.
func (h *headers) Strip(r *http.Request) {
	trusted := h.trusted(r)
	for _, from := range []http.Header{r.Header, r.Trailer} {
		for name := range from {
			alike := h.alike(name, h.name) || h.alike(name, h.allow)
			if alike && (!trusted || name != h.name && name != h.allow) {
				delete(from, name)
			}
		}
	}
}

func (h *headers) alike(name, guarded string) bool {
	return guarded != "" && len(name) == len(guarded) && strings.EqualFold(strings.Map(dashed, name), strings.Map(dashed, guarded))
}

// dashed is a letter or a digit as it is, and a dash for all else.
func dashed(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '-'
}

// trusted says whether the peer is in one of the networks. What it says of who sent it the request does not count.
func (h *headers) trusted(r *http.Request) bool {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	peer := at.Addr().Unmap().WithZone("")
	for _, p := range h.from {
		if p.Contains(peer) {
			return true
		}
	}
	return false
}

func (h *headers) Close() {}
