// Package sample makes events to look at: of the newest rows of a resource, as they are now, or of the schema of what would be
// sent. It reads the source beside the stream, and touches neither the slot nor anything that is stored.
package sample
