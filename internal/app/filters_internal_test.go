package app

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/store"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

func testedFilters() *filters {
	return newFilters(&filterErrors{total: prometheus.NewCounter(prometheus.CounterOpts{Name: "x"}), byKey: nil})
}

// TestFiltersOfAnAccountAreBoundedTogether: what one customer asks for does not hold up the others, and a filter that many
// subscriptions have is asked once.
func TestFiltersOfAnAccountAreBoundedTogether(t *testing.T) {
	t.Parallel()
	list := strings.TrimSuffix(strings.Repeat("1,", 8000), ",")
	ev := &mapping.Event{ID: "evt_1", Type: "deal.update", Data: []byte(`{"list":[` + list + `]}`)}
	f := testedFilters()
	kept := func(admin bool, filter func(i int) string) (n, failed int) {
		f.errors.byKey = map[int64]*store.FilterFailure{}
		var all []*subscriptions.Subscription
		for i := range 200 {
			all = append(all, &subscriptions.Subscription{Key: int64(i), ID: fmt.Sprint(i), Admin: admin, Account: "1", Filter: filter(i)})
		}
		n = len(f.keep(all, ev))
		for _, x := range f.errors.byKey {
			if x.Message != errTogether.Error() {
				t.Errorf("failed: %s", x.Message)
			}
			failed++
		}
		return n, failed
	}
	costly := func(i int) string { return fmt.Sprint("all(data.list, # < 2) && ", i, " >= 0") }
	n, failed := kept(false, costly)
	if n < 5 || n > 50 || n+failed != 200 {
		t.Errorf("%d of an account's were kept, %d failed", n, failed)
	}
	if again, _ := kept(false, costly); again != n {
		t.Errorf("%d were kept, then %d", n, again)
	}
	if n, failed := kept(true, costly); n != 200 || failed > 0 {
		t.Errorf("%d of the admin's were kept", n)
	}
	if n, failed := kept(false, func(int) string { return costly(1) }); n != 200 || failed > 0 {
		t.Errorf("%d with one filter were kept", n)
	}
	if n, failed := kept(false, func(i int) string { return fmt.Sprint("type != null && ", i, " >= 0") }); n != 200 || failed > 0 {
		t.Errorf("%d with cheap filters were kept", n)
	}
}

// BenchmarkHandleFiltered is BenchmarkHandle of transactions of one row with subscriptions that match but for their filters.
func BenchmarkHandleFiltered(b *testing.B) {
	for _, n := range []int{0, 1, 100} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			h, rel := benchHandler(b)
			h.filters = testedFilters()
			for i := range n {
				h.index.Put(&subscriptions.Subscription{ID: fmt.Sprint("sub_f", i), Key: int64(i + 2), Admin: true, Version: 1, State: subscriptions.Active,
					Events: []string{"contact.*"}, Filter: fmt.Sprintf(`data.c1 == "value" || data.c2 == "%d"`, i)})
			}
			batch := &cdc.Batch{Epoch: 1}
			for i := range cdc.BatchRows {
				c := cdc.Change{Op: cdc.Insert, Tx: &cdc.Tx{Commit: cdc.LSN(i + 1), XID: uint32(i)}, Ordinal: 1, Relation: rel}
				for k := range rel.Columns {
					c.New = append(c.New, cdc.Value{Kind: cdc.Text, Data: fmt.Appendf(nil, "value %d of %d", k, i)})
				}
				batch.Changes = append(batch.Changes, c)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := h.Handle(b.Context(), batch); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/cdc.BatchRows, "ns/change")
		})
	}
}
