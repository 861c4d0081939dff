package config

import (
	"net/netip"

	"github.com/rowhook/rowhook/internal/identity"
)

// Proxy is the reverse proxy before the application.
type Proxy struct {
	// Listen is its address. Empty: there is no proxy.
	Listen string
	// TrustedNetworks are those of gateways, whose word on whom they ask for is passed on. Defaults to none.
	TrustedNetworks []netip.Prefix
	// Identity says who calls.
	Identity identity.Config
}

var proxyObject = object[Proxy]{
	closed: true,
	members: []member[Proxy]{
		must(key("listen", listenAddress(), func(p *Proxy) *string { return &p.Listen },
			"Address to listen at, host:port: plain HTTP/1.1. What clients of the application, or the gateway before it, connect to."), "listen: :8080"),
		key("trusted_networks", list[netip.Prefix]{item: network(), show: showPrefix}, func(p *Proxy) *[]netip.Prefix { return &p.TrustedNetworks },
			"Networks of the gateways before it. What they say in X-Forwarded-For, X-Forwarded-Host, X-Forwarded-Proto and Forwarded is passed on and extended; what others say there is replaced. Default: none."),
		must(key("identity", identityObject, func(p *Proxy) *identity.Config { return &p.Identity },
			"How to find out who calls. Exactly one of path, jwt and header."), "identity: {path: /api/me, account: account.id}"),
	},
}
