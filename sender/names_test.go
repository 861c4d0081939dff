package sender

import (
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// The types of questions that names are asked with.
const (
	typeA    = 1
	typeAAAA = 28
)

// zone is what a name server says of a name, each time that it is asked.
type zone func(name string, kind uint16) named

// named is an answer of a name server.
type named struct {
	addrs []netip.Addr
	// alias is another name, which the addresses are of.
	alias string
	// code is 0 for an answer, 3 for no such name. Silent is none.
	code   byte
	silent bool
}

func addresses(texts ...string) named {
	var n named
	for _, t := range texts {
		n.addrs = append(n.addrs, netip.MustParseAddr(t))
	}
	return n
}

// resolver asks a name server that answers as it is told.
func resolver(t *testing.T, z zone) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := server.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := z.answer(buf[:n]); answer != nil {
				_, _ = server.WriteTo(answer, from)
			}
		}
	})
	t.Cleanup(func() { _ = server.Close(); serving.Wait() })
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

// answer is the message for a question. https://www.rfc-editor.org/rfc/rfc1035#section-4
func (z zone) answer(question []byte) []byte {
	var labels []string
	at := 12
	for question[at] != 0 {
		labels = append(labels, string(question[at+1:at+1+int(question[at])]))
		at += 1 + int(question[at])
	}
	kind := binary.BigEndian.Uint16(question[at+1:])
	said := z(strings.Join(labels, "."), kind)
	if said.silent {
		return nil
	}
	out := append([]byte{}, question[:at+5]...)
	out[2], out[3] = 0x84, 0x80|said.code
	count := 0
	owner := []byte{0xc0, 12}
	record := func(kind uint16, data []byte) {
		count++
		out = append(out, owner...)
		out = binary.BigEndian.AppendUint16(out, kind)
		out = append(out, 0, 1, 0, 0, 0, 0)
		out = binary.BigEndian.AppendUint16(out, uint16(len(data)))
		out = append(out, data...)
	}
	if said.alias != "" {
		var name []byte
		for _, l := range strings.Split(said.alias, ".") {
			name = append(append(name, byte(len(l))), l...)
		}
		name = append(name, 0)
		record(5, name)
		owner = name
	}
	for _, a := range said.addrs {
		if a.Is4() == (kind == typeA) {
			record(kind, a.AsSlice())
		}
	}
	binary.BigEndian.PutUint16(out[6:], uint16(count))
	binary.BigEndian.PutUint16(out[8:], 0)
	binary.BigEndian.PutUint16(out[10:], 0)
	return out
}

// one allows a single address of this machine: the others stand for what must not be reached.
var one = Guard{AllowHTTP: true, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}

// eachWay runs a test with both clients, each of them directly and through a proxy.
func eachWay(t *testing.T, name string, test func(t *testing.T, through func(*target) *target)) {
	eachClient(t, name, test)
	eachClient(t, name+"/Proxy", func(t *testing.T, through func(*target) *target) {
		p := newTunnel(t)
		test(t, func(tg *target) *target {
			tg.client.through(Egress{Proxy: p.url()})
			return through(tg)
		})
		for _, r := range p.asked() {
			if addr := netip.MustParseAddrPort(r.RequestURI).Addr(); one.Check(addr) != nil {
				t.Errorf("the proxy was asked for %s", r.RequestURI)
			}
		}
	})
}

// TestNamesAreCheckedWhereTheyLead: what a name server says is checked at the moment at which it is used, whatever it said
// before, and whatever else it says with it.
func TestNamesAreCheckedWhereTheyLead(t *testing.T) {
	t.Parallel()
	good := hooktest.New(t)
	port := portOf(good.Addr())
	forbidden, err := hooktest.Start(hooktest.Options{Addr: "127.0.0.2:" + port})
	if err != nil {
		t.Skipf("127.0.0.2: %v", err)
	}
	t.Cleanup(forbidden.Close)
	for name, c := range map[string]struct {
		zone func() zone
		// reasons that attempts may end with, "" being delivered.
		reasons []string
	}{
		"Good": {func() zone { return always(addresses("127.0.0.1")) }, []string{""}},
		"Rebound": {func() zone {
			// Each name of it is asked for once, and leads elsewhere the next time.
			var mu sync.Mutex
			n := 0
			return func(_ string, kind uint16) named {
				mu.Lock()
				defer mu.Unlock()
				if kind != typeA {
					return named{}
				}
				n++
				return addresses([]string{"127.0.0.2", "127.0.0.1"}[n%2])
			}
		}, []string{"", ReasonBlockedAddress}},
		"BadFirst":  {func() zone { return always(addresses("127.0.0.2", "10.0.0.1", "169.254.169.254", "127.0.0.1")) }, []string{""}},
		"GoodFirst": {func() zone { return always(addresses("127.0.0.1", "127.0.0.2", "::1", "fe80::a9fe:a9fe")) }, []string{""}},
		"AllBad":    {func() zone { return always(addresses("127.0.0.2", "::1", "::ffff:127.0.0.2")) }, []string{ReasonBlockedAddress}},
		"Alias": {func() zone {
			return always(named{alias: "metadata.google.internal", addrs: addresses("169.254.169.254").addrs})
		}, []string{ReasonBlockedAddress}},
		"Many":       {func() zone { return always(addresses(strings.Fields(strings.Repeat("127.0.0.2 ", 25))...)) }, []string{ReasonBlockedAddress}},
		"Empty":      {func() zone { return always(named{}) }, []string{ReasonDNS}},
		"NoSuchName": {func() zone { return always(named{code: 3}) }, []string{ReasonDNS}},
		"Refused":    {func() zone { return always(named{code: 5}) }, []string{ReasonDNS}},
		"Silent":     {func() zone { return always(named{silent: true}) }, []string{ReasonDNS}},
	} {
		eachWay(t, name, func(t *testing.T, through func(*target) *target) {
			tg := testTarget(t, one, "http://rebound.example:"+port+"/hook")
			tg = through(tg)
			tg.client.reach.dialer.Resolver = resolver(t, c.zone())
			timeout := 20 * time.Second
			if name == "Silent" {
				timeout = 300 * time.Millisecond
			}
			seen := map[string]bool{}
			for range 4 {
				out := tg.once(t.Context(), timeout)
				if name == "Silent" && out.Reason == ReasonTimeout {
					out.Reason = ReasonDNS // net/http does not know what it has waited for
				}
				if seen[out.Reason] = true; (out.Verdict == Delivered) != (out.Reason == "") {
					t.Errorf("got %+v", out)
				}
				for _, hidden := range []string{"127.0.0.1:", "127.0.0.2", "169.254.169.254", "::1"} {
					if strings.Contains(out.Detail, hidden) {
						t.Errorf("whoever made the subscription is told of %s: %s", hidden, out.Detail)
					}
				}
				tg.client.close() // the next one has to connect again
			}
			for _, r := range c.reasons {
				if !seen[r] {
					t.Errorf("got %v, want %v", seen, c.reasons)
				}
				delete(seen, r)
			}
			if len(seen) > 0 {
				t.Errorf("got %v too", seen)
			}
		})
	}
	t.Cleanup(func() {
		if n := forbidden.Connections(); n != 0 {
			t.Errorf("%d connections were made to the address that is not allowed", n)
		}
	})
}

func always(n named) zone { return func(string, uint16) named { return n } }

func portOf(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }

// TestNotationsOfAddresses: whatever a resolver makes of them, none leads to this machine.
func TestNotationsOfAddresses(t *testing.T) {
	t.Parallel()
	forbidden := hooktest.New(t)
	port := portOf(forbidden.Addr())
	for _, host := range []string{
		"127.0.0.1", "127.0.0.1.", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.0.0.1", "0x7F.1", "0177.0.0.1", "017700000001", "0", "0.0.0.0",
		"127.127.127.127", "localhost", "LOCALHOST", "localhost.", "foo.localhost", "ip6-localhost",
		"[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[::127.0.0.1]", "[64:ff9b::127.0.0.1]", "[2002:7f00:1::]",
		"[2001:0:7f00:1::1]", "[fe80::1%25lo]", "[::1%25lo]", "[2606:4700::5efe:127.0.0.1]", "[ff02::1%25lo]",
		"①②⑦.0.0.1", "127。0。0。1", "example.com@127.0.0.1",
	} {
		for _, scheme := range []string{"http", "https"} {
			eachClient(t, scheme+"/"+host, func(t *testing.T, through func(*target) *target) {
				tg := testTarget(t, Guard{AllowHTTP: true}, scheme+"://"+host+":"+port+"/")
				out := through(tg).once(t.Context(), 20*time.Second)
				if out.Verdict != Retry || out.Reason != ReasonBlockedAddress && out.Reason != ReasonDNS && out.Reason != ReasonConnection {
					t.Errorf("got %+v", out)
				}
			})
		}
	}
	t.Cleanup(func() {
		if n := forbidden.Connections(); n != 0 {
			t.Errorf("%d connections were made to this machine", n)
		}
	})
}
