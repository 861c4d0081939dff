package cdc

import (
	"context"
	"testing"
	"time"

	"github.com/rowhook/rowhook/internal/pgtest"
)

// busy is a handler that takes as long as it is told.
type busy struct{ taken, release chan struct{} }

func (b *busy) Begin(context.Context) error { return nil }
func (b *busy) End()                        {}
func (b *busy) Handle(ctx context.Context, _ *Batch) (*Receipt, error) {
	select {
	case b.taken <- struct{}{}:
	default:
	}
	select {
	case <-b.release:
		return NewReceipt(0), nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// TestServerCanStopWhileTheHandlerIsBusy blocks the handler with more batches behind it, so that nothing is received
// any more: what the server asks for when it shuts down is not read then.
func TestServerCanStopWhileTheHandlerIsBusy(t *testing.T) {
	t.Parallel()
	srv := pgtest.Cluster(t, nil)
	f := newFixture(t, srv.Database(t))
	h := &busy{taken: make(chan struct{}, 1), release: make(chan struct{})}
	s, _ := f.run(h)
	f.exec(`insert into t values (0, 'x')`)
	<-h.taken
	for i := 1; i <= 3; i++ {
		f.exec(`insert into t values ($1, 'x')`, i)
		eventually(t, "batches wait for the handler", func() bool { return s.Status().Unsettled >= min(i+1, 3) })
	}
	if err := srv.Shutdown(pgtest.Fast, 10*time.Second); err != nil {
		t.Errorf("the server does not stop: %v", err)
	}
	if err := srv.StartAgain(); err != nil {
		t.Fatal(err)
	}
	close(h.release)
	eventually(t, "it streams again", func() bool { return s.Status().Phase == Streaming && s.Status().Connections >= 2 })
}

// TestInspectDoesNotWaitForLocks reads the definition of a table that somebody alters in a long transaction.
func TestInspectDoesNotWaitForLocks(t *testing.T) {
	t.Parallel()
	f := newFixture(t, pgtest.Database(t))
	f.exec(`begin`)
	f.exec(`lock table t in access exclusive mode`)
	s, err := New(f.cfg, newRecorder(), f.mem)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if _, err := s.Inspect(ctx); err != nil {
		t.Error(err)
	}
	f.exec(`rollback`)
}
