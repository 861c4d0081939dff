package cdc

import (
	"context"
	"fmt"
	"time"
)

const (
	// checkpointPause is the least time between checkpoints.
	checkpointPause = time.Second
	// leastReach is how far ahead of what is settled acknowledging is allowed at least, in bytes of log, by one checkpoint.
	// So far, or as far as the log grows in a minute, a slot can be moved by somebody else, after a crash of ours, without
	// being found out.
	leastReach = 1 << 20
)

// keeper writes the checkpoint of a session: after settled events, and when the log has grown so much that acknowledging
// needs more reach. Otherwise it writes nothing: what came to nothing costs only the reading of some log again, and a
// write for every position that a keepalive moved would itself move it, for ever.
type keeper struct {
	*Source
	ledger *ledger
	// saved is the checkpoint in the store, seen the batches that it has, last the watermark at the last look.
	saved Checkpoint
	seen  uint64
	last  LSN
	// begun is closed when begin is through.
	begun chan struct{}
}

// begin saves the first checkpoint of the session, before anything is handled: the slot is ours now, and the handler owns
// the store, but the checkpoint was read before that. The process that read the slot until then may have saved a lesser reach
// since, and the database may be on a new timeline.
func (k *keeper) begin(ctx context.Context) error {
	p := k.ledger.progress()
	next := k.saved
	next.Reach = max(p.watermark+leastReach, next.Reach)
	if p.low > next.LSN {
		next.LSN = p.low
	}
	if err := k.checkpoints.SaveCheckpoint(ctx, next); err != nil {
		return fmt.Errorf("save the checkpoint: %w", err)
	}
	k.saved = next
	k.ledger.allow(next.Reach)
	close(k.begun)
	return nil
}

func (k *keeper) loop(ctx context.Context) {
	tick := time.NewTicker(checkpointPause)
	defer tick.Stop()
	select {
	case <-ctx.Done():
	case <-k.begun:
	}
	select {
	case <-k.begun:
	default:
		return // nothing was acknowledged
	}
	for {
		select {
		case <-ctx.Done():
			k.save(ctx, true)
			return
		case <-tick.C:
			k.save(ctx, false)
		}
	}
}

// save writes the checkpoint if that is worth it. The last one says exactly what was acknowledged.
func (k *keeper) save(ctx context.Context, last bool) {
	p := k.ledger.progress()
	// As much as is read in some pauses, so that a busy stream is not held up; in a minute, where nothing of it is ours.
	pauses := LSN(4)
	if p.settled == k.seen {
		pauses = 60
	}
	ahead := max(leastReach, pauses*(p.watermark-k.last))
	k.last = p.watermark
	next := k.saved
	if p.low > next.LSN {
		next.LSN = p.low
		// Where the session began beyond the checkpoint the time is not known, and the one before is still true.
		if !p.lowTime.IsZero() {
			next.SettledAt = p.lowTime
		}
	}
	news := next.LSN > k.saved.LSN && p.settled != k.seen
	switch {
	case last:
		if next.Reach = max(p.told, next.LSN); next.Reach == k.saved.Reach && !news {
			return
		}
	case news || p.watermark+ahead/2 > k.saved.Reach:
		next.Reach = max(p.watermark+ahead, k.saved.Reach)
	default:
		return
	}
	// One try: the next tick is the second one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if err := k.checkpoints.SaveCheckpoint(ctx, next); err != nil {
		k.cfg.Log.Warn("checkpoint not written", "error", cause(err))
		return
	}
	k.saved, k.seen = next, p.settled
	if !last {
		k.ledger.allow(next.Reach)
	}
}
