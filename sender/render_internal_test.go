package sender

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// TestTokenEndpointsAnswersAreBounded: what a token endpoint writes is the subscriber's, as what a target writes is.
func TestTokenEndpointsAnswersAreBounded(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	tokenURL, _ := endpoint(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		n, _ := io.WriteString(w, `{"access_token":"t","x":[`)
		written.Store(int64(n))
		part := strings.Repeat("[],", 1000)
		for range 300 {
			n, err := io.WriteString(w, part)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
		_, _ = io.WriteString(w, "[]]}")
	})
	recv := hooktest.New(t)
	out := oauthTarget(t, recv.URL("/"), tokenURL).once(t.Context(), 10*time.Second)
	if out.Verdict != Retry || out.Reason != ReasonOAuth2 {
		t.Errorf("a token was taken out of %d bytes: %+v", written.Load(), out)
	}
}

// TestNoTokenForWhatIsDropped: a target that wants no more of a delivery is not asked again with another token.
func TestNoTokenForWhatIsDropped(t *testing.T) {
	t.Parallel()
	tokenURL, asked := endpoint(t, func(n int64, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":3600}`, n)
	})
	recv := hooktest.New(t, hooktest.Always(hooktest.Status(401).With("Webhook-Delivery", "drop")))
	out := oauthTarget(t, recv.URL("/"), tokenURL).once(t.Context(), 10*time.Second)
	if out.Verdict != Drop || len(recv.Requests()) != 1 || asked.Load() != 1 {
		t.Errorf("%+v, %d requests, %d tokens", out, len(recv.Requests()), asked.Load())
	}
}

// breaking answers the first request of each connection, and closes it without a word after having read the next one. warm
// says that requests are answered.
type breaking struct {
	net.Listener
	mu   sync.Mutex
	seen int
	warm bool
}

func (b *breaking) serve() {
	for {
		c, err := b.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = c.Close() }()
			buf := make([]byte, 1<<20)
			for {
				got := ""
				for !strings.Contains(got, "\r\n\r\n") {
					n, err := c.Read(buf)
					if err != nil {
						return
					}
					got += string(buf[:n])
				}
				b.mu.Lock()
				b.seen++
				warm := b.warm
				b.mu.Unlock()
				if !warm {
					return
				}
				_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
			}
		}()
	}
}

// TestAGetIsRepeatedOnce: net/http repeats a GET on its own when a connection that was used before breaks, as often as there are some.
func TestAGetIsRepeatedOnce(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &breaking{Listener: l, warm: true}
	t.Cleanup(func() { _ = l.Close() })
	go b.serve()
	s := &subscriptions.Subscription{ID: "sub_1", TargetURL: secret.String("http://" + l.Addr().String() + "/"), Secrets: signing(specSecret),
		Request: &subscriptions.Request{Method: "GET"}}
	tg := shapedTarget(t, s)
	tg.endpoint = nil // for net/http
	// Some connections that are idle: made by dialling beside each other.
	var conns []*http.Response
	for range 4 {
		req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+l.Addr().String()+"/", http.NoBody)
		resp, err := tg.client.transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		conns = append(conns, resp)
	}
	for _, c := range conns {
		_ = c.Body.Close()
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() { tg.once(t.Context(), 10*time.Second) })
	}
	wg.Wait()
	b.mu.Lock()
	b.warm, b.seen = false, 0
	b.mu.Unlock()
	out := tg.once(t.Context(), 10*time.Second)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.seen > 2 {
		t.Errorf("one attempt was made %d times: %+v", b.seen, out)
	}
}

// TestAsksAreSignedAsDeliveries are.
func TestAsksAreSignedAsDeliveries(t *testing.T) {
	t.Parallel()
	for _, signature := range subscriptions.Signatures {
		t.Run(signature, func(t *testing.T) {
			t.Parallel()
			var signed atomic.Bool
			recv := hooktest.New(t, func(r hooktest.Request) hooktest.Answer {
				signed.Store(r.Header.Get("Webhook-Signature") != "")
				return hooktest.OK()
			})
			d := New(Config{MaxInFlight: 1, Timeout: 10 * time.Second, Admin: loopback, Accounts: loopback, UserAgent: "x"}, nil)
			s := &subscriptions.Subscription{ID: "sub_1", TargetURL: secret.String(recv.URL("/")), Secrets: signing(specSecret),
				Request: &subscriptions.Request{Signature: signature, Encoding: "form"}}
			want := signature != subscriptions.SignatureNone
			d.Verify(t.Context(), s, "rhv_x", 1)
			if signed.Load() != want {
				t.Errorf("the verification: signed %v", signed.Load())
			}
			d.TellEnd(t.Context(), s, 1)
			if signed.Load() != want {
				t.Errorf("the DELETE: signed %v", signed.Load())
			}
		})
	}
}

// TestAsksLogIn as deliveries do.
func TestAsksLogIn(t *testing.T) {
	t.Parallel()
	tokenURL, _ := endpoint(t, func(_ int64, w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"access_token":"t","expires_in":3600}`)
	})
	recv := hooktest.New(t, func(r hooktest.Request) hooktest.Answer {
		if r.Header.Get("Authorization") != "Bearer t" {
			return hooktest.Status(401)
		}
		return hooktest.OK().With(SecretHeader, r.Header.Get(SecretHeader))
	})
	d := New(Config{MaxInFlight: 1, Timeout: 10 * time.Second, Admin: loopback, Accounts: loopback, UserAgent: "x"}, nil)
	s := &subscriptions.Subscription{ID: "sub_1", TargetURL: secret.String(recv.URL("/")), Secrets: signing(specSecret),
		Request: &subscriptions.Request{Auth: &subscriptions.Auth{Type: subscriptions.AuthOAuth2, TokenURL: tokenURL, ClientID: "id", ClientSecret: "hunter2"}}}
	if out, agreed := d.Verify(t.Context(), s, "rhv_x", 1); !agreed {
		t.Errorf("%+v", out)
	}
	if out := d.TellEnd(t.Context(), s, 1); out.Verdict != Delivered {
		t.Errorf("%+v", out)
	}
}
