package sender

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

var loopback = Guard{AllowHTTP: true, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}

func testEvent() *mapping.Event {
	return &mapping.Event{ID: "evt_1", Type: "contact.update", Resource: "contact", Instance: "1", Position: cdc.Position{Epoch: 1, Commit: 2, Ordinal: 3},
		Time: time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC), Data: []byte(`{"id":1}`)}
}

func testTarget(t *testing.T, g Guard, url string) *target {
	t.Helper()
	c := newClient(g, "rowhook/test", 4)
	t.Cleanup(c.close)
	tg, err := newTarget(&subscriptions.Subscription{TargetURL: secret.String(url), Secrets: signing(specSecret)}, c, Envelope{})
	if err != nil {
		t.Fatal(err)
	}
	return tg
}

// once sends the event with a timeout.
func (t *target) once(ctx context.Context, timeout time.Duration) Outcome {
	return t.deliver(ctx, attempt{event: testEvent(), number: 1, timeout: timeout})
}

// eachClient runs a test with the client of small requests, and with net/http's.
func eachClient(t *testing.T, name string, test func(t *testing.T, through func(*target) *target)) {
	t.Run(name+"/Small", func(t *testing.T) {
		t.Parallel()
		test(t, func(tg *target) *target { return tg })
	})
	t.Run(name+"/NetHTTP", func(t *testing.T) {
		t.Parallel()
		test(t, func(tg *target) *target { tg.endpoint = nil; return tg })
	})
}

func TestEveryKindOfAnswer(t *testing.T) {
	t.Parallel()
	const patient = 20 * time.Second
	for name, c := range map[string]struct {
		answer  hooktest.Answer
		timeout time.Duration
		verdict Verdict
		status  int
		reason  string
	}{
		"OK":                    {hooktest.OK(), patient, Delivered, 200, ""},
		"NoContent":             {hooktest.Status(204), patient, Delivered, 204, ""},
		"OtherSuccess":          {hooktest.Status(299), patient, Delivered, 299, ""},
		"ServerError":           {hooktest.Status(500), patient, Retry, 500, ReasonHTTPStatus},
		"ClientError":           {hooktest.Status(404), patient, Retry, 404, ReasonHTTPStatus},
		"Gone":                  {hooktest.Status(410), patient, Gone, 410, ReasonHTTPStatus},
		"RedirectIsNotFollowed": {hooktest.Redirect(307, "/elsewhere"), patient, Retry, 307, ReasonHTTPStatus},
		"RedirectToNowhere":     {hooktest.Status(302), patient, Retry, 302, ReasonHTTPStatus},
		"RedirectUnreadable":    {hooktest.Redirect(301, "http://[::1"), patient, Retry, 301, ReasonHTTPStatus},
		"EndlessSuccess":        {hooktest.Endless(), patient, Delivered, 200, ""},
		"EndlessFailure":        {hooktest.Answer{Status: 500, Body: strings.Repeat("x", 4096), Endless: true}, patient, Retry, 500, ReasonHTTPStatus},
		"DripSuccess":           {hooktest.Drip(strings.Repeat("x", 1000), 50*time.Millisecond), patient, Delivered, 200, ""},
		"BodyBreaksOff":         {hooktest.Answer{Status: 200, Body: "{", Break: hooktest.BreakReset}, patient, Delivered, 200, ""},
		"Bomb":                  {hooktest.Bomb(64 << 20), patient, Delivered, 200, ""},
		"Reset":                 {hooktest.Reset(), patient, Retry, 0, ReasonConnectionReset},
		"Close":                 {hooktest.Close(), patient, Retry, 0, ReasonConnectionReset},
		"Hang":                  {hooktest.Hang(), 100 * time.Millisecond, Retry, 0, ReasonTimeout},
		"Garbage":               {hooktest.Garbage(), patient, Retry, 0, ReasonInvalidResponse},
		"HalfAHeader":           {hooktest.Answer{Raw: "HTTP/1.1 200 OK\r\nno colon\r\n\r\n"}, patient, Retry, 0, ReasonInvalidResponse},
		"BadLength":             {hooktest.Answer{Raw: "HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n"}, patient, Retry, 0, ReasonInvalidResponse},
		"BadEncoding":           {hooktest.Answer{Raw: "HTTP/1.1 200 OK\r\nTransfer-Encoding: rot13\r\n\r\n"}, patient, Retry, 0, ReasonInvalidResponse},
		"HugeHeaders":           {hooktest.HugeHeaders(1 << 20), patient, Retry, 0, ReasonInvalidResponse},
	} {
		eachClient(t, name, func(t *testing.T, through func(*target) *target) {
			r := hooktest.New(t, hooktest.Always(c.answer))
			start := time.Now()
			out := through(testTarget(t, loopback, r.URL("/hook"))).once(t.Context(), c.timeout)
			if out.Verdict != c.verdict || out.Status != c.status || out.Reason != c.reason {
				t.Errorf("got %+v", out)
			}
			if took := time.Since(start); took > 10*time.Second {
				t.Errorf("took %s", took)
			}
			if len(out.Answer) > answerKept || out.Verdict == Delivered && out.Answer != nil {
				t.Errorf("%d bytes of the answer are kept", len(out.Answer))
			}
			if out.Reason != "" && out.Reason != ReasonHTTPStatus && out.Detail == "" {
				t.Error("no detail")
			}
			for _, req := range r.Requests() {
				if req.Path != "/hook" {
					t.Errorf("sent to %s too", req.Path)
				}
			}
		})
	}
}

