// Package chaos breaks things on purpose: it runs rowhook as a process of its own under load, kills, stops and freezes
// it, restarts its Postgres and its store, changes subscriptions meanwhile, and then compares everything that arrived
// with everything that the database committed.
//
// [Run] is one such run. The schedule and the failures of the targets come from a seed, which the report tells; the
// moment at which a signal hits a process cannot be repeated.
//
// A soak breaks nothing: it looks every ten seconds at what rowhook and its store take, and says what of it grows.
//
// [RunHistory] mixes what is sent again: outages, subscriptions that are disabled and enabled, replays and backfills, with kills in their
// middle. It compares less, and more: what each subscriber holds in the end with what the table has.
//
// An upgrade lets two releases take turns, forward and back.
//
// What the database committed is known from a journal, which a trigger writes in the same transactions, in a table that
// is not published. What arrived is known from the receiver: 40 bytes for each event and subscription, no bodies.
package chaos
