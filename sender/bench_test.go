package sender_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/sender"
	"github.com/rowhook/rowhook/subscriptions"
)

// forgetful is a store that takes everything at once and keeps nothing.
type forgetful struct{ sender.Store }

func (forgetful) Write(context.Context, []sender.Record) error { return nil }
func (forgetful) Due(context.Context, int64, sender.Look) ([]sender.Due, time.Time, error) {
	return nil, time.Time{}, nil
}
func (forgetful) Failing(context.Context) (map[int64]sender.Trouble, error) { return nil, nil }
func (forgetful) Paused(context.Context) (map[int64]sender.Paused, error)   { return nil, nil }
func (forgetful) Backlogs(context.Context, int) ([]sender.Backlog, error)   { return nil, nil }

// BenchmarkDispatch sends events to one target that answers at once, from submission to the settled receipt. The target
// runs in the same process, on the same processors.
func BenchmarkDispatch(b *testing.B) {
	srv := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer srv.Close()
	for _, subs := range []int{1, 10} {
		b.Run(fmt.Sprint("Subscriptions=", subs), func(b *testing.B) {
			cfg := testConfig()
			cfg.MaxInFlight, cfg.PerSubscription, cfg.Memory = 256, 64, 64<<20
			d := run(b, cfg, forgetful{})
			var to []*subscriptions.Subscription
			for i := range subs {
				to = append(to, newSubscription(int64(i+1), srv.URL))
			}
			var receipts []*cdc.Receipt
			n := 0
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N { // not b.Loop: what is measured ends with the last receipt
				n++
				receipt := cdc.NewReceipt(1)
				ev := newEvent(n, fmt.Sprint(n%1000))
				if err := d.Submit(b.Context(), []sender.Job{{Event: ev, To: to[n%subs : n%subs+1]}}, receipt); err != nil {
					b.Fatal(err)
				}
				receipts = append(receipts, receipt)
			}
			settled(b, receipts...)
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
