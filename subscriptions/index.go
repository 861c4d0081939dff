package subscriptions

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"encoding/json"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/mapping"
)

// Index finds the subscriptions that want an event. It belongs to one goroutine, the batch handler.
//
// It holds what is needed to match and to send, packed: the name, description, metadata, times and reason for being
// disabled of a subscription are left out of what it returns. What was returned lately is returned again.
type Index struct {
	entries entries
	texts   arena
	// byID finds the first of the entries whose ID has the hash.
	byID     map[uint64]uint32
	hash     func([]byte) uint64
	accounts names
	events   names
	// resources holds the resources of patterns such as deal.*.
	resources names
	// patterns numbers whole lists of patterns, of which there are few; patternLists has them by their numbers. It is the
	// same with delivery options, written as JSON.
	patterns     names
	patternLists []patternList
	// wide counts the lists that have the pattern for everything.
	wide     int
	delivery names
	options  []DeliveryOptions
	// filters numbers the filters, of which many subscriptions may have one; filtered are the entries that have one, with its
	// number. filterBytes is how long the filters are together.
	filters     names
	filtered    map[uint32]uint32
	filterBytes int
	// places holds the active subscriptions of each place; pinned, by a hash, those with a ResourceID.
	places map[place]list
	pinned map[uint64]list
	lists  lists

	// whole are the subscriptions that were returned last; recent says in which order, from oldest on.
	whole  map[uint32]*Subscription
	recent []uint32
	oldest int

	scratch []byte
	found   []uint32
}

// patternList is a list of patterns as it was written, and its places, each once.
type patternList struct {
	texts   []string
	numbers []uint32
}

// wholeMax is how many subscriptions are held unpacked, so that those that match often are unpacked once. Those that match
// events of one batch are held until its end: else one that many match would be unpacked many times, all of them in use.
const wholeMax = 4096

// NewIndex returns an empty index.
func NewIndex() *Index {
	x := &Index{}
	x.Reset()
	return x
}

// Reset makes the index empty.
func (x *Index) Reset() {
	seed := maphash.MakeSeed()
	*x = Index{
		byID:         map[uint64]uint32{},
		hash:         func(b []byte) uint64 { return maphash.Bytes(seed, b) },
		filtered:     map[uint32]uint32{},
		places:       map[place]list{},
		pinned:       map[uint64]list{},
		whole:        map[uint32]*Subscription{},
		patternLists: make([]patternList, 1),
		options:      make([]DeliveryOptions, 1),
	}
}

// Put adds the subscription, or replaces an older version of it. An equal or lower version than the one held is ignored,
// so that what comes twice, or late, does no harm.
func (x *Index) Put(s *Subscription) {
	if old := x.find(s.ID); old != 0 {
		if s.Version <= x.entries.at(old).version {
			return
		}
		x.remove(old)
	}
	e := entry{
		key: s.Key, version: s.Version, since: s.Since, listed: s.listed(), ignores: len(s.IgnoreSources) > 0, leased: !s.ExpiresAt.IsZero(),
		patterns: x.acquirePatterns(s.Events), delivery: x.acquireDelivery(s.Delivery),
	}
	if !s.Admin {
		e.account, _ = x.accounts.acquire(s.Account)
	}
	x.scratch = appendPacked(x.scratch[:0], s)
	e.packed = x.texts.put(x.scratch)
	h := x.hashOf(s.ID)
	e.next = x.byID[h]
	n := x.entries.add(e)
	x.byID[h] = n
	x.acquireFilter(n, s.Filter)
	if e.listed {
		for _, p := range x.patternLists[e.patterns].numbers {
			at := place{e.account, p}
			if s.ResourceID == "" {
				x.places[at] = x.lists.with(x.places[at], n, x.byKey)
			} else {
				h := x.pinnedHash(at, s.ResourceID)
				x.pinned[h] = x.lists.with(x.pinned[h], n, x.byKey)
			}
		}
	}
}

// Remove forgets the subscription. It may be one that is not held.
func (x *Index) Remove(id string) {
	if n := x.find(id); n != 0 {
		x.remove(n)
	}
}

// Get returns the subscription, or nil. It is shared and must not be changed.
func (x *Index) Get(id string) *Subscription {
	if n := x.find(id); n != 0 {
		x.trim()
		return x.unpacked(n)
	}
	return nil
}

