// Package chaos breaks things on purpose: it runs rowhook as a process of its own under load, kills, stops and freezes
// it, restarts its Postgres and its store, changes subscriptions meanwhile, and then compares everything that arrived
// with everything that the database committed.
//
// [Run] is one such run. The schedule and the failures of the targets come from a seed, which the report tells; the
// moment at which a signal hits a process cannot be repeated.
//
// What the database committed is known from a journal, which a trigger writes in the same transactions, in a table that
// is not published. What arrived is known from the receiver: 40 bytes for each event and subscription, no bodies.
package chaos
