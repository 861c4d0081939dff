// Package mapping turns row changes into named events whose data has the shape of the application's own API.
//
// It owns what the config's resources mean: templates, expressions, how each Postgres type is written as JSON, the
// identity and the order of the events that a change makes. It knows no clock, no network and no database, so the same
// change under the same config gives the same bytes.
//
// Parse checks what can be checked without a database, Compile checks the rest against the real columns; both tell all
// mistakes at once. A Mapper then never fails: a change that cannot be mapped becomes a DeadLetter, and other resources
// go on. Events come in the order of the changes, none is left out, and one change made twice gives the same ids.
package mapping
