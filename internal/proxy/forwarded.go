package proxy

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// Forward gives a request that is made on behalf of a caller's the Host and the forwarded headers that the caller's own would have.
func (p *Proxy) Forward(made, caller *http.Request) {
	made.Host = caller.Host
	p.forward(caller, made)
}

// forward tells the application who asked, for which host, and how. What a client says of that itself is replaced; what a
// gateway of a trusted network says is extended by the gateway's own address. A gateway that speaks one of the two
// dialects is extended in that one alone: in the other it would seem to be the client.
func (p *Proxy) forward(in, out *http.Request) {
	peer := ""
	if at, err := netip.ParseAddrPort(in.RemoteAddr); err == nil {
		addr := at.Addr().Unmap().WithZone("")
		peer = addr.String()
		if p.trusts(addr) && p.extend(in.Header, out.Header, peer) {
			return
		}
	}
	out.Header.Set("X-Forwarded-For", peer)
	out.Header.Set("X-Forwarded-Proto", scheme(in))
	element := "for=" + node(peer)
	if in.Host != "" {
		out.Header.Set("X-Forwarded-Host", in.Host)
		element += ";host=" + quoted(in.Host)
	}
	out.Header.Set("Forwarded", element+";proto="+scheme(in))
}

// Client is the address of who asks: the connection's, or what gateways of trusted networks say of it.
func (p *Proxy) Client(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	client := at.Addr().Unmap().WithZone("")
	said := strings.Split(strings.Join(r.Header["X-Forwarded-For"], ","), ",")
	for i := len(said) - 1; i >= 0 && p.trusts(client); i-- {
		before, err := netip.ParseAddr(strings.TrimSpace(said[i]))
		if err != nil {
			break
		}
		client = before.Unmap().WithZone("")
	}
	return client.String()
}

func (p *Proxy) trusts(addr netip.Addr) bool {
	for _, n := range p.config.TrustedNetworks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
}

// forgetAlike takes off what a server could take for one of the headers that forward sets, as CGI and WSGI do with
// X_Forwarded_For.
func forgetAlike(h http.Header) {
	for name := range h {
		if len(name) < len("X-Forwarded-For") || len(name) > len("X-Forwarded-Proto") {
			continue
		}
		switch alike := strings.ToLower(strings.Map(dashed, name)); alike {
		case "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto":
			if !strings.EqualFold(alike, name) {
				delete(h, name)
			}
		}
	}
}

// dashed is a letter or a digit as it is, and a dash for all else.
func dashed(r rune) rune {
	if r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' {
		return r
	}
	return '-'
}

// extend adds the peer to what it says; false if it says nothing.
func (p *Proxy) extend(in, out http.Header, peer string) bool {
	said := false
	if len(in["X-Forwarded-For"])+len(in["X-Forwarded-Host"])+len(in["X-Forwarded-Proto"]) > 0 {
		said = true
		out.Set("X-Forwarded-For", strings.Join(append(slices.Clone(in["X-Forwarded-For"]), peer), ", "))
		for _, name := range [...]string{"X-Forwarded-Host", "X-Forwarded-Proto"} {
			if lines, ok := in[name]; ok {
				out[name] = lines
			}
		}
	}
	if lines := in["Forwarded"]; len(lines) > 0 {
		out.Set("Forwarded", strings.Join(lines, ", ")+", for="+node(peer))
		said = true
	}
	return said
}

func scheme(r *http.Request) string {
	if r.TLS != nil {
		return "https"
	}
	return "http"
}

// node is an address as Forwarded has it. https://www.rfc-editor.org/rfc/rfc7239#section-6
func node(addr string) string {
	switch {
	case addr == "":
		return "unknown"
	case strings.Contains(addr, ":"):
		return `"[` + addr + `]"`
	}
	return addr
}

// quoted is a value as Forwarded has it: bare if it is a token.
func quoted(s string) string {
	bare := s != ""
	for i := range len(s) {
		c := s[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c == '.' || c == '-' || c == '_') {
			bare = false
		}
	}
	if bare {
		return s
	}
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
