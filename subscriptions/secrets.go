package subscriptions

import (
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/rowhook/rowhook/internal/secret"
)

// SecretPrefix begins every signing secret. What follows is base64 of its key.
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
const SecretPrefix = "whsec_"

// The sizes of a key in bytes that Standard Webhooks allows, and the one that is made.
const (
	minSecretBytes  = 24
	maxSecretBytes  = 64
	madeSecretBytes = 32
)

// NewID returns a new subscription's ID: sub_ and 26 random lower-case letters and digits, 130 bits.
func NewID() string { return "sub_" + strings.ToLower(rand.Text()) }

// NewSecret returns a new random signing secret.
func NewSecret() secret.String {
	key := make([]byte, madeSecretBytes)
	rand.Read(key) // never fails
	return secret.String(SecretPrefix + base64.StdEncoding.EncodeToString(key))
}

// Key returns the bytes that sign. The error says what is wrong with the secret, and never shows it.
func (s SigningSecret) Key() ([]byte, error) {
	text, ok := strings.CutPrefix(s.Secret.Reveal(), SecretPrefix)
	if !ok {
		return nil, errors.New(`does not begin with "whsec_": give whsec_ and the base64 of 24 to 64 random bytes`)
	}
	// The decoder skips line breaks, which a header or a copy would not carry.
	key, err := base64.StdEncoding.Strict().DecodeString(text)
	if err != nil || strings.ContainsAny(text, "\r\n") {
		return nil, errors.New(`is not base64 after "whsec_": give the standard alphabet with padding`)
	}
	if len(key) < minSecretBytes || len(key) > maxSecretBytes {
		return nil, errors.New(`does not hold 24 to 64 bytes after "whsec_": make one with 32 random bytes`)
	}
	return key, nil
}

// EncodeSecrets writes the secrets as JSON for the store. Unlike json.Marshal of them it reveals them.
func EncodeSecrets(secrets []SigningSecret) ([]byte, error) {
	type revealed struct {
		Secret string    `json:"secret"`
		Until  time.Time `json:"until,omitzero"`
	}
	out := make([]revealed, len(secrets))
	for i, s := range secrets {
		out[i] = revealed{s.Secret.Reveal(), s.Until}
	}
	return json.Marshal(out)
}

// DecodeSecrets is the reverse of EncodeSecrets.
func DecodeSecrets(b []byte) ([]SigningSecret, error) {
	var secrets []SigningSecret
	if err := json.Unmarshal(b, &secrets); err != nil {
		// The error of encoding/json can quote what it read.
		return nil, errors.New("decode signing secrets: not the JSON that EncodeSecrets writes")
	}
	return secrets, nil
}
