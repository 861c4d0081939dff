// Package layout holds the test of the repository's layout: which package may import which.
package layout
