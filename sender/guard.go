package sender

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"
)

// Guard decides which addresses may be sent to. The zero value allows https to public addresses.
type Guard struct {
	// AllowHTTP allows plain http.
	AllowHTTP bool
	// AllowNetworks allows networks that are refused otherwise.
	AllowNetworks []netip.Prefix
}

// ErrBlocked says that an address is not one to be sent to.
var ErrBlocked = errors.New("address is not allowed")

// special are the networks that are not the public internet, or lead elsewhere than they seem to.
// https://www.iana.org/assignments/iana-ipv4-special-registry and iana-ipv6-special-registry
var special = func() []netip.Prefix {
	var out []netip.Prefix
	for _, s := range []string{
		"0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
		"192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
		"198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
		// Azure's platform, with its metadata: a public address that is answered by the host of the machine.
		"168.63.129.16/32",
		"::/96", "::ffff:0:0/96", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
		"2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

// globalUnicast6 is all that has been given to the public internet of IPv6: private meshes use what is outside.
// https://www.iana.org/assignments/ipv6-address-space
var globalUnicast6 = netip.MustParsePrefix("2000::/3")

// Check returns nil, or an error that wraps ErrBlocked.
func (g Guard) Check(addr netip.Addr) error {
	// ::ffff:10.0.0.1 is 10.0.0.1 to the system.
	plain := addr.Unmap().WithZone("")
	for _, p := range g.AllowNetworks {
		if p.Contains(plain) {
			return nil
		}
	}
	for _, p := range special {
		if p.Contains(plain) {
			return fmt.Errorf("%w: %s is in %s, which is not public", ErrBlocked, plain, p)
		}
	}
	if !plain.IsGlobalUnicast() || plain.Is6() && !globalUnicast6.Contains(plain) {
		return fmt.Errorf("%w: %s is not a public address", ErrBlocked, plain)
	}
	return nil
}

// control is called by the dialer with every address that it is about to connect to, after names have been resolved, so
// that there is no time between check and use.
func (g Guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrBlocked, address)
	}
	return g.Check(ap.Addr())
}
