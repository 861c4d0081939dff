// Package retention says in which steps what is old is removed. A build with the tag soak has steps of a minute instead of
// a day: make soak shows in half an hour what takes weeks otherwise, by the same code. No release is built with it.
package retention
