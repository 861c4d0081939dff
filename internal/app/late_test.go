package app_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// TestALateSubscriptionGetsWhatCommitsAfterTheAnswer: the store, which is apart, needs longer for a new subscription than the
// stream waits for it. What is committed from the answer on belongs to it all the same.
func TestALateSubscriptionGetsWhatCommitsAfterTheAnswer(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	own := pgtest.Database(t)
	r.text = strings.Replace(r.text, "api:\n", "store: {url: '"+own+"', schema: hooks}\napi:\n", 1)
	r.start()
	r.subscribe("/before")
	conn, err := pgx.Connect(t.Context(), own)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), `create function hooks.slow() returns trigger language plpgsql as $$begin perform pg_sleep(7); return null; end$$;
		create constraint trigger slow after insert on hooks.subscription deferrable initially deferred for each row execute function hooks.slow()`); err != nil {
		t.Fatal(err)
	}
	traffic, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	other := r.another()
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for n := 1; traffic.Err() == nil; n++ {
			_, _ = other.Exec(context.Background(), `insert into notes values ($1, 'x')`, n)
			<-tick.C
		}
	}()
	defer func() { stop(); <-ended }()
	r.subscribe("/late")
	r.insertContact(1, 1)
	r.recv.WaitFor(t, arrived("/late", "contact/1", 1))
}
