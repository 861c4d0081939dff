// Package doccheck holds the tests of what users read and deploy: README.md, docs, the Dockerfile, the compose file, the
// unit, the examples. Every command block is run, every config loaded, every answer compared with a real one; what cannot
// be run here is in a table with its reason.
package doccheck
