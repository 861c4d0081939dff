package store

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/pgtest"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Run(m)) }

func open(t testing.TB, url string) *Store {
	t.Helper()
	s, err := Open(context.Background(), Config{URL: secret.String(url), Schema: "rowhook"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// connect opens a connection beside the store, with its schema in the path.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	exec(t, conn, `SET search_path = rowhook`)
	return conn
}

func exec(t testing.TB, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	if _, err := conn.Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

// value reads one value.
func value[T any](t testing.TB, conn *pgx.Conn, sql string, args ...any) T {
	t.Helper()
	var v T
	if err := conn.QueryRow(context.Background(), sql, args...).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

var day = time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC)

func event(n int, at time.Time) *mapping.Event {
	return &mapping.Event{ID: fmt.Sprintf("evt_%d", n), Type: "contact.update", Resource: "contact", Instance: fmt.Sprint(n),
		Position: cdc.Position{Epoch: 1, Commit: cdc.LSN(n) * 200, Ordinal: 1}, Time: at, Data: fmt.Appendf(nil, `{"id":%d}`, n)}
}

func deferred(ev *mapping.Event, subscription, key int64, at time.Time) sender.Record {
	return sender.Record{Op: sender.Defer, Event: ev, InsertEvent: true, Subscription: subscription, Key: key, DueAt: at}
}

func delivered(ev *mapping.Event, subscription, key int64, stored bool) sender.Record {
	return sender.Record{Op: sender.Finish, Event: ev, InsertEvent: !stored, Subscription: subscription, Key: key, Stored: stored,
		Status: sender.StatusDelivered, Attempts: 1, Outcome: &sender.Outcome{Verdict: sender.Delivered, Status: 200, Duration: 1234 * time.Microsecond}}
}

func write(t testing.TB, s *Store, records ...sender.Record) {
	t.Helper()
	if err := s.Write(context.Background(), records); err != nil {
		t.Fatal(err)
	}
}

func subscribe(t testing.TB, s *Store, account string) *subscriptions.Subscription {
	t.Helper()
	timeout := subscriptions.Duration(7 * time.Second)
	x := &subscriptions.Subscription{
		ID: subscriptions.NewID(), Account: account, Admin: account == "", Events: []string{"contact.*", "deal.create"},
		TargetURL: "https://u:hunter2@example.com/hook", FallbackURL: "https://u:hunter2@fallback.example.com/hook", ResourceID: "42", Secrets: []subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}},
		Delivery: subscriptions.DeliveryOptions{Timeout: &timeout, Ordering: "none"}, State: subscriptions.Active, Name: "n", Description: "d",
		Metadata: map[string]string{"a": "b"},
		Request: &subscriptions.Request{Format: subscriptions.FormatThin, Headers: []subscriptions.RequestHeader{{Name: "x-b", Value: "hunter2-b"}, {Name: "X-A", Value: ""}},
			Auth: &subscriptions.Auth{Type: subscriptions.AuthBearer, Token: "hunter2-token"}, CustomData: []byte(`{"z":1.10,"a":{"b":"\u0000"}}`)},
	}
	if err := s.Create(context.Background(), x, 0); err != nil {
		t.Fatal(err)
	}
	return x
}
