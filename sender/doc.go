// Package sender delivers events to the targets of subscriptions: it signs, sends, judges the answer, and decides when
// to try again.
//
// What it promises:
//
//   - Order: the events of one ordering key (a subscription and an instance) are sent one after another, in the order
//     in which they were submitted; one that is being retried holds back the later ones of its key, and nothing else.
//   - Durability: the receipt of a delivery is settled when the Store has written what became of it: delivered, failed,
//     or due at a later time. A delivery that waits for longer than Config.Hold is written as due.
//   - Duplicates: a delivery is sent again when its answer was not seen, or was not written before the process died;
//     always with the same webhook-id. After a crash older events of a key may be repeated, and the newest comes last.
//   - Isolation: slots are counted per subscription; a slow or dead target takes no other's.
//   - Bounds: the bodies under way are charged to a budget; deliveries that are due later cost no memory.
//
// See DESIGN.md for the states of ordering keys.
package sender
