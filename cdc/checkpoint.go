package cdc

import (
	"context"
	"time"
)

// Checkpoint is what is durably done, kept in the store. It belongs to one slot of one database of one cluster.
type Checkpoint struct {
	Slot string
	// SystemID and DatabaseOID identify the database, Timeline its history, Environment what the operator calls it.
	SystemID    string
	DatabaseOID uint32
	Timeline    int32
	Environment string
	// Epoch is part of every position: it grows when the store goes on with another cluster, or an older position.
	Epoch uint32
	// LSN is the end of the last transaction of which, and before which, everything is settled.
	LSN LSN
	// Reach is beyond everything that was ever acknowledged: a slot that stands further was moved by somebody else. Zero
	// when it is not known.
	Reach LSN
	// SettledAt is the time up to which everything committed was settled, by the clock of the server or of this process;
	// zero when it is not known.
	SettledAt time.Time
	// Tables were mapped, and published, when reading began. Missed is what was not sent because the publication lost
	// some of them; nil when there is nothing to tell. Both are saved by SavePublished only.
	Tables []Published
	Missed *Missed
}

// Published is a table of the publication. Entry tells apart its entries there: another one means that it was taken out
// and put back in between. Zero when it is not known, as in a publication of all tables.
type Published struct {
	TableName
	Entry uint32
}

// Missed is a time in which tables were not in the publication: what happened in them then is never sent.
type Missed struct {
	Tables []TableName
	// From is the position at which they were last known to be published, at FromTime.
	From     LSN
	FromTime time.Time
}

// Checkpoints keeps checkpoints. Its methods may be called from any goroutine.
type Checkpoints interface {
	// LoadCheckpoint returns the slot's checkpoint, and whether there is one.
	LoadCheckpoint(ctx context.Context, slot string) (Checkpoint, bool, error)
	// SaveCheckpoint returns when the checkpoint is durable, but for Tables and Missed.
	SaveCheckpoint(ctx context.Context, c Checkpoint) error
	// SavePublished keeps Tables and Missed of a checkpoint that exists.
	SavePublished(ctx context.Context, slot string, tables []Published, missed *Missed) error
	// Horizon is the newest position of which something was recorded; zero when there is none.
	Horizon(ctx context.Context) (Position, error)
}
