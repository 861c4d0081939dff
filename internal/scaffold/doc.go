// Package scaffold writes a first config for a database that nobody has described yet: what a person would have written who
// knows the schema and not the application. Everything in it is a guess from names and keys, so it says why, and what is
// less than likely, or needs something first, stands there as a proposal behind a #.
//
// It reads the catalog and nothing else, and the same schema gives the same text.
package scaffold