func TestAnswersOfFailuresAreKept(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Always(hooktest.Answer{Status: 422, Body: "no such\x00hook"}))
	if out := testTarget(t, loopback, r.URL("/")).once(t.Context(), time.Minute); string(out.Answer) != "no such\x00hook" {
		t.Errorf("got %q", out.Answer)
	}
}

func TestAddressesThatCannotBeReached(t *testing.T) {
	t.Parallel()
	r, secure := hooktest.New(t), hooktest.NewTLS(t)
	port := r.Addr()[strings.LastIndexByte(r.Addr(), ':'):]
	down := hooktest.New(t)
	down.Down()
	for name, c := range map[string]struct {
		guard  Guard
		url    string
		reason string
	}{
		"Refused":          {loopback, down.URL("/"), ReasonConnectionRefused},
		"SelfSigned":       {loopback, secure.URL("/"), ReasonTLS},
		"NotTLS":           {loopback, "https://" + r.Addr(), ReasonTLS},
		"NoSuchName":       {loopback, "http://no-such-name.invalid/", ReasonDNS},
		"Loopback":         {Guard{AllowHTTP: true}, r.URL("/"), ReasonBlockedAddress},
		"LoopbackMapped":   {Guard{AllowHTTP: true}, "http://[::ffff:127.0.0.1]" + port, ReasonBlockedAddress},
		"Unspecified":      {Guard{AllowHTTP: true}, "http://0.0.0.0" + port, ReasonBlockedAddress},
		"ByName":           {Guard{AllowHTTP: true}, "http://localhost" + port, ReasonBlockedAddress},
		"Metadata":         {Guard{AllowHTTP: true}, "http://169.254.169.254/latest/meta-data", ReasonBlockedAddress},
		"NotTheOneNetwork": {Guard{AllowHTTP: true, AllowNetworks: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}, r.URL("/"), ReasonBlockedAddress},
	} {
		eachClient(t, name, func(t *testing.T, through func(*target) *target) {
			out := through(testTarget(t, c.guard, c.url)).once(t.Context(), 20*time.Second)
			if out.Verdict != Retry || out.Reason != c.reason {
				t.Errorf("got %+v, want %s", out, c.reason)
			}
		})
	}
	t.Cleanup(func() {
		if n := r.Connections(); n > 2 { // NotTLS makes one with each client
			t.Errorf("%d connections were made to a blocked address", n)
		}
	})
}