// ByKey returns a function that finds subscriptions by their keys, as long as the index is not changed; it returns nil
// for those that are not held.
func (x *Index) ByKey() func(key int64) *Subscription {
	numbers := make(map[int64]uint32, len(x.byID))
	for _, n := range x.byID {
		for ; n != 0; n = x.entries.at(n).next {
			numbers[x.entries.at(n).key] = n
		}
	}
	return func(key int64) *Subscription {
		if n := numbers[key]; n != 0 {
			x.trim()
			return x.unpacked(n)
		}
		return nil
	}
}

// Len is the number of subscriptions held, of every state.
func (x *Index) Len() int { return int(x.entries.last) - len(x.entries.free) }

// Size is about how much memory the index takes, in bytes.
func (x *Index) Size() int64 {
	const (
		// A map needs twice of what it holds at the worst.
		perEntry, perID, perPlace, perName, perWhole = 64, 32, 36, 128, 640
	)
	return int64(len(x.entries.chunks)*entriesAtOnce*perEntry + x.texts.live + x.texts.dead + len(x.byID)*perID +
		(len(x.places)+len(x.pinned))*perPlace + (len(x.accounts.numbers)+len(x.patterns.numbers)+len(x.filters.numbers))*perName + x.filterBytes + len(x.filtered)*perPlace + len(x.whole)*perWhole)
}

