// Package console serves the console: static files that are part of the program and use nothing but the public REST API.
//
// It knows nothing of ours, and has no state: who may see what, the API decides.
package console
