//go:build !unix

package http1

// supported is false: an idle connection cannot be looked at, and one that cannot must not be used again.
const supported = false

func heard(uintptr) bool { return true }