// TestGuardChecksWhatIsDialled is the rebinding of a name: what it resolved to before does not count.
func TestGuardChecksWhatIsDialled(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	tg := testTarget(t, Guard{AllowHTTP: true}, "http://rebound.example/")
	dialer := &net.Dialer{Control: tg.client.guard.control}
	tg.client.small.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return dialer.DialContext(ctx, network, r.Addr()) // what the resolver says this time
	}
	tg.client.transport.DialContext = tg.client.small.Dial
	if out := tg.once(t.Context(), time.Minute); out.Reason != ReasonBlockedAddress || r.Connections() != 0 {
		t.Errorf("got %+v and %d connections", out, r.Connections())
	}
}

func TestHTTPOnlyWhereAllowed(t *testing.T) {
	t.Parallel()
	c := newClient(Guard{}, "", 1)
	for _, url := range []string{"http://example.com/", "ftp://example.com/", "example.com", "https:///x", "http://u:hunter2@example.com", "https://%zz:hunter2@example.com"} {
		_, err := newTarget(&subscriptions.Subscription{TargetURL: secret.String(url), Secrets: signing(specSecret)}, c, Envelope{})
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: got %v", url, err)
		}
	}
}

func TestHeadersOnTheWire(t *testing.T) {
	t.Parallel()
	eachClient(t, "", testHeadersOnTheWire)
}

func testHeadersOnTheWire(t *testing.T, through func(*target) *target) {
	r := hooktest.New(t)
	tg := through(testTarget(t, loopback, r.URL("/hook?x=1")))
	tg.once(t.Context(), time.Minute)
	tg.deliver(t.Context(), attempt{event: testEvent(), number: 2, retryReason: ReasonTimeout, timeout: time.Minute})
	requests := r.Wait(t, 2, patience)
	for i, req := range requests {
		want := map[string]string{
			"Content-Type": "application/json", "User-Agent": "rowhook/test", "Webhook-Id": "evt_1", "Webhook-Type": "contact.update",
			"Webhook-Position": "0000000100000000000000020000000300000000", "Webhook-Attempt": fmt.Sprint(i + 1), "Content-Length": fmt.Sprint(len(req.Body)),
			"Webhook-Timestamp": req.Header.Get("Webhook-Timestamp"), "Webhook-Signature": req.Header.Get("Webhook-Signature"),
		}
		if i == 1 {
			want["Webhook-Retry-Reason"] = "timeout"
		}
		for name, value := range want {
			if got := req.Header.Values(name); len(got) != 1 || got[0] != value {
				t.Errorf("%s: got %q, want %q", name, got, value)
			}
		}
		for name := range req.Header {
			if want[name] == "" {
				t.Errorf("%s: %s is sent too", name, req.Header.Get(name))
			}
		}
		if err := req.Verify(specSecret); err != nil {
			t.Error(err)
		}
		if req.Method != http.MethodPost || req.Path != "/hook" || req.Query != "x=1" || !bytes.Equal(req.Body, AppendStandard(nil, testEvent())) {
			t.Errorf("got %s %s?%s %s", req.Method, req.Path, req.Query, req.Body)
		}
	}
}

func TestCredentialsInTheURL(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t, hooktest.Sequence(hooktest.Status(500), hooktest.Garbage(), hooktest.Reset(), hooktest.Reset()))
	tg := testTarget(t, loopback, strings.Replace(r.URL("/"), "http://", "http://user:hunter2@", 1))
	for range 3 {
		out := tg.once(t.Context(), time.Minute)
		if text := fmt.Sprintf("%+v %s %s", out, out.LogValue(), out.Detail); strings.Contains(text, "hunter2") || strings.Contains(text, "user:") {
			t.Errorf("the credentials are shown: %s", text)
		}
	}
	for _, req := range r.Requests() {
		if got, want := req.Header.Get("Authorization"), "Basic "+base64.StdEncoding.EncodeToString([]byte("user:hunter2")); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestBrokenKeepAliveIsOneAttempt(t *testing.T) {
	t.Parallel()
	// Every connection takes one request, and is closed without a word when the next one comes.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	requests := make(chan string, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				buf := bufio.NewReader(conn)
				req, err := http.ReadRequest(buf)
				if err != nil {
					return
				}
				_, _ = io.Copy(io.Discard, req.Body)
				requests <- req.Header.Get("Webhook-Attempt")
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				_, _ = buf.Peek(1)
			}()
		}
	}()
	tg := testTarget(t, loopback, "http://"+l.Addr().String())
	for i := range 3 {
		if out := tg.once(t.Context(), time.Minute); out.Verdict != Delivered {
			t.Errorf("request %d: got %+v", i, out)
		}
		if got := <-requests; got != "1" {
			t.Errorf("request %d: attempt %s", i, got)
		}
	}
}

