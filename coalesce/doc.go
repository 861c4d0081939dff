// Package coalesce gathers the changes of a block of a transaction to what they come to: one net change of each row,
// from what it was before the block to what it is after it. A row that a block inserts and deletes is nothing.
//
// A block ends with its transaction, or after a number of messages or bytes that the stream alone decides, so a
// transaction that comes again comes to the same. Blocks that go on in the next batch are held as the bytes that came, at
// most cdc.BlockBytes and a row. What is handed out is in the order of the transaction.
//
// It knows tables, keys and images, and nothing of what is mapped.
package coalesce
