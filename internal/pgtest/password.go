package pgtest

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
)

// newPassword is random and needs no quoting in a shell or a URL.
func newPassword() string {
	raw := make([]byte, 12)
	_, _ = rand.Read(raw) // never fails: crypto/rand
	return hex.EncodeToString(raw)
}

// rounds is how often a login hashes the password. Postgres would have 4096, to make guessing dear; nobody guesses a password of 96 random
// bits, and under the race detector those hashes were a quarter of all that the tests computed: they log in thousands of times.
const rounds = 1

// verifierOf is what Postgres keeps of a password for SCRAM-SHA-256 (RFC 5803). It takes it in place of the password.
func verifierOf(password string) (string, error) {
	salt := make([]byte, 16)
	_, _ = rand.Read(salt) // never fails: crypto/rand
	salted, err := pbkdf2.Key(sha256.New, password, salt, rounds, sha256.Size)
	if err != nil {
		return "", err
	}
	key := func(name string) []byte {
		mac := hmac.New(sha256.New, salted)
		mac.Write([]byte(name))
		return mac.Sum(nil)
	}
	stored := sha256.Sum256(key("Client Key"))
	text := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", rounds, text(salt), text(stored[:]), text(key("Server Key"))), nil
}
