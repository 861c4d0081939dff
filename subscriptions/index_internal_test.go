package subscriptions

import (
	"fmt"
	"strings"
	"testing"
	"unsafe"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
)

// TestIndexForgetsEverything: accounts and patterns come and go for years.
func TestIndexForgetsEverything(t *testing.T) {
	t.Parallel()
	x := NewIndex()
	for round := range int64(3) {
		for i := range int64(50) {
			s := &Subscription{
				Key: i, ID: fmt.Sprint(i), Version: round + 1, Account: fmt.Sprint(i % 7), Admin: i%5 == 0,
				Events: []string{"*", "deal.*", "deal.won", "deal.won", fmt.Sprintf("deal.%d", i)}, State: Active,
			}
			if i%3 == 0 {
				s.ResourceID = fmt.Sprint(i)
			}
			x.Put(s)
		}
		if last := len(x.events.texts) - 1; last > 52 {
			t.Errorf("%d numbers for 51 events: they are not used again", last)
		}
	}
	for i := range 50 {
		x.Remove(fmt.Sprint(i))
		x.Remove(fmt.Sprint(i))
	}
	left := []int{
		len(x.byID), len(x.accounts.numbers), len(x.events.numbers), len(x.resources.numbers), len(x.places), len(x.pinned),
		len(x.patterns.numbers), len(x.delivery.numbers), len(x.whole), x.Len(), x.texts.live, len(x.lists.more) - len(x.lists.free),
	}
	if fmt.Sprint(left) != "[0 0 0 0 0 0 0 0 0 0 0 0]" {
		t.Errorf("left %v, want nothing", left)
	}
}

// TestIndexWithEqualHashes: what two subscriptions have the same hash for must not be mixed up.
func TestIndexWithEqualHashes(t *testing.T) {
	t.Parallel()
	x := NewIndex()
	x.hash = func([]byte) uint64 { return 7 }
	put := func(i int64) {
		x.Put(&Subscription{Key: i, ID: fmt.Sprint(i), Version: 1, Account: fmt.Sprint(i % 2), ResourceID: fmt.Sprint(i % 3),
			Events: []string{"deal.*"}, State: Active})
	}
	for i := range int64(12) {
		put(i)
	}
	for _, i := range []int64{5, 0, 11} { // of the chain the last, the first and one between
		x.Remove(fmt.Sprint(i))
	}
	put(5)
	for i := range int64(12) {
		if got, want := x.Get(fmt.Sprint(i)) != nil, i != 0 && i != 11; got != want {
			t.Errorf("%d is held: %v, want %v", i, got, want)
		}
	}
	got := x.Match(nil, &mapping.Event{Type: "deal.won", Resource: "deal", Account: "1", Accounted: true, Instance: "2",
		Position: cdc.Position{Commit: 1}})
	if len(got) != 1 || got[0].Key != 5 {
		t.Errorf("matched %v, want 5 alone", got)
	}
}

// TestIndexMovesItsTexts: subscriptions that change all the time leave no texts behind.
func TestIndexMovesItsTexts(t *testing.T) {
	t.Parallel()
	x := NewIndex()
	target := strings.Repeat("x", 1000)
	for version := range int64(200) {
		for i := range int64(50) {
			x.Put(&Subscription{Key: i, ID: fmt.Sprint(i), Version: version + 1, Admin: true, Events: []string{"*"}, State: Active,
				TargetURL: secret.String(fmt.Sprint(version, "/", i, target))})
		}
	}
	if most := arenaWaste + 200<<10; x.texts.live+x.texts.dead > most {
		t.Errorf("the texts take %d bytes, want %d at most", x.texts.live+x.texts.dead, most)
	}
	for i := range 50 {
		if got := x.Get(fmt.Sprint(i)).TargetURL.Reveal(); got != fmt.Sprint(199, "/", i, target) {
			t.Errorf("the target of %d is %.20s", i, got)
		}
	}
}

// TestIndexUnpacksAgain: more subscriptions match in turns than are held unpacked.
func TestIndexUnpacksAgain(t *testing.T) {
	t.Parallel()
	x := NewIndex()
	const many = wholeMax + 1000
	for i := range int64(many) {
		x.Put(&Subscription{Key: i, ID: fmt.Sprint(i), Version: 1, Account: fmt.Sprint(i), Events: []string{"*"}, State: Active})
	}
	for range 3 {
		for i := range int64(many) {
			got := x.Match(nil, &mapping.Event{Account: fmt.Sprint(i), Accounted: true, Position: cdc.Position{Commit: 1}})
			if len(got) != 1 || got[0].Key != i {
				t.Fatalf("account %d matches %v", i, got)
			}
		}
		if len(x.whole) > wholeMax+1 {
			t.Fatalf("%d are held unpacked, want %d at most, and the last", len(x.whole), wholeMax)
		}
	}
}

// TestIndexUnpacksOnceForABatch: the matches of a batch are held together, and there may be many of each event.
func TestIndexUnpacksOnceForABatch(t *testing.T) {
	t.Parallel()
	x := NewIndex()
	const many = wholeMax + 1000
	for i := range int64(many) {
		x.Put(&Subscription{Key: i, ID: fmt.Sprint(i), Version: 1, Admin: true, Events: []string{"*"}, State: Active})
	}
	for range 3 {
		var matched []*Subscription
		for range 20 {
			matched = x.Match(matched, &mapping.Event{Position: cdc.Position{Commit: 1}})
		}
		objects := map[*Subscription]bool{}
		for _, s := range matched {
			objects[s] = true
		}
		if len(matched) != 20*many || len(objects) != many {
			t.Fatalf("%d matches are %d subscriptions in memory, want %d", len(matched), len(objects), many)
		}
		x.Get("0")
		if len(x.whole) > wholeMax+1 || cap(x.recent) > 8*wholeMax {
			t.Fatalf("%d are held unpacked afterwards, in a list for %d", len(x.whole), cap(x.recent))
		}
	}
}

// TestUnsetFieldsCostNothing: a hundred thousand subscriptions pay for no field that they do not have.
func TestUnsetFieldsCostNothing(t *testing.T) {
	t.Parallel()
	if size := unsafe.Sizeof(entry{}); size > 56 {
		t.Errorf("an entry has %d bytes", size)
	}
	s := &Subscription{ID: "sub_1", TargetURL: "https://example.com/", State: Active}
	if n, texts := len(appendPacked(nil, s)), len(s.ID)+len(s.TargetURL)+len(s.State); n-texts > 10 {
		t.Errorf("the texts take %d bytes beyond their own %d", n-texts, texts)
	}
}
