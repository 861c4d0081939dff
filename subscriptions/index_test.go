package subscriptions_test

import (
	"cmp"
	"fmt"
	"iter"
	"math/rand/v2"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/subscriptions"
)

type sub = subscriptions.Subscription

// wants is the definition of matching, as plainly as it can be said.
func wants(s *sub, ev *mapping.Event) bool {
	if s.State != subscriptions.Active && s.State != subscriptions.Shadow || ev.Position.Commit <= s.Since {
		return false
	}
	if !s.ExpiresAt.IsZero() && !ev.Time.Before(s.ExpiresAt) {
		return false
	}
	if s.ResourceID != "" && s.ResourceID != ev.Instance || ev.Source != "" && slices.Contains(s.IgnoreSources, ev.Source) {
		return false
	}
	if s.Admin && ev.Audience == mapping.ToAccount || !s.Admin && ev.Audience == mapping.ToAdmin {
		return false
	}
	if !s.Admin {
		if s.Account == "" || !ev.Accounted || ev.Account != s.Account || strings.HasSuffix(ev.Type, ".truncate") {
			return false
		}
	}
	return slices.ContainsFunc(s.Events, func(p string) bool {
		return p == "*" || p == ev.Type || p == ev.Resource+".*"
	})
}

func naive(all map[string]*sub, ev *mapping.Event) []*sub {
	var found []*sub
	for _, s := range all {
		if wants(s, ev) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b *sub) int { return cmp.Compare(a.Key, b.Key) })
	return found
}

var (
	someResources = []string{"contact", "deal", "tag"}
	somePatterns  = []string{
		"*", "contact.*", "deal.*", "tag.*", "contact.create", "contact.update", "deal.create", "deal.won", "deal.truncate",
		"contact.truncate", "tag.delete",
	}
	someAccounts = []string{"1", "2", "3", "contact", "*", ""}
)

// someTimes are a microsecond apart: the end of a lease is exact.
var someTimes = []time.Time{
	time.Date(2026, 11, 22, 1, 0, 0, 999999000, time.UTC), time.Date(2026, 11, 22, 1, 0, 1, 0, time.UTC),
	time.Date(2026, 11, 22, 1, 0, 1, 1000, time.UTC),
}

func pick[T any](rng *rand.Rand, from []T) T { return from[rng.IntN(len(from))] }

func randomSubscription(rng *rand.Rand, key int64) *sub {
	s := &sub{
		Key: key, ID: fmt.Sprint("sub_", key), Version: 1 + rng.Int64N(5), Account: pick(rng, someAccounts),
		State: subscriptions.Active, Since: cdc.LSN(rng.IntN(100)),
	}
	if rng.IntN(4) == 0 {
		s.Admin, s.Account = true, ""
	}
	if rng.IntN(4) == 0 {
		s.State = pick(rng, subscriptions.States)
	}
	if s.State == subscriptions.Disabled && rng.IntN(2) == 0 {
		s.Before = subscriptions.Shadow
	}
	if rng.IntN(3) == 0 {
		s.ExpiresAt = pick(rng, someTimes)
	}
	if rng.IntN(3) == 0 {
		s.ResourceID = pick(rng, []string{"1", "2", "42"})
	}
	for range rng.IntN(3) {
		s.IgnoreSources = append(s.IgnoreSources, pick(rng, []string{"zapier", "sync"}))
	}
	for range 1 + rng.IntN(4) {
		s.Events = append(s.Events, pick(rng, somePatterns))
	}
	s.TargetURL = secret.String("https://example.com/" + strings.Repeat("x", rng.IntN(300)))
	for i := range rng.IntN(3) {
		x := subscriptions.SigningSecret{Secret: subscriptions.NewSecret()}
		if i > 0 {
			x.Until = time.Date(2026, 1, 2, 3, 4, 5, 6000, time.UTC)
		}
		s.Secrets = append(s.Secrets, x)
	}
	if rng.IntN(3) == 0 {
		timeout := subscriptions.Duration(rng.IntN(3)) * subscriptions.Duration(time.Second)
		s.Delivery = subscriptions.DeliveryOptions{Timeout: &timeout, Retries: &subscriptions.Retries{Count: 1, IsCount: true}, MaxInFlight: rng.IntN(3)}
	}
	return s
}

// same says whether a subscription that the index holds is the one that it was given: but for what it does not keep, which
// no test gives it.
func same(got, given *sub) bool { return reflect.DeepEqual(got, given) }

func randomEvent(rng *rand.Rand) *mapping.Event {
	ev := &mapping.Event{Resource: pick(rng, someResources), Position: cdc.Position{Commit: cdc.LSN(rng.IntN(110))}, Source: pick(rng, []string{"", "zapier", "sync", "other"})}
	ev.Time = pick(rng, someTimes)
	ev.Type = ev.Resource + "." + pick(rng, []string{"create", "update", "delete", "won", "truncate"})
	if !strings.HasSuffix(ev.Type, ".truncate") {
		ev.Instance = pick(rng, []string{"1", "2", "42", ""})
	}
	if rng.IntN(3) == 0 {
		ev.Audience = pick(rng, []mapping.Audience{mapping.ToAccount, mapping.ToAdmin})
	}
	if rng.IntN(4) > 0 {
		ev.Accounted, ev.Account = true, pick(rng, someAccounts)
	} else if rng.IntN(2) == 0 {
		ev.Account = "1" // of no meaning without Accounted
	}
	return ev
}