func TestImmediateRetryIsMadeOnce(t *testing.T) {
	t.Parallel()
	eachClient(t, "", testImmediateRetryIsMadeOnce)
}

func testImmediateRetryIsMadeOnce(t *testing.T, through func(*target) *target) {
	r := hooktest.New(t, hooktest.Always(hooktest.Reset()))
	out := through(testTarget(t, loopback, r.URL("/"))).once(t.Context(), time.Minute)
	if n := len(r.Requests()); out.Reason != ReasonConnectionReset || n != 2 {
		t.Errorf("got %+v after %d requests, want 2", out, n)
	}
	for _, req := range r.Requests() {
		if req.Attempt != 1 || !bytes.Equal(req.Body, AppendStandard(nil, testEvent())) {
			t.Errorf("got attempt %d, %s", req.Attempt, req.Body)
		}
	}
}

// TestFailuresLeaveOthersConnections: retryablehttp closes all idle connections after a failure, if it can.
func TestFailuresLeaveOthersConnections(t *testing.T) {
	t.Parallel()
	good, bad := hooktest.New(t), hooktest.New(t, hooktest.Always(hooktest.Reset()))
	tg := testTarget(t, loopback, good.URL("/"))
	other, err := newTarget(&subscriptions.Subscription{TargetURL: secret.String(bad.URL("/")), Secrets: signing(specSecret)}, tg.client, Envelope{})
	if err != nil {
		t.Fatal(err)
	}
	for range 5 {
		tg.once(t.Context(), time.Minute)
		other.once(t.Context(), time.Minute)
	}
	if n := good.Connections(); n != 1 {
		t.Errorf("%d connections for 5 requests, want 1", n)
	}
}

func TestPoolsOfAdminAndAccountsAreApart(t *testing.T) {
	t.Parallel()
	r := hooktest.New(t)
	d := New(Config{Admin: loopback, Accounts: Guard{AllowHTTP: true}, PerSubscription: 4, MaxInFlight: 4, Memory: 1 << 20}, nil)
	admin := &subscriptions.Subscription{Key: 1, Admin: true, TargetURL: secret.String(r.URL("/")), Secrets: signing(specSecret), State: subscriptions.Active}
	account := &subscriptions.Subscription{Key: 2, Account: "1", TargetURL: secret.String(r.URL("/")), Secrets: signing(specSecret), State: subscriptions.Active}
	d.mu.Lock()
	a, b := d.subscription(admin), d.subscription(account)
	d.prepare(a)
	d.prepare(b)
	ours, theirs := a.target, b.target
	d.mu.Unlock()
	if out := ours.once(t.Context(), time.Minute); out.Verdict != Delivered {
		t.Fatalf("got %+v", out)
	}
	// A connection is idle now that the accounts' guard would not have allowed.
	if out := theirs.once(t.Context(), time.Minute); out.Reason != ReasonBlockedAddress {
		t.Errorf("got %+v", out)
	}
	d.admin.close()
}

