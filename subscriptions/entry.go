package subscriptions

import (
	"encoding/binary"
	"time"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/internal/secret"
)

// entry is a subscription as the Index keeps it. Neither it nor what it refers to by number holds a pointer, so that a
// hundred thousand of them cost the collector nothing.
type entry struct {
	key, version int64
	since        cdc.LSN
	// packed are the texts that are the subscription's own.
	packed packed
	// account is the number of its account, noAccount for the admin's; patterns that of its list of patterns; delivery
	// that of its options, 0 for none.
	account, patterns, delivery uint32
	// next is another entry whose ID has the same hash, 0 for none.
	next uint32
	// listed says that it can match, ignores that it does not want events of some sources, leased that it has an end.
	listed, ignores, leased bool
}

// entriesAtOnce is how many entries are made together: a slice of all would be copied as it grows.
const entriesAtOnce = 1024

// entries holds entries by number, from 1.
type entries struct {
	chunks [][]entry
	free   []uint32
	last   uint32
}

func (es *entries) at(number uint32) *entry {
	return &es.chunks[number/entriesAtOnce][number%entriesAtOnce]
}

// add returns the number of a new entry.
func (es *entries) add(e entry) uint32 {
	var number uint32
	if last := len(es.free) - 1; last >= 0 {
		number = es.free[last]
		es.free = es.free[:last]
	} else {
		es.last++
		number = es.last
		if int(number/entriesAtOnce) >= len(es.chunks) {
			es.chunks = append(es.chunks, make([]entry, entriesAtOnce))
		}
	}
	*es.at(number) = e
	return number
}

func (es *entries) remove(number uint32) {
	*es.at(number) = entry{}
	es.free = append(es.free, number)
}

// appendPacked appends the texts of a subscription. Its ID comes first.
func appendPacked(dst []byte, s *Subscription) []byte {
	for _, text := range []string{s.ID, s.TargetURL.Reveal(), s.ResourceID, string(s.State), string(s.Before)} {
		dst = binary.AppendUvarint(dst, uint64(len(text)))
		dst = append(dst, text...)
	}
	dst = appendTime(dst, s.ExpiresAt)
	dst = appendTime(dst, s.ResendSince)
	dst = binary.AppendUvarint(dst, uint64(len(s.Secrets)))
	for _, x := range s.Secrets {
		dst = binary.AppendUvarint(dst, uint64(len(x.Secret)))
		dst = append(dst, x.Secret.Reveal()...)
		dst = appendTime(dst, x.Until)
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.IgnoreSources)))
	for _, source := range s.IgnoreSources {
		dst = binary.AppendUvarint(dst, uint64(len(source)))
		dst = append(dst, source...)
	}
	request, err := EncodeRequest(s.Request)
	if err != nil {
		panic(err) // texts always encode
	}
	dst = binary.AppendUvarint(dst, uint64(len(request)))
	return append(append(dst, request...), s.FallbackURL.Reveal()...) // hardly any has one: it takes the rest
}

// appendTime appends a time in microseconds, which is what the store keeps; a zero one is one byte.
func appendTime(dst []byte, t time.Time) []byte {
	var at int64
	if !t.IsZero() {
		at = t.UnixMicro()
	}
	return binary.AppendVarint(dst, at)
}

// unpack sets the texts of s from what appendPacked wrote.
func unpack(s *Subscription, b []byte) {
	// One string for all of them: they live and die together.
	text := string(b)
	at := 0
	number := func() uint64 {
		v, n := binary.Uvarint(b[at:])
		at += n
		return v
	}
	next := func() string {
		n := int(number())
		at += n
		return text[at-n : at]
	}
	moment := func() (t time.Time) {
		v, n := binary.Varint(b[at:])
		if at += n; v != 0 {
			t = time.UnixMicro(v).UTC()
		}
		return t
	}
	s.ID, s.TargetURL, s.ResourceID = next(), secret.String(next()), next()
	s.State, s.Before = State(next()), State(next())
	s.ExpiresAt = moment()
	s.ResendSince = moment()
	if n := number(); n > 0 {
		s.Secrets = make([]SigningSecret, n)
	}
	for i := range s.Secrets {
		s.Secrets[i].Secret, s.Secrets[i].Until = secret.String(next()), moment()
	}
	if n := number(); n > 0 {
		s.IgnoreSources = make([]string, n)
	}
	for i := range s.IgnoreSources {
		s.IgnoreSources[i] = next()
	}
	if request := next(); request != "" {
		var err error
		if s.Request, err = DecodeRequest([]byte(request)); err != nil {
			panic(err) // appendPacked wrote it
		}
	}
	s.FallbackURL = secret.String(text[at:])
}

// packedID and packedResourceID are single texts of what appendPacked wrote.
func packedID(b []byte) []byte {
	first, _ := cutPacked(b)
	return first
}

func packedResourceID(b []byte) []byte {
	_, b = cutPacked(b)
	_, b = cutPacked(b)
	third, _ := cutPacked(b)
	return third
}

// cutPacked returns the first text, and what comes after it.
func cutPacked(b []byte) (text, rest []byte) {
	n, from := binary.Uvarint(b)
	end := from + int(n)
	return b[from:end], b[end:]
}

// packed is a place in an arena.
type packed struct{ chunk, offset, size uint32 }

const (
	// arenaChunk is the size of an arena's chunks. A larger text has one of its own.
	arenaChunk = 64 << 10
	// arenaWaste is how much may lie idle in an arena whatever it holds.
	arenaWaste = 1 << 20
)

// arena keeps bytes without a pointer to each.
type arena struct {
	chunks     [][]byte
	live, dead int
}

func (a *arena) put(b []byte) packed {
	last := len(a.chunks) - 1
	if last < 0 || cap(a.chunks[last])-len(a.chunks[last]) < len(b) {
		a.chunks = append(a.chunks, make([]byte, 0, max(arenaChunk, len(b))))
		last++
	}
	c := a.chunks[last]
	p := packed{chunk: uint32(last), offset: uint32(len(c)), size: uint32(len(b))}
	a.chunks[last] = append(c, b...)
	a.live += len(b)
	return p
}

func (a *arena) get(p packed) []byte {
	return a.chunks[p.chunk][p.offset : p.offset+p.size : p.offset+p.size]
}

func (a *arena) drop(p packed) {
	a.live -= int(p.size)
	a.dead += int(p.size)
}

// wasteful says that it is time to move what is left to a new one.
func (a *arena) wasteful() bool { return a.dead > arenaWaste && a.dead > a.live }
