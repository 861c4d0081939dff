// Package store keeps what must survive: subscriptions, events, deliveries, dead letters and the checkpoint, in a schema
// of a Postgres database. It holds all of rowhook's SQL but that which reads the source's catalog.
//
// What it promises: a call that returns nil is durable; Write is all or nothing, may be repeated, and is refused to a
// process that another one has followed; events and finished deliveries live in partitions by day of commit, which are
// dropped whole, and never while something that is due needs them.
//
// See DESIGN.md for the tables.
package store
