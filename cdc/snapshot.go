package cdc

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// snapshot is what pg_current_snapshot shows: transactions below xmin, and those below xmax that are not in progress,
// are visible.
// https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT
type snapshot struct {
	xmin, xmax uint64
	// inProgress are in ascending order.
	inProgress []uint64
}

// parseSnapshot reads the text form: 10:20:10,14,15.
func parseSnapshot(text string) (snapshot, error) {
	var s snapshot
	parts := strings.Split(text, ":")
	if len(parts) != 3 {
		return s, fmt.Errorf("snapshot %q is not three parts", text)
	}
	var err error
	if s.xmin, err = strconv.ParseUint(parts[0], 10, 64); err != nil {
		return s, fmt.Errorf("snapshot %q: %w", text, err)
	}
	if s.xmax, err = strconv.ParseUint(parts[1], 10, 64); err != nil {
		return s, fmt.Errorf("snapshot %q: %w", text, err)
	}
	if parts[2] == "" {
		return s, nil
	}
	for xid := range strings.SplitSeq(parts[2], ",") {
		x, err := strconv.ParseUint(xid, 10, 64)
		if err != nil {
			return s, fmt.Errorf("snapshot %q: %w", text, err)
		}
		s.inProgress = append(s.inProgress, x)
	}
	return s, nil
}

// shows says whether the effects of a transaction of the stream are visible. The stream tells the lower half of its
// number; the whole one is the nearest to xmax, on either side: a transaction that has written its commit and waits for
// a standby can be beyond it.
func (s snapshot) shows(xid uint32) bool {
	full := s.xmax + uint64(int64(int32(xid-uint32(s.xmax))))
	if full < s.xmin {
		return true
	}
	if full >= s.xmax {
		return false
	}
	_, found := slices.BinarySearch(s.inProgress, full)
	return !found
}

// missing is the first of the transactions that is not visible, or nil.
func (s snapshot) missing(txs []*Tx) *Tx {
	for _, tx := range txs {
		if !s.shows(tx.XID) {
			return tx
		}
	}
	return nil
}
