package cdc_test

import (
	"sync"
	"testing"

	"github.com/rowhook/rowhook/cdc"
)

func TestReceiptSettlesOnce(t *testing.T) {
	t.Parallel()
	if r := cdc.NewReceipt(0); !r.IsSettled() {
		t.Error("an empty receipt is not settled")
	}
	r := cdc.NewReceipt(1)
	var wg sync.WaitGroup
	for range 50 {
		r.Add(1)
		wg.Go(r.Done)
	}
	wg.Wait()
	if r.IsSettled() {
		t.Fatal("settled while one part is outstanding")
	}
	r.Done()
	<-r.Settled()
	defer func() {
		if recover() == nil {
			t.Error("Add on a settled receipt does not panic")
		}
	}()
	r.Add(1)
}

func TestPositionTextSortsLikePositions(t *testing.T) {
	t.Parallel()
	ps := []cdc.Position{
		{}, {Epoch: 1}, {Epoch: 1, Commit: 1}, {Epoch: 1, Commit: 1, Ordinal: 1}, {Epoch: 1, Commit: 1, Ordinal: 1, Sub: 9},
		{Epoch: 1, Commit: 1, Ordinal: 10}, {Epoch: 1, Commit: 1 << 40}, {Epoch: 2},
	}
	for i, p := range ps {
		if got, err := cdc.ParsePosition(p.String()); err != nil || got != p {
			t.Errorf("ParsePosition(%q) = %v, %v", p, got, err)
		}
		if len(p.String()) > 48 {
			t.Errorf("%q is longer than 48", p)
		}
		for j, q := range ps {
			want := 0
			if i < j {
				want = -1
			} else if i > j {
				want = 1
			}
			if got := p.Compare(q); got != want {
				t.Errorf("Compare(%v, %v) = %d, want %d", p, q, got, want)
			}
			if (p.String() < q.String()) != (want < 0) {
				t.Errorf("text of %v and %v does not sort like them", p, q)
			}
		}
	}
	for _, bad := range []string{"", "zz", ps[3].String()[1:], ps[3].String() + "00"} {
		if _, err := cdc.ParsePosition(bad); err == nil {
			t.Errorf("ParsePosition(%q) succeeds", bad)
		}
	}
}
