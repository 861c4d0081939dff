package cdc

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
)

// PositionSize is the length of a Position's bytes; its text is twice as long.
const PositionSize = 20

// Position is where an event stands in the source's commit order. Positions are comparable and never repeated: the
// epoch grows when the store goes on with another cluster or an older position, the commit LSN orders transactions, the
// ordinal the changes within, the sub-position the events that one change made.
type Position struct {
	Epoch   uint32
	Commit  LSN
	Ordinal uint32
	Sub     uint32
}

// Bytes is the fixed-width form: it sorts as the position does.
func (p Position) Bytes() [PositionSize]byte {
	var b [PositionSize]byte
	binary.BigEndian.PutUint32(b[0:], p.Epoch)
	binary.BigEndian.PutUint64(b[4:], uint64(p.Commit))
	binary.BigEndian.PutUint32(b[12:], p.Ordinal)
	binary.BigEndian.PutUint32(b[16:], p.Sub)
	return b
}

// PositionFromBytes is the reverse of Bytes.
func PositionFromBytes(b []byte) (Position, error) {
	if len(b) != PositionSize {
		return Position{}, fmt.Errorf("position has %d bytes, want %d", len(b), PositionSize)
	}
	return Position{
		Epoch:   binary.BigEndian.Uint32(b[0:]),
		Commit:  LSN(binary.BigEndian.Uint64(b[4:])),
		Ordinal: binary.BigEndian.Uint32(b[12:]),
		Sub:     binary.BigEndian.Uint32(b[16:]),
	}, nil
}

// AppendText appends the 40 hex digits that receivers see. They sort as the position does.
func (p Position) AppendText(dst []byte) []byte {
	b := p.Bytes()
	return hex.AppendEncode(dst, b[:])
}

// String is the text that receivers see.
func (p Position) String() string { return string(p.AppendText(nil)) }

// ParsePosition is the reverse of String.
func ParsePosition(s string) (Position, error) {
	b, err := hex.DecodeString(s)
	if err != nil || len(b) != PositionSize {
		return Position{}, fmt.Errorf("position %q is not %d hex digits", s, 2*PositionSize)
	}
	return PositionFromBytes(b)
}

// Compare is -1 when p is before q, 0 when they are the same, else 1.
func (p Position) Compare(q Position) int {
	a, b := p.Bytes(), q.Bytes()
	return bytes.Compare(a[:], b[:])
}

// IsZero says that the position is not set.
func (p Position) IsZero() bool { return p == Position{} }

// Before is the position just before p: what is not after it is before p. It is zero for the zero position.
func (p Position) Before() Position {
	if p.IsZero() {
		return p
	}
	b := p.Bytes()
	for i := len(b) - 1; ; i-- {
		if b[i]--; b[i] != 0xff {
			break
		}
	}
	q, _ := PositionFromBytes(b[:]) // it has its length
	return q
}
