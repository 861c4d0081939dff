package store

import (
	"encoding/json"
	"fmt"

	"github.com/rowhook/rowhook/cdc"
	"github.com/rowhook/rowhook/sender"
)

// The status byte of a finished delivery: the status, why it was dropped, and whether it ended at the fallback.
const (
	statusBits   = 0x0f
	droppedShift = 4
	droppedBits  = 0x07
	fallbackBit  = 0x80
)

func statusByte(r *sender.Record) byte {
	b := byte(r.Status) | byte(r.Dropped)<<droppedShift
	if atFallback(r) {
		b |= fallbackBit
	}
	return b
}

func statusOf(b byte) (status sender.Status, dropped sender.DropReason, fallback bool) {
	return sender.Status(b & statusBits), sender.DropReason(b >> droppedShift & droppedBits), b&fallbackBit != 0
}

// atFallback says whether the attempt that led to the record was made at the fallback.
func atFallback(r *sender.Record) bool { return r.Outcome != nil && r.Outcome.Fallback }

// orNot is null for false.
func orNot(b bool) *bool {
	if !b {
		return nil
	}
	return &b
}

// fallbackColumn is the column of a due row.
type fallbackColumn struct {
	Reason   string `json:"reason"`
	Status   int    `json:"status,omitempty"`
	After    int    `json:"after"`
	Position string `json:"position"`
}

// fallbackOf is null for a delivery that goes to its target.
func fallbackOf(f *sender.Fallback) *string {
	if f == nil {
		return nil
	}
	b, err := json.Marshal(fallbackColumn{Reason: f.Reason, Status: f.Status, After: f.After, Position: f.Position.String()})
	if err != nil {
		panic(err) // texts and numbers always encode
	}
	text := string(b)
	return &text
}

// openFallback is the reverse of fallbackOf.
func openFallback(column []byte) (*sender.Fallback, error) {
	if column == nil {
		return nil, nil
	}
	var c fallbackColumn
	err := json.Unmarshal(column, &c)
	f := &sender.Fallback{Reason: c.Reason, Status: c.Status, After: c.After}
	if err == nil {
		f.Position, err = cdc.ParsePosition(c.Position)
	}
	if err != nil {
		return nil, fmt.Errorf("due.fallback: %w", err)
	}
	return f, nil
}
