package subscriptions

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
)

// publicKeyPrefix begins a public key of Standard Webhooks.
const publicKeyPrefix = "whpk_"

// Ed25519 is the private key that signs with the scheme standard_v1a. It is derived from the secret, so that a rotation of
// the secret is one of the key, and nothing more has to be kept.
func (s SigningSecret) Ed25519() (ed25519.PrivateKey, error) {
	key, err := s.Key()
	if err != nil {
		return nil, err
	}
	seed, err := hkdf.Key(sha256.New, key, nil, "rowhook signature v1a", ed25519.SeedSize)
	if err != nil {
		return nil, err
	}
	return ed25519.NewKeyFromSeed(seed), nil
}

// publicKey is the whpk_… text of the key that belongs to Ed25519; empty for a secret that cannot be read.
func (s SigningSecret) publicKey() string {
	private, err := s.Ed25519()
	if err != nil {
		return ""
	}
	return publicKeyPrefix + base64.StdEncoding.EncodeToString(private.Public().(ed25519.PublicKey))
}
