package tracing

import (
	"bytes"
	"context"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/internal/app"
	"github.com/rowhook/rowhook/internal/config"
	"github.com/rowhook/rowhook/internal/hooktest"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

// backend takes OTLP over HTTP, as a collector does.
type backend struct {
	mu       sync.Mutex
	raw      bytes.Buffer
	spans    []*otlp.Span
	services map[string]bool
	login    string
	refused  string
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	var in collector.ExportTraceServiceRequest
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		err = proto.Unmarshal(body, &in)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		b.refused = fmt.Sprint(r.URL.Path, " ", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	b.raw.Write(body)
	b.login = r.Header.Get("Authorization")
	for _, rs := range in.ResourceSpans {
		for _, a := range rs.Resource.Attributes {
			if a.Key == "service.name" {
				b.services[a.Value.GetStringValue()] = true
			}
		}
		for _, ss := range rs.ScopeSpans {
			b.spans = append(b.spans, ss.Spans...)
		}
	}
	w.Header().Set("Content-Type", "application/x-protobuf")
}

func valueOf(s *otlp.Span, key string) string {
	for _, a := range s.Attributes {
		if a.Key == key {
			if v := a.Value.GetStringValue(); v != "" {
				return v
			}
			return fmt.Sprint(a.Value.GetIntValue())
		}
	}
	return ""
}

func (b *backend) of(name, subscription string) (found []*otlp.Span) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, s := range b.spans {
		if s.Name == name && valueOf(s, "rowhook.subscription.id") == subscription {
			found = append(found, s)
		}
	}
	return found
}

const testConfig = `
database: {url: "${env:DATABASE_URL}", slot: "${env:SLOT}", environment: test}
api: {listen: "127.0.0.1:0", tokens: [{name: ops, token: admin-token-0123456789, account: "*"}]}
delivery: {retries: [20ms, 20ms, 20ms, 100ms, 1s, 1s], allow_http: true, allow_networks: [127.0.0.0/8]}
resources: {contact: {table: contacts, account: account_id, columns: all}}
`

// TestSpans runs rowhook between a database and a receiver, with a real OTLP receiver for its spans.
func TestSpans(t *testing.T) {
	b := &backend{services: map[string]bool{}}
	server := httptest.NewServer(b)
	defer server.Close()
	t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", server.URL)
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer collectors-token")
	t.Setenv("OTEL_SERVICE_NAME", "crm-hooks")
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
	log := slog.New(slog.NewTextHandler(t.Output(), nil))
	tracer, err := New(t.Context(), "1.2.3", os.Getenv, log)
	if err != nil || tracer == nil {
		t.Fatal(tracer, err)
	}
	url, slot := pgtest.Database(t), pgtest.Name("traces")
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	exec := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
	}
	exec(`create table contacts (id text primary key, account_id text not null, name text)`)
	// The first attempt of what goes to /fails is refused.
	recv, err := hooktest.Start(hooktest.Options{Script: func(q hooktest.Request) hooktest.Answer {
		if strings.HasPrefix(q.Path, "/fails") && q.Attempt == 1 {
			return hooktest.Status(500)
		}
		return hooktest.OK()
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer recv.Close()
	env := map[string]string{"DATABASE_URL": url, "SLOT": slot}
	cfg, err := config.LoadBytes("config.yaml", []byte(testConfig), func(name string) (string, bool) { v, ok := env[name]; return v, ok }, os.ReadFile)
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	a, err := app.New(cfg, app.Options{Log: log, Version: "1.2.3", Trace: tracer.Attempt, OnReady: func(string) { close(ready) }})
	if err != nil {
		t.Fatal(err)
	}
	addr, err := a.Listen()
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := tracer.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	select {
	case <-ready:
	case err := <-ended:
		ended <- nil
		t.Fatal(err)
	}
	c := &client.Client{URL: "http://" + addr.String() + "/api/v1", Token: "admin-token-0123456789"}
	subscribe := func(s *client.Subscription) string {
		t.Helper()
		s.Events = []string{"contact.create"}
		made, err := c.Create(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		return made.ID
	}
	fails := subscribe(&client.Subscription{TargetURL: recv.URL("/fails/secret-in-path")})
	good := subscribe(&client.Subscription{TargetURL: recv.URL("/good")})
	batch := subscribe(&client.Subscription{TargetURL: recv.URL("/batch"), Delivery: client.Delivery{Batch: &client.Batch{Max: 3, Wait: "20s"}}})
	const traceID, spanID = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
	exec(`begin; select pg_logical_emit_message(true, 'rowhook', '{"traceparent":"00-` + traceID + `-` + spanID + `-01"}');
		insert into contacts values ('key-of-row', 'account-of-row', 'value-of-row'); commit`)
	exec(`insert into contacts values ('k2', 'a2', 'v2')`)
	exec(`insert into contacts values ('k3', 'a2', 'v3')`)

	deadline := time.Now().Add(30 * time.Second)
	for len(b.of("deliver contact.create", fails)) < 3 || len(b.of("deliver contact.create", good)) < 3 || len(b.of("deliver contact.create", batch)) < 3 || len(b.of("attempt rowhook.batch", batch)) < 1 {
		if time.Now().After(deadline) {
			t.Fatalf("the spans do not come: %v %s", b.spans, b.refused)
		}
		<-time.After(5 * time.Millisecond)
	}
	if b.login != "Bearer collectors-token" || !b.services["crm-hooks"] {
		t.Errorf("login %q, services %v", b.login, b.services)
	}
	headers := map[string]hooktest.Request{}
	for _, q := range recv.Requests() {
		headers[q.Header.Get("Traceparent")] = q
	}
	byEvent := map[string]map[string]bool{} // the traces of each event
	parents := 0
	for _, s := range append(b.of("attempt contact.create", fails), b.of("attempt contact.create", good)...) {
		event, sub := valueOf(s, "rowhook.event.id"), valueOf(s, "rowhook.subscription.id")
		if byEvent[event] == nil {
			byEvent[event] = map[string]bool{}
		}
		byEvent[event][hex.EncodeToString(s.TraceId)] = true
		q, sent := headers["00-"+hex.EncodeToString(s.TraceId)+"-"+hex.EncodeToString(s.SpanId)+"-01"]
		if !sent || q.ID != event || fmt.Sprint(q.Attempt) != valueOf(s, "rowhook.attempt") {
			t.Errorf("no request has the traceparent of attempt %s of %s", valueOf(s, "rowhook.attempt"), event)
		}
		want, code := "delivered", "200"
		if sub == fails && valueOf(s, "rowhook.attempt") == "1" {
			want, code = "http_status", "500"
		}
		if valueOf(s, "rowhook.result") != want || valueOf(s, "http.response.status_code") != code || valueOf(s, "error.type") == "" != (want == "delivered") ||
			s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR != (want != "delivered") || valueOf(s, "server.address") != "127.0.0.1" {
			t.Errorf("attempt %s of %s ended with %v %v, want %s", valueOf(s, "rowhook.attempt"), event, s.Attributes, s.Status, want)
		}
		for _, d := range b.of("deliver contact.create", sub) {
			if !bytes.Equal(d.SpanId, s.ParentSpanId) {
				continue
			}
			parents++
			commit, err := time.Parse(time.RFC3339Nano, valueOf(d, "rowhook.commit.time"))
			if err != nil || uint64(commit.UnixNano()) != d.StartTimeUnixNano || d.EndTimeUnixNano < s.EndTimeUnixNano || valueOf(d, "rowhook.event.id") != event {
				t.Errorf("the delivery of %s goes from %d to %d, commit %s", event, d.StartTimeUnixNano, d.EndTimeUnixNano, commit)
			}
			if said := hex.EncodeToString(s.TraceId) == traceID; said != (hex.EncodeToString(d.ParentSpanId) == spanID) {
				t.Errorf("the delivery of %s is a child of %x", event, d.ParentSpanId)
			}
		}
	}
	traces := map[string]bool{}
	for event, of := range byEvent {
		if len(of) != 1 {
			t.Errorf("%s has the traces %v", event, of)
		}
		for id := range of {
			traces[id] = true
		}
	}
	if len(byEvent) != 3 || len(traces) != 3 || !traces[traceID] || parents != 9 {
		t.Errorf("%d events, traces %v, %d attempts with the delivery that they are of", len(byEvent), traces, parents)
	}
	links := map[string]bool{}
	for _, s := range b.of("attempt rowhook.batch", batch) {
		for _, l := range s.Links {
			links[hex.EncodeToString(l.SpanId)] = true
		}
	}
	for _, d := range b.of("deliver contact.create", batch) {
		if !links[hex.EncodeToString(d.SpanId)] {
			t.Errorf("no batch is linked with the delivery of %s", valueOf(d, "rowhook.event.id"))
		}
	}
	for _, private := range []string{"key-of-row", "account-of-row", "value-of-row", "secret-in-path", "whsec_"} {
		if bytes.Contains(b.raw.Bytes(), []byte(private)) {
			t.Errorf("%s is in the spans", private)
		}
	}
}

func TestWanted(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		env  string
		on   bool
		fail string
	}{
		{"", false, ""},
		{"OTEL_SERVICE_NAME=x OTEL_TRACES_SAMPLER=always_on", false, ""},
		{"OTEL_TRACES_EXPORTER=otlp", true, ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318", true, ""},
		{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://otlp.example.com/v1/traces", true, ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 OTEL_SDK_DISABLED=true", false, ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4318 OTEL_TRACES_EXPORTER=none", false, ""},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=localhost:4318", false, "OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL"},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://user:hunter2@%zz", false, "OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL"},
		{"OTEL_TRACES_EXPORTER=zipkin", false, `OTEL_TRACES_EXPORTER is "zipkin"`},
		{"OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317 OTEL_EXPORTER_OTLP_PROTOCOL=grpc", false, `OTEL_EXPORTER_OTLP_PROTOCOL is "grpc"`},
	} {
		env := map[string]string{}
		for _, pair := range strings.Fields(c.env) {
			name, value, _ := strings.Cut(pair, "=")
			env[name] = value
		}
		on, err := wanted(func(name string) string { return env[name] })
		if on != c.on || (err == nil) != (c.fail == "") || err != nil && (!strings.Contains(err.Error(), c.fail) || strings.Contains(err.Error(), "hunter2")) {
			t.Errorf("%s: %t, %v", c.env, on, err)
		}
	}
	for list, want := range map[string]bool{"": true, "tracecontext,baggage": true, "baggage, tracecontext": true, "none": false, "b3": false} {
		if propagates(list) != want {
			t.Errorf("OTEL_PROPAGATORS=%s: %t", list, !want)
		}
	}
}

// TestSampling: what is not sampled is told so to the receiver, by the same decision at each attempt, and the application decides for its own.
func TestSampling(t *testing.T) {
	t.Parallel()
	tracer := newTracer("1", sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(0.5))))
	s := &subscriptions.Subscription{ID: "sub_1"}
	sampled := 0
	for n := range 200 {
		ev := &mapping.Event{ID: fmt.Sprintf("evt_%d", n), Type: "contact.update"}
		first, end := tracer.Attempt(sender.Report{Event: ev, Subscription: s, Attempt: 1})
		end(sender.Report{Event: ev, Subscription: s, Attempt: 1})
		second, _ := tracer.Attempt(sender.Report{Event: ev, Subscription: s, Attempt: 2})
		if first[:35] != second[:35] || first[53:] != second[53:] || first[36:52] == second[36:52] {
			t.Fatalf("%s, then %s", first, second)
		}
		if strings.HasSuffix(first, "-01") {
			sampled++
		}
		for flag, said := range map[string]string{"00": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", "01": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"} {
			ev.Context = []byte(`{"traceparent":"` + said + `"}`)
			if got, _ := tracer.Attempt(sender.Report{Event: ev, Subscription: s, Attempt: 1}); got[:35] != said[:35] || got[53:] != flag {
				t.Fatalf("the application said %s, the receiver gets %s", said, got)
			}
		}
		ev.Context = []byte(`{"traceparent": 7, "x": "\"traceparent\""}`)
		if got, _ := tracer.Attempt(sender.Report{Event: ev, Subscription: s, Attempt: 1}); got[:35] != first[:35] {
			t.Fatalf("what is no traceparent makes %s of %s", got, first)
		}
	}
	if sampled < 60 || sampled > 140 {
		t.Errorf("%d of 200 are sampled", sampled)
	}
	tracer.header = false
	if got, _ := tracer.Attempt(sender.Report{Event: &mapping.Event{ID: "evt_1"}, Subscription: s}); got != "" {
		t.Errorf("OTEL_PROPAGATORS=none sends %s", got)
	}
}

// TestComplaints: a collector that is away is one line a minute.
func TestComplaints(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	c := &complaints{log: slog.New(slog.NewTextHandler(&out, nil))}
	for range 5 {
		c.Handle(io.ErrUnexpectedEOF)
	}
	if n := strings.Count(out.String(), "traces cannot be sent"); n != 1 {
		t.Errorf("%d lines: %s", n, &out)
	}
}
