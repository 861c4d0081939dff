// Package listen is what `rowhook listen` does: it follows the feed of a running rowhook, which needs no way in from outside, makes of
// each event the request that a target would get, checks and shows it, and sends it on; or it is itself the target, and fails on
// purpose.
package listen
