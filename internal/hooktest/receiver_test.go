package hooktest

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// newClient is a client with connections of its own that trusts the receiver.
func newClient(t testing.TB, r *Receiver) *http.Client {
	t.Helper()
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.Proxy = nil
	transport.DisableCompression = true
	if r.CAs() != nil {
		transport.TLSClientConfig.RootCAs = r.CAs()
	}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, Timeout: 20 * time.Second, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse
	}}
}

// post sends a body with headers, given in pairs, and returns the status and the body of the answer.
func post(t testing.TB, c *http.Client, url, body string, headers ...string) (int, string) {
	t.Helper()
	status, answer, err := tryPost(c, url, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return status, answer
}

func tryPost(c *http.Client, url, body string, headers ...string) (int, string, error) {
	req, err := http.NewRequest(http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(answer), err
}

// A fakeTB notes that a test would have failed. Like the real one it ends the goroutine.
type fakeTB struct {
	failed string
}

type failNow struct{}

func (*fakeTB) Helper()                          {}
func (*fakeTB) Cleanup(func())                   {}
func (f *fakeTB) Errorf(format string, _ ...any) { f.failed = format }
func (f *fakeTB) Fatalf(format string, _ ...any) { f.failed = format; panic(failNow{}) }

// fails says how a test with this content would have failed, empty if not.
func fails(test func(TB)) string {
	f := &fakeTB{}
	func() {
		defer func() {
			if p := recover(); p != nil && p != any(failNow{}) {
				panic(p)
			}
		}()
		test(f)
	}()
	return f.failed
}

func TestRecords(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(TB, ...Script) *Receiver{"HTTP": New, "HTTPS": NewTLS} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := start(t)
			c := newClient(t, r)
			body := `{"type":"contact.update","timestamp":"2026-11-22T01:00:00.123456Z","data":{"id":42,"name":"Ž"},` +
				`"previous":{"name":"Z"},"position":"0001"}`
			for attempt := range 2 {
				status, _ := post(t, c, r.URL("/hooks?a=b"), body, "webhook-id", "evt_1", "webhook-type", "contact.update",
					"webhook-timestamp", "1795312800", "webhook-attempt", string(rune('1'+attempt)),
					"webhook-position", "0001", "webhook-retry-reason", "timeout")
				if status != http.StatusOK {
					t.Fatalf("answered %d, want 200", status)
				}
			}
			got := r.Wait(t, 2, Patience)[1]
			if got.Number != 2 || got.Method != "POST" || got.Path != "/hooks" || got.Query != "a=b" || got.Host != r.Addr() {
				t.Errorf("got %+v", got)
			}
			if string(got.Body) != body || got.BodyErr != nil {
				t.Errorf("got body %q (%v)", got.Body, got.BodyErr)
			}
			if got.ID != "evt_1" || got.Type != "contact.update" || got.Attempt != 2 || got.Position != "0001" ||
				got.RetryReason != "timeout" || got.Timestamp.Unix() != 1795312800 {
				t.Errorf("got %s, at %s", got, got.Timestamp)
			}
			if string(got.Data()) != `{"id":42,"name":"Ž"}` || got.Instance() != "contact/42" ||
				string(got.Message().Previous) != `{"name":"Z"}` {
				t.Errorf("got %+v", got.Message())
			}
			if !got.Reused || got.Connection != 1 || r.Connections() != 1 || got.InFlight != 1 {
				t.Errorf("got reused %v, connection %d of %d, in flight %d", got.Reused, got.Connection, r.Connections(), got.InFlight)
			}
			if !strings.HasPrefix(got.Remote, "127.0.0.1:") || time.Since(got.At) > time.Minute {
				t.Errorf("got remote %s at %s", got.Remote, got.At)
			}
			if r.Requests()[0].Reused {
				t.Error("the first request reused a connection")
			}
		})
	}
}

func TestInFlightIsCounted(t *testing.T) {
	t.Parallel()
	r := New(t, Always(Hang()))
	c := newClient(t, r)
	var clients sync.WaitGroup
	for range 3 {
		clients.Go(func() { post(t, c, r.URL("/"), "") })
	}
	most := 0
	for _, request := range r.Wait(t, 3, Patience) {
		most = max(most, request.InFlight)
	}
	if most != 3 {
		t.Errorf("got %d in flight, want 3", most)
	}
	r.Release()
	clients.Wait()
}

func TestInstance(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]string{
		`{"type":"contact.create","data":{"id":9007199254740993}}`: "contact/9007199254740993",
		`{"type":"contact.won","data":{"id":"a-b"}}`:               "contact/a-b",
		`{"type":"deal.update","id":"7","url":"…"}`:                "deal/7",
		`{"type":"contact.create","data":{"name":"x"}}`:            "",
		`{"type":"contact.create","data":{"id":null}}`:             "",
		`{"type":"contact.create","data":[1]}`:                     "",
		`{"type":"ping"}`:                                          "",
		`[]`:                                                       "",
		`nonsense`:                                                 "",
		``:                                                         "",
	} {
		if got := (Request{Body: []byte(body)}).Instance(); got != want {
			t.Errorf("%s: got %q, want %q", body, got, want)
		}
	}
}

