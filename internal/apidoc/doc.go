// Package apidoc describes a REST API as an OpenAPI 3.1 document, and that document as a page for people.
//
// A document is made of a table of operations and of the Go types that the API reads and writes, with the texts and
// examples of their fields: what is not in the code cannot be in it. It knows nothing of what is described.
package apidoc
