package config

import (
	"net/netip"

	"github.com/rowhook/rowhook/internal/identity"
)

// Proxy is the listener in front of the application.
type Proxy struct {
	// Listen is its address. Empty: there is no proxy.
	Listen string
	// TrustedNetworks are those of the proxies in front of ours, whose word on the client's address counts.
	TrustedNetworks []netip.Prefix
	// Identity says who calls.
	Identity identity.Config
}

var proxyObject = object[Proxy]{
	closed: true,
	members: []member[Proxy]{
		must(key("listen", listenAddress(), func(p *Proxy) *string { return &p.Listen },
			"Address to listen at, host:port."), "listen: :8080"),
		key("trusted_networks", list[netip.Prefix]{item: network(), show: showPrefix}, func(p *Proxy) *[]netip.Prefix { return &p.TrustedNetworks },
			"Networks of the proxies in front of this one, whose X-Forwarded-For counts."),
		must(key("identity", identityObject, func(p *Proxy) *identity.Config { return &p.Identity },
			"How to find out who calls. Exactly one of path, jwt and header."), "identity: {path: /api/me, account: account.id}"),
	},
}
