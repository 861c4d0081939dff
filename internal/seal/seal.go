// Package seal encrypts what a store keeps and nobody may read in it: signing secrets, credentials.
//
// AES-256 in Galois/Counter Mode with random nonces (NIST SP 800-38D), which allows 2^32 sealed texts with one key.
package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/rowhook/rowhook/internal/secret"
)

// prefix begins every sealed text, with the version of its form. No URL and no JSON begins like it.
const prefix = "sealed.v1."

// keyBytes is the size of a key.
const keyBytes = 32

// ErrNoKey says that a text was sealed with a key that is not there.
var ErrNoKey = errors.New("sealed with a key that is not given")

// ErrBroken says that a text is not what was sealed, or was sealed for another place.
var ErrBroken = errors.New("sealed text that was changed, or belongs elsewhere")

// Keys seal with the first and open with all. A nil Keys seals nothing and opens nothing. It may be used by several
// goroutines at once.
type Keys struct{ keys []key }

type key struct {
	id   string
	aead cipher.AEAD
}

// ParseKey reads a key: 32 bytes in base64, with or without padding, or in hex. The error never shows it.
func ParseKey(text secret.String) ([]byte, error) {
	t := strings.TrimSpace(text.Reveal())
	if b, err := hex.DecodeString(t); err == nil && len(b) == keyBytes {
		return checkKey(b)
	}
	t = strings.TrimRight(t, "=")
	for _, enc := range []*base64.Encoding{base64.RawStdEncoding, base64.RawURLEncoding} {
		if b, err := enc.Strict().DecodeString(t); err == nil && len(b) == keyBytes {
			return checkKey(b)
		}
	}
	return nil, fmt.Errorf("is not %d bytes in base64 or hex", keyBytes)
}

// checkKey refuses what cannot have been drawn at random.
func checkKey(b []byte) ([]byte, error) {
	if len(bytes.TrimLeft(b, string(b[:1]))) == 0 {
		return nil, errors.New("is one byte repeated")
	}
	return b, nil
}

// NewKey returns a new random key, as ParseKey reads it.
func NewKey() secret.String {
	b := make([]byte, keyBytes)
	rand.Read(b) // never fails
	return secret.String(base64.StdEncoding.EncodeToString(b))
}

// New returns the keys, the one that seals first. Without any it returns nil.
func New(texts ...secret.String) (*Keys, error) {
	var k Keys
	for _, text := range texts {
		b, err := ParseKey(text)
		if err != nil {
			return nil, err
		}
		block, err := aes.NewCipher(b)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(append([]byte("rowhook key id\x00"), b...))
		k.keys = append(k.keys, key{id: hex.EncodeToString(sum[:6]), aead: aead})
	}
	if len(k.keys) == 0 {
		return nil, nil
	}
	return &k, nil
}

// Seal encrypts the text for a place: a text that is moved to another place does not open there.
func (k *Keys) Seal(plain, place string) string {
	with := k.keys[0]
	sealed := with.aead.Seal(nil, nil, []byte(plain), []byte(place))
	return prefix + with.id + "." + base64.RawURLEncoding.EncodeToString(sealed)
}

// Open is the reverse of Seal. A text that is not sealed comes back as it is.
func (k *Keys) Open(text, place string) (string, error) {
	id, body, sealed := cut(text)
	if !sealed {
		return text, nil
	}
	if k != nil {
		for _, one := range k.keys {
			if one.id != id {
				continue
			}
			b, err := base64.RawURLEncoding.DecodeString(body)
			if err != nil {
				return "", ErrBroken
			}
			plain, err := one.aead.Open(nil, nil, b, []byte(place))
			if err != nil {
				return "", ErrBroken
			}
			return string(plain), nil
		}
	}
	return "", fmt.Errorf("%w (its id is %s)", ErrNoKey, id)
}

// Prefix begins everything that is sealed with the key that seals; with nil keys, everything that is sealed.
func (k *Keys) Prefix() string {
	if k == nil {
		return prefix
	}
	return prefix + k.keys[0].id + "."
}

// AnyPrefix begins everything that is sealed, with whatever key.
func (k *Keys) AnyPrefix() string { return prefix }

func cut(text string) (id, body string, sealed bool) {
	rest, ok := strings.CutPrefix(text, prefix)
	if !ok {
		return "", "", false
	}
	id, body, ok = strings.Cut(rest, ".")
	return id, body, ok
}
