// Package subscriptions knows who wants what: it matches events to subscriptions, and turns what a customer writes into
// a subscription or into the list of what is wrong with it.
//
// What it promises:
//
//   - Isolation: no event of one account, and none without an account, ever matches another account's subscription.
//   - Once: an event matches a subscription once, however many of its patterns name the event, and always in the same
//     order.
//   - Place: the Index is what its one goroutine made of it. Changes of subscriptions reach it through the source's
//     stream, at their position, so that every replica matches the same events.
//   - Strictness: bodies come from outside. They meet Rules, which never panics, lists every mistake at once, and never
//     repeats a secret or a URL's credentials.
//
// It has no clock and does no I/O; storing is the Repository's.
package subscriptions
