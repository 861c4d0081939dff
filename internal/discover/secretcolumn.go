package discover

import (
	"slices"
	"strings"
)

// LooksSecret says whether a column is likely to hold what nobody should be sent. It goes by the name alone, and rather
// leaves out one too many: a config of one's own names the columns.
func LooksSecret(column string) bool {
	name := Snake(column)
	for _, part := range []string{"password", "passwd", "passphrase", "token", "secret", "salt", "credit_card", "creditcard", "card_number", "private_key", "api_key", "apikey",
		"access_key", "encryption_key", "signing_key", "secret_key"} {
		if strings.Contains(name, part) {
			return true
		}
	}
	for _, prefix := range []string{"encrypted_", "otp_"} {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	words := strings.Split(name, "_")
	for _, w := range []string{"pwd", "ssn", "cvv", "cvc", "otp", "totp", "credentials"} {
		if slices.Contains(words, w) {
			return true
		}
	}
	// password_digest and pin_hash, but not file_hash: content is no secret.
	if strings.HasSuffix(name, "_digest") {
		return true
	}
	if owner, ok := strings.CutSuffix(name, "_hash"); ok {
		return slices.ContainsFunc(strings.Split(owner, "_"), func(w string) bool { return w == "pin" || w == "pass" || w == "login" })
	}
	return false
}
