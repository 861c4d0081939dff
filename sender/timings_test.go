package sender

import (
	"crypto/tls"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
)

// TestTimings: what a new connection costs is told part by part, one that is kept costs nothing to tell of, and what failed has
// what it came to.
func TestTimings(t *testing.T) {
	t.Parallel()
	g := loopback
	g.AllowNetworks = append(g.AllowNetworks, netip.MustParsePrefix("::1/128"))
	const patient = 20 * time.Second
	named := func(r *hooktest.Receiver) string {
		return strings.Replace(r.URL("/"), "127.0.0.1", "localhost", 1)
	}
	eachClient(t, "Plain", func(t *testing.T, through func(*target) *target) {
		const delay = 50 * time.Millisecond
		tg := through(testTarget(t, g, named(hooktest.New(t, hooktest.Always(hooktest.OK().After(delay))))))
		first := tg.once(t.Context(), patient)
		got := first.Timings
		if got == nil || got.DNS <= 0 || got.Connect <= 0 || got.TLS != 0 || got.FirstByte < delay || got.FirstByte > first.Duration {
			t.Errorf("the first: %+v of %s", got, first.Duration)
		}
		// Where the machine stalls the connection may not be free yet, or the answer not have come in one piece: rarely.
		kept := false
		for i := 0; i < 20 && !kept; i++ {
			kept = tg.once(t.Context(), patient).Timings == nil
		}
		if !kept {
			t.Error("each attempt has timings, also on a connection that was kept")
		}
	})
	eachClient(t, "TLS", func(t *testing.T, through func(*target) *target) {
		r := hooktest.NewTLS(t)
		tg := testTarget(t, g, named(r))
		secure := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: r.CAs()}
		tg.client.small.TLS, tg.client.transport.TLSClientConfig = secure, secure.Clone()
		tg.client.small.Learn(tg.endpoint)
		out := through(tg).once(t.Context(), patient)
		got := out.Timings
		if out.Verdict != Delivered || got == nil || got.DNS <= 0 || got.Connect <= 0 || got.TLS <= 0 || got.FirstByte < got.DNS+got.Connect+got.TLS {
			t.Errorf("%s %s: %+v", out.Reason, out.Detail, got)
		}
	})
	eachClient(t, "NoSuchName", func(t *testing.T, through func(*target) *target) {
		out := through(testTarget(t, g, "http://no-such-name.invalid/")).once(t.Context(), patient)
		if got := out.Timings; got == nil || got.DNS <= 0 || got.Connect+got.TLS+got.FirstByte != 0 {
			t.Errorf("%s: %+v", out.Reason, got)
		}
	})
	eachClient(t, "TLSFails", func(t *testing.T, through func(*target) *target) {
		tg := testTarget(t, g, hooktest.NewTLS(t).URL("/"))
		tg.client.small.Learn(tg.endpoint)
		out := through(tg).once(t.Context(), patient)
		if got := out.Timings; out.Reason != ReasonTLS || got == nil || got.DNS != 0 || got.Connect <= 0 || got.TLS <= 0 || got.FirstByte != 0 {
			t.Errorf("%s: %+v", out.Reason, got)
		}
	})
	eachClient(t, "NoAnswer", func(t *testing.T, through func(*target) *target) {
		out := through(testTarget(t, g, hooktest.New(t, hooktest.Always(hooktest.Close())).URL("/"))).once(t.Context(), patient)
		if got := out.Timings; out.Reason != ReasonConnectionReset || got == nil || got.Connect <= 0 || got.FirstByte != 0 {
			t.Errorf("%s: %+v", out.Reason, got)
		}
	})
}