func TestIndexMatchesLikeTheDefinition(t *testing.T) {
	t.Parallel()
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 7))
		x, model := subscriptions.NewIndex(), map[string]*sub{}
		var dst []*sub
		for range 150 {
			s := randomSubscription(rng, rng.Int64N(30))
			switch rng.IntN(8) {
			case 0:
				x.Remove(s.ID)
				delete(model, s.ID)
			case 1:
				x.Reset()
				for _, m := range model {
					x.Put(m)
				}
			default:
				x.Put(s)
				if old := model[s.ID]; old == nil || old.Version < s.Version {
					model[s.ID] = s
				}
			}
			if x.Len() != len(model) || !same(x.Get(s.ID), model[s.ID]) {
				t.Fatalf("seed %d: Len() = %d, want %d; Get() = %+v, want %+v", seed, x.Len(), len(model), x.Get(s.ID), model[s.ID])
			}
			if got := x.ByKey()(s.Key); !same(got, model[s.ID]) {
				t.Fatalf("seed %d: ByKey() finds %+v, want %+v", seed, got, model[s.ID])
			}
			ev := randomEvent(rng)
			dst = x.Match(dst[:0], ev)
			if want := naive(model, ev); !slices.EqualFunc(dst, want, same) {
				t.Fatalf("seed %d: %+v matches\n%v, want\n%v", seed, ev, ids(dst), ids(want))
			}
			asked := false
			for _, s := range model {
				asked = asked || slices.ContainsFunc(s.Events, func(p string) bool { return p == "*" || p == ev.Type || p == ev.Resource+".*" })
			}
			if got := x.Wants(ev.Type, ev.Resource); got != asked {
				t.Fatalf("seed %d: Wants(%s) is %v, want %v", seed, ev.Type, got, asked)
			}
			for _, s := range dst {
				if !s.Admin && (!ev.Accounted || s.Account != ev.Account) {
					t.Fatalf("seed %d: the event of account %q reaches %q", seed, ev.Account, s.Account)
				}
			}
		}
	}
}

func ids(list []*sub) []string {
	var out []string
	for _, s := range list {
		out = append(out, fmt.Sprintf("%s v%d", s.ID, s.Version))
	}
	return out
}

// TestIndexKeepsAccountsApart is the promise alone, with accounts and events named to be confused.
func TestIndexKeepsAccountsApart(t *testing.T) {
	t.Parallel()
	odd := []string{"a", "A", "a ", "*", "a.*", "deal", "deal.*", "a\x00", "", "0", "\u00e1", "a\u0301"}
	x := subscriptions.NewIndex()
	for i, account := range odd {
		for j, pattern := range []string{"*", "deal.*", "deal.won"} {
			x.Put(&sub{
				Key: int64(10*i + j), ID: fmt.Sprint(i, "/", j), Version: 1, Account: account, Events: []string{pattern},
				State: subscriptions.Active,
			})
		}
	}
	for _, account := range odd {
		for _, accounted := range []bool{true, false} {
			for _, typ := range []string{"deal.won", "deal.truncate", "deal.*", "deal.", "*"} {
				ev := &mapping.Event{
					Type: typ, Resource: "deal", Account: account, Accounted: accounted, Instance: "1",
					Position: cdc.Position{Commit: 1},
				}
				got := x.Match(nil, ev)
				for _, s := range got {
					if !accounted || account == "" || s.Account != account || typ == "deal.truncate" {
						t.Errorf("%s of account %q (accounted %v) reaches account %q", typ, account, accounted, s.Account)
					}
				}
				if typ == "deal.won" && accounted && account != "" && len(got) != 3 {
					t.Errorf("deal.won of account %q matches %d, want 3", account, len(got))
				}
			}
		}
	}
}

func TestMatchAppendsAndDoesNotAllocate(t *testing.T) {
	x := subscriptions.NewIndex()
	for i := range int64(20) {
		x.Put(&sub{
			Key: 20 - i, ID: fmt.Sprint(i), Version: 1, Account: "7", Events: []string{"*", "deal.*", "deal.won"},
			State: subscriptions.Active,
		})
	}
	x.Put(&sub{Key: 99, ID: "admin", Version: 1, Admin: true, Events: []string{"deal.*"}, ResourceID: "1", State: subscriptions.Active})
	ev := &mapping.Event{
		Type: "deal.won", Resource: "deal", Account: "7", Accounted: true, Instance: "1", Position: cdc.Position{Commit: 1},
	}
	first := &sub{ID: "first"}
	dst := make([]*sub, 0, 128)
	allocs := testing.AllocsPerRun(100, func() {
		dst = x.Match(append(dst[:0], first), ev)
	})
	if allocs != 0 {
		t.Errorf("Match allocates %v times", allocs)
	}
	if len(dst) != 22 || dst[0] != first || dst[1].Key != 1 || dst[21].Key != 99 {
		t.Errorf("got %v", ids(dst))
	}
}

