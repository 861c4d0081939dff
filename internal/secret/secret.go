// Package secret holds values that must never be seen: passwords, tokens, signing secrets, connection strings.
package secret

import "log/slog"

// Stars is what a secret prints, whatever its length.
const Stars = "********"

// String is a secret text. Every way of printing it (fmt, JSON, YAML, slog) shows Stars; only Reveal gives the text.
type String string

// Reveal returns the secret itself. Call it only where the value leaves the process for its purpose.
func (s String) Reveal() string { return string(s) }

// String shows Stars, or nothing when the secret is empty.
func (s String) String() string {
	if s == "" {
		return ""
	}
	return Stars
}

// GoString keeps %#v from showing the secret.
func (s String) GoString() string { return s.String() }

// MarshalText keeps encoding/json and every other text encoder from showing the secret.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// LogValue keeps log/slog from showing the secret.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }
