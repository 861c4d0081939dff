// Package client speaks rowhook's REST API: it makes, lists and changes subscriptions. Its types are what travels on the
// wire. It imports the standard library alone.
package client
