package subscriptions

import "slices"

// Members are the names that a body may have: those that say what a subscription is to be, and those that are read-only,
// which PUT and PATCH take as GET gave them.
func Members() (writable, fixed []string) { return slices.Clone(members), slices.Clone(readOnly) }
