// Package app wires the stages together: it starts and stops them in order, hands batches from one to the next, and
// tells how they are. It is the whole process but for flags, signals and printing.
package app