func TestApplyFollowsTheStream(t *testing.T) {
	t.Parallel()
	x := subscriptions.NewIndex()
	row := func(version int64, events ...string) *sub {
		return &sub{
			Key: 1, ID: "sub_1", Version: version, Account: "1", Events: events, State: subscriptions.Active,
			TargetURL: "https://example.com/newest",
		}
	}
	matches := func(typ string) bool {
		return len(x.Match(nil, &mapping.Event{
			Type: typ, Resource: "deal", Account: "1", Accounted: true, Position: cdc.Position{Commit: 1},
		})) == 1
	}
	newest := row(3, "deal.delete")
	first := subscriptions.Announce(row(1, "deal.create"), "store")
	if !x.Behind(first) {
		t.Fatal("an unknown subscription is not wanted")
	}
	x.Apply(first, newest)
	if !matches("deal.create") || matches("deal.delete") || x.Get("sub_1").Version != 1 {
		t.Error("the row is matched before its position")
	}
	if x.Get("sub_1").TargetURL != newest.TargetURL || newest.Version != 3 {
		t.Error("what it is sent with is not the row's, or the row was changed")
	}
	x.Apply(subscriptions.Announce(newest, "store"), newest)
	if matches("deal.create") || !matches("deal.delete") {
		t.Error("the newest version is not matched at its position")
	}
	if x.Behind(first) {
		t.Error("an announcement that comes again is wanted")
	}
	x.Apply(first, newest)
	if !matches("deal.delete") {
		t.Error("an announcement that comes again takes the subscription back")
	}
	gone := subscriptions.Announcement{Store: "store", ID: "sub_1", Version: 4, Deleted: true}
	if !x.Behind(gone) {
		t.Error("a deletion is not wanted")
	}
	x.Apply(gone, nil)
	if x.Len() != 0 || matches("deal.delete") || x.Behind(gone) {
		t.Error("a deleted subscription is held")
	}
	x.Apply(first, nil) // sent again after the deletion
	if x.Len() != 0 {
		t.Error("a subscription without a row is held")
	}
}

// manySubscriptions are as many as the index is made for: 100,000 of 10,000 accounts.
func manySubscriptions() iter.Seq[*sub] {
	kinds := [][]string{
		{"contact.create"}, {"contact.create", "contact.update"}, {"deal.*"}, {"*"}, {"contact.update", "deal.create", "deal.won"},
	}
	one := func(i int) *sub {
		s := &sub{
			Key: int64(i), ID: fmt.Sprintf("sub_%026d", i), Version: 1, Account: fmt.Sprint(i % 10_000),
			Events: slices.Clone(kinds[i/10_000%len(kinds)]), State: subscriptions.Active,
			TargetURL: secret.String(fmt.Sprintf("https://hooks.example.com/customer/%d", i)),
			Secrets:   []subscriptions.SigningSecret{{Secret: subscriptions.NewSecret()}},
		}
		if i%20 == 0 {
			s.ResourceID = fmt.Sprint(i % 100)
		}
		return s
	}
	return func(yield func(*sub) bool) {
		for i := range 100_000 {
			if !yield(one(i)) {
				return
			}
		}
	}
}

func heap() uint64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestManySubscriptionsAreSmall: what 100,000 of them add to the heap must leave room for as much again within 64 MiB.
func TestManySubscriptionsAreSmall(t *testing.T) {
	before := heap()
	x := subscriptions.NewIndex()
	for s := range manySubscriptions() {
		x.Put(s)
	}
	took := heap() - before
	if took > 32<<20 {
		t.Errorf("100,000 subscriptions take %d KiB, want 32 MiB at most", took>>10)
	}
	if size := uint64(x.Size()); size < took || size > 2*took {
		t.Errorf("Size() = %d KiB of %d KiB", size>>10, took>>10)
	}
	runtime.KeepAlive(x)
}

func BenchmarkMatch(b *testing.B) {
	before := heap()
	x := subscriptions.NewIndex()
	for s := range manySubscriptions() {
		x.Put(s)
	}
	size := heap() - before
	events := make([]*mapping.Event, 4096)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range events {
		resource := pick(rng, []string{"contact", "deal"})
		events[i] = &mapping.Event{
			Type: resource + "." + pick(rng, []string{"create", "update", "won"}), Resource: resource,
			Account: fmt.Sprint(rng.IntN(10_000)), Accounted: true, Instance: fmt.Sprint(rng.IntN(100)),
			Position: cdc.Position{Commit: 1},
		}
	}
	dst := make([]*sub, 0, 64)
	matched, i := 0, 0
	b.ReportAllocs()
	for b.Loop() {
		dst = x.Match(dst[:0], events[i%len(events)])
		matched += len(dst)
		i++
	}
	b.ReportMetric(float64(matched)/float64(i), "matches/op")
	b.ReportMetric(float64(size)/float64(x.Len()), "B/subscription")
}
