package api

import (
	"crypto/sha256"
	"encoding/binary"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// cookieWord is what the name of the cookie begins with. Behind securePrefix it is only ever taken over https, and from no other
	// host: https://www.rfc-editor.org/rfc/rfc6265bis
	cookieWord   = "rowhook"
	securePrefix = "__Host-"
	// sessionPlace is what cookies are sealed for.
	sessionPlace = "session"
	// ticketVersion begins a ticket. The first had no id, so that nobody could be logged out.
	ticketVersion = 2
)

// cookie is a session's.
func (s *Server) cookie(r *http.Request, t ticket) *http.Cookie {
	c := &http.Cookie{Name: s.cookieName(r), Path: "/", HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.isSecure(r), MaxAge: int(time.Until(t.ends()).Seconds())}
	plain := append([]byte{ticketVersion}, t.hash[:]...)
	plain = append(plain, t.id[:]...)
	plain = binary.BigEndian.AppendUint64(plain, uint64(t.began.Unix()))
	plain = binary.BigEndian.AppendUint64(plain, uint64(t.used.Unix()))
	c.Value = s.config.SessionKeys.Seal(string(plain), sessionPlace)
	return c
}

// cookieName is the name of the cookie that counts: over https no page of a neighbouring host can have set it. A browser keeps one jar for
// all ports of a host, so the port that it asks at is in the name: logging in at one rowhook logs nobody out of another beside it.
func (s *Server) cookieName(r *http.Request) string {
	name := cookieWord
	if _, port, err := net.SplitHostPort(r.Host); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err == nil {
			name += "-" + strconv.FormatUint(n, 10)
		}
	}
	if s.isSecure(r) {
		name = securePrefix + name
	}
	return name
}

// hasCookie says whether a request without a header of its own comes with a session's cookie, of whatever worth.
func (s *Server) hasCookie(r *http.Request) bool {
	if s.config.SessionKeys == nil || len(r.Header.Values("Authorization")) > 0 {
		return false
	}
	_, err := r.Cookie(s.cookieName(r))
	return err == nil
}

// ticketOf opens the cookie. Two of the same name are none: one of them may be somebody else's.
func (s *Server) ticketOf(r *http.Request) (ticket, bool) {
	given := r.CookiesNamed(s.cookieName(r))
	if len(given) != 1 || !strings.HasPrefix(given[0].Value, s.config.SessionKeys.AnyPrefix()) {
		return ticket{}, false
	}
	plain, err := s.config.SessionKeys.Open(given[0].Value, sessionPlace)
	if err != nil || len(plain) != 1+sha256.Size+len(ticket{}.id)+16 || plain[0] != ticketVersion {
		return ticket{}, false
	}
	var t ticket
	b := []byte(plain[1:])
	b = b[copy(t.hash[:], b):]
	b = b[copy(t.id[:], b):]
	t.began = time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
	t.used = time.Unix(int64(binary.BigEndian.Uint64(b[8:])), 0)
	return t, true
}

// isSecure says whether the browser asks over https, by a gateway's word too, where its network is trusted.
func (s *Server) isSecure(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	said := strings.Split(strings.Join(r.Header.Values("X-Forwarded-Proto"), ","), ",")
	return s.fromGateway(r) && strings.EqualFold(strings.TrimSpace(said[len(said)-1]), "https")
}

func (s *Server) trusts(addr netip.Addr) bool {
	return slices.ContainsFunc(s.config.TrustedNetworks, func(n netip.Prefix) bool { return n.Contains(addr.Unmap().WithZone("")) })
}

func (s *Server) fromGateway(r *http.Request) bool {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && s.trusts(addr)
}

// clientAt is the address that a request comes from, behind the gateways that are trusted.
func (s *Server) clientAt(r *http.Request) string {
	if !s.fromGateway(r) {
		return clientOf(r)
	}
	said := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, one := range slices.Backward(said) {
		addr, err := netip.ParseAddr(strings.TrimSpace(one))
		if err != nil {
			break
		}
		if !s.trusts(addr) {
			return clientOf(From(r, addr.String()))
		}
	}
	return clientOf(r)
}
