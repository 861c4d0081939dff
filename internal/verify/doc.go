// Package verify finds out why the signature of a captured request does not fit: which of its parts is wrong, and what was
// probably done to it. It knows signatures of Standard Webhooks 1.0.0, scheme v1:
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
package verify
