// Package cdc reads committed row changes from Postgres' logical replication and acknowledges them.
//
// It owns the replication connection, the publication and the slot, the decoding of pgoutput, the numbering of changes
// within their transaction, and the acknowledged position. What it promises to its handler:
//
//   - Order: batches come in commit order, changes within a transaction in the order in which they were made.
//   - Committed only: nothing of a transaction or savepoint that was rolled back is seen (pgoutput protocol 1 sends a
//     transaction when it has committed).
//   - No loss: a position is acknowledged when the receipts of everything before it are settled, never earlier.
//   - Duplicates: after a new connection (Batch.Session) transactions may come again, whole, with the same numbering.
//
// See DESIGN.md for the acknowledgement protocol.
package cdc