// Behind says whether the announcement tells something that the index does not know yet: then, and unless it is of a
// deletion, the row is needed for Apply.
func (x *Index) Behind(a Announcement) bool {
	held := x.find(a.ID)
	if a.Deleted {
		return held != 0
	}
	return held == 0 || x.entries.at(held).version < a.Version
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
// allocates to grow dst, and for subscriptions that have not matched lately; with an empty dst a batch begins. They are
// shared and must not be changed.
// What tells of subscriptions goes to those that name it alone, and not to the one that it tells of: it would not get through, or
// come again and again.
//
// An account's subscriptions get the events of that account only, and never a truncate, which has no instance that
// could belong to anybody. The admin's get every event but those whose audience is the account.
func (x *Index) Match(dst []*Subscription, ev *mapping.Event) []*Subscription {
	if len(dst) == 0 {
		x.trim()
	}
	x.found = x.found[:0]
	patterns := [3]uint32{everything}
	n := 1
	if ev.Resource == mapping.SubscriptionResource {
		n = 0 // who wants everything wants what the database has
	}
	if e, ok := x.events.find(ev.Type); ok {
		patterns[n] = eventPattern(e)
		n++
	}
	if r, ok := x.resources.find(ev.Resource); ok {
		patterns[n] = resourcePattern(r)
		n++
	}
	if ev.Audience != mapping.ToAccount {
		x.collect(noAccount, patterns[:n], ev)
	}
	if forAccounts(ev) {
		if account, ok := x.accounts.find(ev.Account); ok {
			x.collect(account, patterns[:n], ev)
		}
	}
	if len(x.found) > 1 {
		if !slices.IsSortedFunc(x.found, x.byKey) {
			slices.SortFunc(x.found, x.byKey)
		}
		// Several patterns of one subscription may match.
		x.found = slices.Compact(x.found)
	}
	for _, n := range x.found {
		s := x.unpacked(n)
		if ev.Resource == mapping.SubscriptionResource && s.ID == ev.Instance {
			continue
		}
		if ev.Source != "" && x.entries.at(n).ignores && slices.Contains(s.IgnoreSources, ev.Source) {
			continue
		}
		// By the time of the commit, which is in the log, and by no clock of ours: whoever reads it again matches the same.
		if x.entries.at(n).leased && s.LeaseOver(ev.Time) {
			continue
		}
		dst = append(dst, s)
	}
	return dst
}

// Wants says whether there is a subscription, of whatever state and account, that asks for events of the type. It costs
// next to nothing.
func (x *Index) Wants(event, resource string) bool {
	_, named := x.events.find(event)
	_, whole := x.resources.find(resource)
	return named || whole || x.wide > 0
}

// collect finds what the account's lists hold for the event: those that were made before its transaction committed.
func (x *Index) collect(account uint32, patterns []uint32, ev *mapping.Event) {
	var one [1]uint32
	for _, p := range patterns {
		at := place{account, p}
		for _, n := range x.lists.members(x.places[at], &one) {
			if ev.Position.Commit > x.entries.at(n).since {
				x.found = append(x.found, n)
			}
		}
		if len(x.pinned) == 0 || ev.Instance == "" {
			continue
		}
		for _, n := range x.lists.members(x.pinned[x.pinnedHash(at, ev.Instance)], &one) {
			if ev.Position.Commit > x.entries.at(n).since && x.isPinned(n, at, ev.Instance) {
				x.found = append(x.found, n)
			}
		}
	}
}

// isPinned says whether an entry has its place where its hash says it has.
func (x *Index) isPinned(n uint32, at place, instance string) bool {
	e := x.entries.at(n)
	return e.account == at.account && slices.Contains(x.patternLists[e.patterns].numbers, at.pattern) &&
		string(packedResourceID(x.texts.get(e.packed))) == instance
}

// forAccounts says whether the event may reach an account's subscription at all.
func forAccounts(ev *mapping.Event) bool {
	return ev.Audience != mapping.ToAdmin && ev.Accounted && ev.Account != "" && !strings.HasSuffix(ev.Type, ".truncate")
}

// listed says whether the subscription can match anything. One that belongs to nobody must never get what belongs to
// somebody.
func (s *Subscription) listed() bool {
	return (s.State == Active || s.State == Shadow || s.DisabledByRowhook()) && (s.Admin || s.Account != "")
}

// find returns the number of the entry with the ID, or 0.
func (x *Index) find(id string) uint32 {
	for n := x.byID[x.hashOf(id)]; n != 0; n = x.entries.at(n).next {
		if string(x.idOf(n)) == id {
			return n
		}
	}
	return 0
}

func (x *Index) idOf(n uint32) []byte { return packedID(x.texts.get(x.entries.at(n).packed)) }

func (x *Index) hashOf(id string) uint64 {
	x.scratch = append(x.scratch[:0], id...)
	return x.hash(x.scratch)
}

func (x *Index) pinnedHash(at place, instance string) uint64 {
	x.scratch = appendPinned(x.scratch[:0], at, instance)
	return x.hash(x.scratch)
}

// remove undoes Put.
func (x *Index) remove(n uint32) {
	e := *x.entries.at(n)
	text := x.texts.get(e.packed)
	if e.listed {
		instance := string(packedResourceID(text))
		for _, p := range x.patternLists[e.patterns].numbers {
			if at := (place{e.account, p}); instance == "" {
				setOrDelete(x.places, at, x.lists.without(x.places[at], n, x.byKey))
			} else {
				h := x.pinnedHash(at, instance)
				setOrDelete(x.pinned, h, x.lists.without(x.pinned[h], n, x.byKey))
			}
		}
	}
	x.unlink(x.hash(packedID(text)), n)
	if e.account != noAccount {
		x.accounts.release(e.account)
	}
	x.releasePatterns(e.patterns)
	x.releaseDelivery(e.delivery)
	x.releaseFilter(n)
	x.texts.drop(e.packed)
	delete(x.whole, n)
	x.entries.remove(n)
	if x.texts.wasteful() {
		x.compact()
	}
}

func setOrDelete[K comparable](m map[K]list, at K, l list) {
	if l == 0 {
		delete(m, at)
	} else {
		m[at] = l
	}
}

// unlink takes an entry out of those with the hash of its ID.
func (x *Index) unlink(hash uint64, n uint32) {
	next := x.entries.at(n).next
	first := x.byID[hash]
	switch {
	case first != n:
		for x.entries.at(first).next != n {
			first = x.entries.at(first).next
		}
		x.entries.at(first).next = next
	case next == 0:
		delete(x.byID, hash)
	default:
		x.byID[hash] = next
	}
}

// compact moves the texts together.
func (x *Index) compact() {
	var texts arena
	for _, n := range x.byID {
		for ; n != 0; n = x.entries.at(n).next {
			e := x.entries.at(n)
			e.packed = texts.put(x.texts.get(e.packed))
		}
	}
	x.texts = texts
}

// unpacked returns an entry as a subscription.
func (x *Index) unpacked(n uint32) *Subscription {
	if s := x.whole[n]; s != nil {
		return s
	}
	e := x.entries.at(n)
	s := &Subscription{
		Key: e.key, Version: e.version, Since: e.since, Admin: e.account == noAccount, Events: x.patternLists[e.patterns].texts,
		Delivery: x.options[e.delivery],
	}
	if !s.Admin {
		s.Account = x.accounts.text(e.account)
	}
	if filter := x.filtered[n]; filter != 0 {
		s.Filter = x.filters.text(filter)
	}
	unpack(s, x.texts.get(e.packed))
	x.recent = append(x.recent, n)
	x.whole[n] = s
	return s
}

// trim lets go of those that were unpacked first, where there are too many.
func (x *Index) trim() {
	for ; len(x.recent)-x.oldest > wholeMax; x.oldest++ {
		delete(x.whole, x.recent[x.oldest])
	}
	if x.oldest >= wholeMax {
		left := x.recent[x.oldest:]
		if cap(x.recent) > 4*wholeMax {
			x.recent = nil
		}
		x.recent, x.oldest = append(x.recent[:0], left...), 0
	}
}

// acquirePatterns numbers a list of patterns, and each of them when it is new.
func (x *Index) acquirePatterns(texts []string) uint32 {
	var key []byte
	for _, t := range texts {
		key = binary.AppendUvarint(key, uint64(len(t)))
		key = append(key, t...)
	}
	n, first := x.patterns.acquire(string(key))
	if !first {
		return n
	}
	l := patternList{texts: slices.Clone(texts)}
	for i, t := range texts {
		l.texts[i] = strings.Clone(t)
		if !slices.Contains(texts[:i], t) {
			l.numbers = append(l.numbers, x.acquirePattern(t))
		}
	}
	x.patternLists = setAt(x.patternLists, n, l)
	return n
}

// setAt sets what has the number, which is at most the next one.
func setAt[T any](all []T, number uint32, v T) []T {
	if int(number) == len(all) {
		return append(all, v)
	}
	all[number] = v
	return all
}

func (x *Index) releasePatterns(n uint32) {
	if !x.patterns.release(n) {
		return
	}
	for _, p := range x.patternLists[n].numbers {
		switch {
		case p == everything:
			x.wide--
		case p%2 == 0:
			x.events.release(p / 2)
		default:
			x.resources.release(p / 2)
		}
	}
	x.patternLists[n] = patternList{}
}

func (x *Index) acquirePattern(text string) uint32 {
	if text == "*" {
		x.wide++
		return everything
	}
	if resource, ok := strings.CutSuffix(text, ".*"); ok {
		n, _ := x.resources.acquire(resource)
		return resourcePattern(n)
	}
	n, _ := x.events.acquire(text)
	return eventPattern(n)
}

func (x *Index) acquireDelivery(o DeliveryOptions) uint32 {
	if o == (DeliveryOptions{}) {
		return 0
	}
	key, err := json.Marshal(o)
	if err != nil {
		panic(err) // numbers and texts always encode
	}
	n, first := x.delivery.acquire(string(key))
	if first {
		x.options = setAt(x.options, n, o.clone())
	}
	return n
}

func (x *Index) releaseDelivery(n uint32) {
	if n != 0 && x.delivery.release(n) {
		x.options[n] = DeliveryOptions{}
	}
}

// Filtered says whether any subscription has a filter.
func (x *Index) Filtered() bool { return len(x.filtered) > 0 }

func (x *Index) acquireFilter(entry uint32, text string) {
	if text == "" {
		return
	}
	n, first := x.filters.acquire(text)
	if x.filtered[entry] = n; first {
		x.filterBytes += len(text)
	}
}

func (x *Index) releaseFilter(entry uint32) {
	n := x.filtered[entry]
	if n == 0 {
		return
	}
	delete(x.filtered, entry)
	size := len(x.filters.text(n))
	if x.filters.release(n) {
		x.filterBytes -= size
	}
}

// byKey orders entries as their subscriptions were made.
func (x *Index) byKey(a, b uint32) int {
	if a == b {
		return 0
	}
	if c := cmp.Compare(x.entries.at(a).key, x.entries.at(b).key); c != 0 {
		return c
	}
	return bytes.Compare(x.idOf(a), x.idOf(b))
}
