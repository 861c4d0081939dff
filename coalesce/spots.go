package coalesce

import (
	"bytes"
	"encoding/binary"
	"hash/maphash"

	"github.com/rowhook/rowhook/cdc"
)

// none is the index of nothing.
const none = -1

// spot is a primary key of a table: what was there before the block, and what is there now.
type spot struct {
	hash  uint64
	key   []byte
	table int32
	// was is the change that tells the row that was there before the block, or none.
	was int32
	// now is the change whose new row is there now, or none.
	now int32
	// last is the last change that concerned the key.
	last int32
	// origin is the spot where the row that is there now was before the block; none for one that was inserted in it.
	origin int32
	// arrived says that the row that is there now came there in the block.
	arrived bool
	// left says that its row of before the block is told by the spot where it is now.
	left bool
}

// spots finds spots by their keys.
type spots struct {
	all []spot
	// slots is a hash table of indexes into all, from 1; its length is a power of two.
	slots []int32
	keys  []byte
	seed  maphash.Seed
}

// keyRoom is how many bytes of keys are made room for at once.
const keyRoom = 4 << 10

func (s *spots) reset() {
	if len(s.slots) > 16 && len(s.all) < len(s.slots)/16 {
		// Clearing it would cost more than the block.
		s.slots = nil
	}
	clear(s.slots)
	clear(s.all)
	s.all, s.keys = s.all[:0], s.keys[:0]
}

// find returns the spot of a key, and whether it is new. The key is copied.
func (s *spots) find(table int32, key []byte) (index int32, fresh bool) {
	if len(s.all)*2 >= len(s.slots) {
		s.grow()
	}
	hash := maphash.Bytes(s.seed, key) + uint64(table)*0x9e3779b97f4a7c15
	for at := hash; ; at++ {
		slot := &s.slots[at&uint64(len(s.slots)-1)]
		if *slot == 0 {
			from := len(s.keys)
			if cap(s.keys)-from < len(key) {
				// The keys before keep their own room.
				s.keys, from = make([]byte, 0, max(keyRoom, len(key))), 0
			}
			s.keys = append(s.keys, key...)
			s.all = append(room(s.all), spot{hash: hash, key: s.keys[from:len(s.keys):len(s.keys)], table: table, was: none, now: none, last: none, origin: none})
			*slot = int32(len(s.all))
			return *slot - 1, true
		}
		if e := &s.all[*slot-1]; e.hash == hash && e.table == table && bytes.Equal(e.key, key) {
			return *slot - 1, false
		}
	}
}

func (s *spots) grow() {
	if s.slots == nil {
		s.seed = maphash.MakeSeed()
	}
	s.slots = make([]int32, max(16, 2*len(s.slots)))
	for i := range s.all {
		for at := s.all[i].hash; ; at++ {
			if slot := &s.slots[at&uint64(len(s.slots)-1)]; *slot == 0 {
				*slot = int32(i + 1)
				break
			}
		}
	}
}

// appendKey appends the primary key of a row, each of whose values is taken from the first image that has it. It is false
// where one is not known.
func appendKey(dst []byte, key []int, row, otherwise cdc.Row) ([]byte, bool) {
	for _, i := range key {
		v := cdc.Value{}
		if i < len(row) {
			v = row[i]
		}
		if v.Kind != cdc.Text && i < len(otherwise) {
			v = otherwise[i]
		}
		if v.Kind != cdc.Text {
			return dst, false
		}
		dst = binary.AppendUvarint(dst, uint64(len(v.Data)))
		dst = append(dst, v.Data...)
	}
	return dst, len(key) > 0
}
