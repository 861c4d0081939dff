package cdc

import "context"

// Checkpoint is what is durably done, kept in the store. It belongs to one slot of one database of one cluster.
type Checkpoint struct {
	Slot string
	// SystemID is the cluster's, DatabaseOID the database's.
	SystemID    string
	DatabaseOID uint32
	Timeline    int32
	Environment string
	// Epoch is the first part of positions.
	Epoch uint32
	// LSN is a position before which everything is settled.
	LSN LSN
}

// Checkpoints keeps checkpoints. Its methods are not called at the same time.
type Checkpoints interface {
	// LoadCheckpoint returns the slot's checkpoint, and whether there is one.
	LoadCheckpoint(ctx context.Context, slot string) (Checkpoint, bool, error)
	// SaveCheckpoint returns when the checkpoint is durable.
	SaveCheckpoint(ctx context.Context, c Checkpoint) error
}
