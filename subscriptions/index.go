package subscriptions

import (
	"cmp"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/mapping"
)

// Index finds the subscriptions that want an event. It belongs to one goroutine, the batch handler. It holds the
// subscriptions that it is given and relies on their never being changed.
type Index struct {
	byID     map[string]*Subscription
	accounts names
	events   names
	// resources holds the resources of patterns such as deal.*.
	resources names
	// lists hold the active subscriptions of each place in the order of their keys; pinned those with a ResourceID.
	lists  map[place][]*Subscription
	pinned map[pinnedPlace][]*Subscription
}

// place is an account and a pattern. Both are numbers to keep the map small: it has an entry for each pair.
type place struct{ account, pattern uint32 }

type pinnedPlace struct {
	place
	instance string
}

// noAccount is the account of places of admin subscriptions. Numbers of names begin with 1.
const noAccount uint32 = 0

// everything is the pattern *. Events have even numbers from 2, resources odd ones from 3.
const everything uint32 = 0

// NewIndex returns an empty index.
func NewIndex() *Index {
	return &Index{
		byID:   map[string]*Subscription{},
		lists:  map[place][]*Subscription{},
		pinned: map[pinnedPlace][]*Subscription{},
	}
}

// Load makes the index hold these subscriptions, and no others.
func (x *Index) Load(all []*Subscription) {
	*x = Index{
		byID:   make(map[string]*Subscription, len(all)),
		lists:  make(map[place][]*Subscription, len(all)),
		pinned: map[pinnedPlace][]*Subscription{},
	}
	for _, s := range all {
		x.Put(s)
	}
}

// Put adds the subscription, or replaces an older version of it. An equal or lower version than the one held is ignored,
// so that what comes twice, or late, does no harm. The index keeps s, which must not be changed any more.
func (x *Index) Put(s *Subscription) {
	old := x.byID[s.ID]
	if old != nil {
		if s.Version <= old.Version {
			return
		}
		x.unlist(old)
	}
	x.byID[s.ID] = s
	x.list(s)
}

// Remove forgets the subscription. It may be one that is not held.
func (x *Index) Remove(id string) {
	if old := x.byID[id]; old != nil {
		x.unlist(old)
		delete(x.byID, id)
	}
}

// Get returns the subscription, or nil. It is shared and must not be changed.
func (x *Index) Get(id string) *Subscription { return x.byID[id] }

// Len is the number of subscriptions held, of every state.
func (x *Index) Len() int { return len(x.byID) }

// Behind says whether the announcement tells something that the index does not know yet: then, and unless it is of a
// deletion, the row is needed for Apply.
func (x *Index) Behind(a Announcement) bool {
	held := x.byID[a.ID]
	if a.Deleted {
		return held != nil
	}
	return held == nil || held.Version < a.Version
}

// Apply brings the index to the announcement's position. The row is what the store holds now, perhaps a newer version;
// nil when it holds none any more, and then the index does not either.
func (x *Index) Apply(a Announcement, row *Subscription) {
	switch {
	case a.Deleted || row == nil:
		x.Remove(a.ID)
	case row.Version > a.Version:
		x.Put(row.WithAnnouncement(a))
	default:
		x.Put(row)
	}
}

// Match appends to dst the subscriptions that want the event, each once, in the order of their keys, and returns it. It
// allocates only to grow dst. The subscriptions are shared and must not be changed.
//
// An account's subscriptions get the events of that account only, and never a truncate, which has no instance that
// could belong to anybody. The admin's get every event.
func (x *Index) Match(dst []*Subscription, ev *mapping.Event) []*Subscription {
	start := len(dst)
	patterns := [3]uint32{everything}
	n := 1
	if e, ok := x.events.find(ev.Type); ok {
		patterns[n] = eventPattern(e)
		n++
	}
	if r, ok := x.resources.find(ev.Resource); ok {
		patterns[n] = resourcePattern(r)
		n++
	}
	dst = x.collect(dst, noAccount, patterns[:n], ev)
	if forAccounts(ev) {
		if account, ok := x.accounts.find(ev.Account); ok {
			dst = x.collect(dst, account, patterns[:n], ev)
		}
	}
	found := dst[start:]
	if len(found) > 1 {
		slices.SortFunc(found, byKey)
		// Several patterns of one subscription may match.
		found = slices.Compact(found)
	}
	return dst[:start+len(found)]
}

