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
		"::/96", "::ffff:0:0/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16",
		"2620:4f:8000::/48", "3fff::/20", "5f00::/16", "fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8",
	} {
		out = append(out, netip.MustParsePrefix(s))
	}
	return out
}()

// translated are addresses that stand for the one of IPv4 at their end, which a gateway (NAT64) leads to: in networks without IPv4
// all targets that have nothing else.
// https://www.rfc-editor.org/rfc/rfc6052
var translated = netip.MustParsePrefix("64:ff9b::/96")

// globalUnicast6 is all that has been given to the public internet of IPv6: private meshes use what is outside.
// https://www.iana.org/assignments/ipv6-address-space
var globalUnicast6 = netip.MustParsePrefix("2000::/3")

// Check returns nil, or an error that wraps ErrBlocked and names the address.
func (g Guard) Check(addr netip.Addr) error {
	// ::ffff:10.0.0.1 is 10.0.0.1 to the system.
	plain := addr.Unmap().WithZone("")
	for _, p := range g.AllowNetworks {
		if p.Contains(plain) {
			return nil
		}
	}
	switch {
	case translated.Contains(plain):
		return public(last4(plain))
	case plain.Is6() && !globalUnicast6.Contains(plain):
		return inSpecial(plain, "is not a public address")
	case isISATAP(plain):
		if err := public(last4(plain)); err != nil {
			return err
		}
	}
	return public(plain)
}

func public(addr netip.Addr) error {
	for _, p := range special {
		if p.Contains(addr) {
			return &blockedError{addr, "is in " + p.String() + ", which is not public"}
		}
	}
	return nil
}

// inSpecial names the network that an address is in, or says what it is.
func inSpecial(addr netip.Addr, otherwise string) error {
	if err := public(addr); err != nil {
		return err
	}
	return &blockedError{addr, otherwise}
}

// isISATAP says that an address of IPv6 leads to the one of IPv4 at its end, within a site. https://www.rfc-editor.org/rfc/rfc5214
func isISATAP(addr netip.Addr) bool {
	b := addr.As16()
	return addr.Is6() && b[8]&^0x03 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe
}

func last4(addr netip.Addr) netip.Addr {
	b := addr.As16()
	return netip.AddrFrom4([4]byte(b[12:]))
}

// blockedError is an ErrBlocked. The address is for who has named it; who has named a host learns its network only, so that
// the names of an internal network cannot be read by making subscriptions.
type blockedError struct {
	addr netip.Addr
	why  string
}

func (e *blockedError) Error() string  { return fmt.Sprintf("%s: %s %s", ErrBlocked, e.addr, e.why) }
func (e *blockedError) hidden() string { return fmt.Sprintf("%s: it %s", ErrBlocked, e.why) }
func (e *blockedError) Unwrap() error  { return ErrBlocked }

// control is called by the dialer with every address that it is about to connect to, after names have been resolved, so
// that there is no time between check and use.
func (g Guard) control(_, address string, _ syscall.RawConn) error {
	ap, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%w: %s", ErrBlocked, address)
	}
	return g.Check(ap.Addr())
}