func TestMessagesOfABatch(t *testing.T) {
	t.Parallel()
	r := Request{Body: []byte(` [{"id":"evt_1","type":"a.create","data":{"id":1}},{"id":"evt_2","type":"b.delete","data":{"id":2},"backfill":true}]`)}
	got, err := r.Messages()
	if err != nil || len(got) != 2 || got[0].ID != "evt_1" || got[1].Instance() != "b/2" || !got[1].Backfill {
		t.Errorf("got %+v, %v", got, err)
	}
	if _, err := (Request{Body: []byte("x")}).Messages(); err == nil {
		t.Error("garbage was decoded")
	}
}

func TestWaiting(t *testing.T) {
	t.Parallel()
	r := New(t)
	c := newClient(t, r)
	send := func(path string) { post(t, c, r.URL(path), "") }

	if got := fails(func(tb TB) { r.Wait(tb, 1, time.Millisecond) }); got == "" {
		t.Error("Wait came back without a request")
	}
	if got := fails(func(tb TB) { r.Quiet(tb, time.Millisecond) }); got != "" {
		t.Errorf("Quiet failed: %s", got)
	}

	var sending sync.WaitGroup
	sending.Go(func() { send("/1"); send("/2") })
	if got := r.Next(t).Path; got != "/1" {
		t.Errorf("got %s first", got)
	}
	if got := r.Next(t).Path; got != "/2" {
		t.Errorf("got %s second", got)
	}
	sending.Go(func() { send("/3") })
	got := r.WaitFor(t, func(requests []Request) bool { return len(ByPath(requests)["/3"]) == 1 })
	if len(got) != 3 {
		t.Errorf("got %d requests, want 3", len(got))
	}
	sending.Wait()

	r.Forget()
	if got := len(r.Requests()); got != 0 {
		t.Errorf("got %d requests after Forget", got)
	}
	var noise sync.WaitGroup
	quiet := make(chan string)
	go func() { quiet <- fails(func(tb TB) { r.Quiet(tb, Patience) }) }()
	stop := make(chan struct{})
	noise.Go(func() { // Quiet may not have begun to listen when the first one arrives
		for {
			select {
			case <-stop:
				return
			default:
				send("/4")
			}
		}
	})
	if <-quiet == "" {
		t.Error("Quiet did not notice a request")
	}
	close(stop)
	noise.Wait()
	if got := r.Requests()[0].Number; got != 4 {
		t.Errorf("got number %d after Forget, want 4", got)
	}

	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if _, err := r.Await(ctx, func([]Request) bool { return false }); err == nil || err.Error() != "enough" {
		t.Errorf("got %v, want the cause", err)
	}
	r.Close()
	if _, err := r.Await(t.Context(), func([]Request) bool { return false }); err == nil {
		t.Error("Await outlives the receiver")
	}
}

func TestKeepAndOnRequest(t *testing.T) {
	t.Parallel()
	var told []int
	r, err := Start(Options{Keep: 2, OnRequest: func(r Request) { told = append(told, r.Number) }})
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	c := newClient(t, r)
	for range 5 {
		post(t, c, r.URL("/"), "")
	}
	kept := r.Requests()
	if len(kept) != 2 || kept[0].Number != 4 || kept[1].Number != 5 {
		t.Errorf("got %v", kept)
	}
	r.Close() // OnRequest is over then
	if len(told) != 5 || told[4] != 5 {
		t.Errorf("told %v, want 1 to 5", told)
	}
}

func TestDownAndUp(t *testing.T) {
	t.Parallel()
	r := New(t)
	c := newClient(t, r)
	url := r.URL("/")
	post(t, c, url, "")
	r.Down()
	r.Down()
	c.CloseIdleConnections() // else it may try the broken one first
	if _, _, err := tryPost(c, url, ""); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v, want it refused", err)
	}
	if err := r.Up(); err != nil {
		t.Fatal(err)
	}
	post(t, c, url, "")
	if got := len(r.Requests()); got != 2 {
		t.Errorf("got %d requests, want 2", got)
	}
}

func TestClose(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]Answer{
		"WhileHanging":  Hang(),
		"WhileDelaying": OK().After(time.Hour),
		"WhileDripping": Drip("abc", time.Hour),
		"WhileEndless":  Endless(),
		"WhileUnread":   {Raw: strings.Repeat("x", 64<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := New(t, Always(answer))
			c := newClient(t, r)
			var client sync.WaitGroup
			client.Go(func() {
				req, _ := http.NewRequestWithContext(t.Context(), http.MethodPost, r.URL("/"), nil)
				if resp, err := c.Do(req); err == nil {
					_, _ = io.Copy(io.Discard, resp.Body)
					_ = resp.Body.Close()
				}
			})
			r.Wait(t, 1, Patience)
			r.Close()
			r.Close()
			client.Wait()
			if err := r.Up(); err == nil {
				t.Error("a closed receiver listens again")
			}
		})
	}
}

func BenchmarkReceiver(b *testing.B) {
	r := New(b)
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	defer transport.CloseIdleConnections()
	c := &http.Client{Transport: transport}
	body := `{"type":"contact.update","timestamp":"2026-11-22T01:00:00.123456Z","data":{"id":42}}`
	var sent atomic.Int64
	b.SetParallelism(16)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, _, err := tryPost(c, r.URL("/hooks"), body, "webhook-id", "evt_1"); err != nil {
				b.Error(err)
				return
			}
			sent.Add(1)
		}
	})
	b.ReportMetric(float64(sent.Load())/b.Elapsed().Seconds(), "requests/s")
}
