// Package discover reads what a database of somebody else's has, as far as it tells how its tables could be mapped: tables
// with their columns, keys, foreign keys and comments. It guesses what names are good for (a framework's tables, secrets,
// resources), and changes nothing.
package discover
