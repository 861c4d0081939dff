// Package identity says who calls on the proxy listener: it asks the application with the caller's own credentials, verifies
// a token of the application's issuer, or reads a header that only a named network may set.
//
// What it promises: an identity has an account, always, and never the admin's; what one caller's credentials gave is given to
// nobody else; a credential that the application no longer takes is good for as long as the config's cache at most; nothing of
// rowhook's own (its tokens, app.headers) is sent along; no credential is in an error.
package identity
