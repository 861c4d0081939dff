package client

import (
	"fmt"
	"strings"
)

// Error is an answer other than 2xx.
type Error struct {
	Status int
	Title  string
	Detail string
	// Fields names each field that is wrong; often empty.
	Fields []FieldError
	// ID finds the log line of an internal error.
	ID string
	// Oldest is, of a cursor that is too old, where to go on from.
	Oldest string
}

// Error tells everything that the answer did, a line for each field.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "rowhook answered %d", e.Status)
	if e.Title != "" {
		b.WriteString(" " + e.Title)
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.ID != "" {
		b.WriteString(" (" + e.ID + ")")
	}
	for _, f := range e.Fields {
		b.WriteString("\n  ")
		if f.Field != "" {
			b.WriteString(f.Field + ": ")
		}
		b.WriteString(f.Detail)
	}
	return b.String()
}
