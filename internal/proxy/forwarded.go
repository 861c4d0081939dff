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

func (p *Proxy) trusts(addr netip.Addr) bool {
	for _, n := range p.config.TrustedNetworks {
		if n.Contains(addr) {
			return true
		}
	}
	return false
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
