// Package schema is JSON Schema in its draft 2020-12, as far as bodies of events need it, and values that are valid against
// it. It knows nothing of rows.
package schema
