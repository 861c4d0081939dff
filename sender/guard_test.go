package sender

import (
	"errors"
	"net/netip"
	"testing"
)

func TestGuard(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.255.0.1",
		"169.254.169.254", "169.254.170.2", "172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1",
		"168.63.129.16", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::7f00:1", "::ffff:10.0.0.1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1",
		"64:ff9b:1::1", "100::1", "200::1", "2001::1", "2001:db8::1", "2002:a00:1::1", "2002:7f00:1::", "3fff::1", "4000::1", "5f00::1",
		"fc00::1", "fd00:ec2::254", "fd20:ce::254", "fe80::1", "fe80::1%eth0", "fec0::1", "ff02::1", "ff02::1%lo",
	} {
		if err := (Guard{}).Check(netip.MustParseAddr(addr)); !errors.Is(err, ErrBlocked) {
			t.Errorf("%s: got %v, want it to be blocked", addr, err)
		}
	}
	for _, addr := range []string{"1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "169.253.0.1",
		"192.167.0.1", "198.17.0.1", "198.20.0.1", "223.255.255.255", "168.63.129.17", "::ffff:1.1.1.1", "2606:4700:4700::1111", "2a00:1450::1"} {
		if err := (Guard{}).Check(netip.MustParseAddr(addr)); err != nil {
			t.Errorf("%s: got %v, want it to be allowed", addr, err)
		}
	}
}

func TestGuardAllowsNetworks(t *testing.T) {
	t.Parallel()
	g := Guard{AllowNetworks: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd00::/8")}}
	for addr, allowed := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "fd12::1": true, "fd12::1%eth0": true, "fc00::1": false, "8.8.8.8": true,
		"127.0.0.1": false, "64:ff9b::a01:203": false,
	} {
		if err := g.Check(netip.MustParseAddr(addr)); (err == nil) != allowed {
			t.Errorf("%s: got %v, want allowed %v", addr, err, allowed)
		}
	}
}

func TestGuardReadsWhatTheDialerSays(t *testing.T) {
	t.Parallel()
	for address, allowed := range map[string]bool{
		"1.1.1.1:443": true, "[2606:4700:4700::1111]:443": true, "127.0.0.1:80": false, "[::1]:80": false, "[fe80::1%eth0]:443": false,
		"[::ffff:10.0.0.1]:443": false, "name:443": false, "": false,
	} {
		if err := (Guard{}).control("tcp", address, nil); (err == nil) != allowed || err != nil && !errors.Is(err, ErrBlocked) {
			t.Errorf("%s: got %v, want allowed %v", address, err, allowed)
		}
	}
}
