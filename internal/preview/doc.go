// Package preview makes the events of rows as they are now, as the stream would bring them, and says what would keep them from being sent. It
// only reads: by a connection of its own, in transactions that write nothing.
package preview