// TestEarlyAnswer: a target may answer before it has read the body, and go on reading. It must get this body and no
// other, whatever is sent meanwhile.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	read := make(chan []byte, 1)
	go func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		req, err := http.ReadRequest(bufio.NewReader(conn))
		if err != nil {
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
		// The transport gives the rest 50 ms; meanwhile the next body is made.
		<-time.After(20 * time.Millisecond)
		body, _ := io.ReadAll(req.Body)
		read <- body
	}()
	mine := testEvent()
	mine.Data = fmt.Appendf(nil, `{"of":%q}`, strings.Repeat("A", 16<<20))
	store := &discard{}
	d := New(Config{Admin: loopback, Accounts: loopback, PerSubscription: 1, MaxInFlight: 1, Memory: 1 << 30, Hold: time.Minute, Timeout: time.Minute}, store)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { _ = d.Run(ctx); close(done) }()
	defer func() { cancel(); <-done }()
	r := hooktest.New(t)
	theirs := testEvent()
	theirs.ID, theirs.Data = "evt_2", fmt.Appendf(nil, `{"of":%q}`, strings.Repeat("B", 16<<20))
	to := func(key int64, url string) []*subscriptions.Subscription {
		return []*subscriptions.Subscription{{Key: key, Account: fmt.Sprint(key), TargetURL: secret.String(url), Secrets: signing(specSecret), State: subscriptions.Active}}
	}
	err = d.Submit(ctx, []Job{{Event: mine, To: to(1, "http://"+l.Addr().String())}, {Event: theirs, To: to(2, r.URL("/"))}}, cdc.NewReceipt(2))
	if err != nil {
		t.Fatal(err)
	}
	r.Wait(t, 1, patience)
	if body := <-read; bytes.IndexByte(body, 'B') >= 0 {
		t.Error("one target got what was for another")
	}
}

// discard is a store that keeps nothing.
type discard struct{ Store }

func (discard) Write(context.Context, []Record) error { return nil }
func (discard) Due(context.Context, int64, Look) ([]Due, time.Time, error) {
	return nil, time.Time{}, nil
}
func (discard) Failing(context.Context) (map[int64]Trouble, error) { return nil, nil }
func (discard) Paused(context.Context) (map[int64]Paused, error)   { return nil, nil }
func (discard) Backlogs(context.Context, int) ([]Backlog, error)   { return nil, nil }

func TestInterrupted(t *testing.T) {
	t.Parallel()
	eachClient(t, "", testInterrupted)
}

func testInterrupted(t *testing.T, through func(*target) *target) {
	r := hooktest.New(t, hooktest.Always(hooktest.Hang()))
	ctx, cancel := context.WithCancel(t.Context())
	tg := through(testTarget(t, loopback, r.URL("/")))
	go func() { r.Wait(t, 1, patience); cancel() }()
	if out := tg.once(ctx, time.Minute); out.Verdict != Interrupted || out.Reason != "" {
		t.Errorf("got %+v", out)
	}
}

// TestClientsByWhatTheHostSpeaks: an https host is asked in net/http's way until its answer has shown which HTTP it speaks.
func TestClientsByWhatTheHostSpeaks(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		http2 bool
		small int64
	}{"HTTP1": {false, 1}, "HTTP2": {true, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var protocols sync.Map
			srv := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, _ = io.Copy(io.Discard, r.Body)
				protocols.Store(r.Proto, true)
			}))
			srv.EnableHTTP2 = c.http2
			srv.StartTLS()
			defer srv.Close()
			tg := testTarget(t, loopback, srv.URL)
			roots := x509.NewCertPool()
			roots.AddCert(srv.Certificate())
			tg.client.transport.TLSClientConfig.RootCAs, tg.client.small.TLS.RootCAs = roots, roots
			var dialled atomic.Int64
			dial := tg.client.small.Dial
			tg.client.small.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				dialled.Add(1)
				return dial(ctx, network, address)
			}
			for range 4 {
				if out := tg.once(t.Context(), time.Minute); out.Verdict != Delivered {
					t.Fatalf("got %+v", out)
				}
			}
			if n := dialled.Load(); n != c.small {
				t.Errorf("%d connections for small requests, want %d", n, c.small)
			}
			want := map[bool]string{false: "HTTP/1.1", true: "HTTP/2.0"}[c.http2]
			protocols.Range(func(p, _ any) bool {
				if p != want {
					t.Errorf("spoke %s", p)
				}
				return true
			})
			// A host may come to speak HTTP/2 at any time. What it does not get in one way it gets in the other.
			tg.client.small.Learn(tg.endpoint)
			tg.client.small.CloseIdleConnections()
			if out := tg.once(t.Context(), time.Minute); out.Verdict != Delivered {
				t.Errorf("got %+v", out)
			}
		})
	}
}