// collect appends what the account's lists hold for the event.
func (x *Index) collect(dst []*Subscription, account uint32, patterns []uint32, ev *mapping.Event) []*Subscription {
	for _, p := range patterns {
		at := place{account, p}
		dst = appendSince(dst, x.lists[at], ev)
		if len(x.pinned) > 0 && ev.Instance != "" {
			dst = appendSince(dst, x.pinned[pinnedPlace{at, ev.Instance}], ev)
		}
	}
	return dst
}

// appendSince appends the subscriptions that were made before the event's transaction committed.
func appendSince(dst, list []*Subscription, ev *mapping.Event) []*Subscription {
	for _, s := range list {
		if ev.Position.Commit > s.Since {
			dst = append(dst, s)
		}
	}
	return dst
}

// forAccounts says whether the event may reach an account's subscription at all.
func forAccounts(ev *mapping.Event) bool {
	return ev.Accounted && ev.Account != "" && !strings.HasSuffix(ev.Type, ".truncate")
}

// list enters an active subscription at each of its places.
func (x *Index) list(s *Subscription) {
	if !s.listed() {
		return
	}
	account := noAccount
	if !s.Admin {
		account = x.accounts.acquire(s.Account)
	}
	for i, text := range s.Events {
		if slices.Contains(s.Events[:i], text) {
			continue
		}
		at := place{account, x.acquirePattern(text)}
		if s.ResourceID == "" {
			x.lists[at] = insert(x.lists[at], s)
		} else {
			p := pinnedPlace{at, s.ResourceID}
			x.pinned[p] = insert(x.pinned[p], s)
		}
	}
}

// unlist undoes list.
func (x *Index) unlist(s *Subscription) {
	if !s.listed() {
		return
	}
	account := noAccount
	if !s.Admin {
		account, _ = x.accounts.find(s.Account)
		x.accounts.release(s.Account)
	}
	for i, text := range s.Events {
		if slices.Contains(s.Events[:i], text) {
			continue
		}
		at := place{account, x.releasePattern(text)}
		if s.ResourceID == "" {
			shrink(x.lists, at, s)
		} else {
			shrink(x.pinned, pinnedPlace{at, s.ResourceID}, s)
		}
	}
}

// listed says whether the subscription can match anything. One that belongs to nobody must never get what belongs to
// somebody.
func (s *Subscription) listed() bool { return s.State == Active && (s.Admin || s.Account != "") }

func (x *Index) acquirePattern(text string) uint32 {
	if text == "*" {
		return everything
	}
	if resource, ok := strings.CutSuffix(text, ".*"); ok {
		return resourcePattern(x.resources.acquire(resource))
	}
	return eventPattern(x.events.acquire(text))
}

func (x *Index) releasePattern(text string) uint32 {
	if text == "*" {
		return everything
	}
	if resource, ok := strings.CutSuffix(text, ".*"); ok {
		r, _ := x.resources.find(resource)
		x.resources.release(resource)
		return resourcePattern(r)
	}
	e, _ := x.events.find(text)
	x.events.release(text)
	return eventPattern(e)
}

func eventPattern(number uint32) uint32    { return number * 2 }
func resourcePattern(number uint32) uint32 { return number*2 + 1 }

// insert keeps the list in the order of byKey.
func insert(list []*Subscription, s *Subscription) []*Subscription {
	i, _ := slices.BinarySearchFunc(list, s, byKey)
	return slices.Insert(list, i, s)
}

// shrink takes the subscription out of a list, and the list out of the map when it was the last.
func shrink[K comparable](lists map[K][]*Subscription, at K, s *Subscription) {
	list := lists[at]
	i, ok := slices.BinarySearchFunc(list, s, byKey)
	if !ok {
		return
	}
	if len(list) == 1 {
		delete(lists, at)
		return
	}
	lists[at] = slices.Delete(list, i, i+1)
}

// byKey orders subscriptions as they were made.
func byKey(a, b *Subscription) int {
	if c := cmp.Compare(a.Key, b.Key); c != 0 {
		return c
	}
	return strings.Compare(a.ID, b.ID)
}
