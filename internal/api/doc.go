// Package api serves rowhook's REST API: subscriptions as one more resource, the catalogue of events, health and metrics.
//
// What it promises: another account's object is answered like one that does not exist; nothing secret is in an answer,
// but for a signing secret in the answer to its making; every error is an RFC 9457 problem that names the fields; an
// unexpected error is logged under an id, and only the id is shown.
//
// It owns no goroutine and no listener: see HTTPServer.
package api
