package hooktest

import (
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// tolerance is how far the timestamp of a request may be from its arrival, as in the reference libraries.
const tolerance = 5 * time.Minute

// Verify checks the signature of Standard Webhooks, and its timestamp against the time of arrival, so that it may be
// called late. A secret (whsec_…) checks v1 with the reference library; a public key (whpk_…) checks v1a, which that
// library does not know.
func (r Request) Verify(secret string) error {
	if strings.TrimPrefix(secret, "whsec_") == "" {
		return errors.New("verify: the secret is empty")
	}
	var err error
	if public, ok := strings.CutPrefix(secret, "whpk_"); ok {
		err = r.verifyAsymmetric(public)
	} else {
		err = r.verifySymmetric(secret)
	}
	if err != nil {
		return fmt.Errorf("verify request %d: %w", r.Number, err)
	}
	return nil
}

func (r Request) verifySymmetric(secret string) error {
	webhook, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return err
	}
	if err := webhook.VerifyIgnoringTimestamp(r.Body, r.Header); err != nil {
		return err
	}
	return r.verifyTimestamp()
}

func (r Request) verifyAsymmetric(public string) error {
	key, err := base64.StdEncoding.DecodeString(public)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return errors.New("the public key is not base64 of 32 bytes")
	}
	id, timestamp := r.Header.Get("webhook-id"), r.Header.Get("webhook-timestamp")
	signatures := r.Header.Get("webhook-signature")
	if id == "" || timestamp == "" || signatures == "" {
		return standardwebhooks.ErrRequiredHeaders
	}
	signed := append([]byte(id+"."+timestamp+"."), r.Body...)
	for _, signature := range strings.Fields(signatures) {
		encoded, ok := strings.CutPrefix(signature, "v1a,")
		if !ok {
			continue
		}
		if raw, err := base64.StdEncoding.DecodeString(encoded); err == nil && ed25519.Verify(key, signed, raw) {
			return r.verifyTimestamp()
		}
	}
	return standardwebhooks.ErrNoMatchingSignature
}

func (r Request) verifyTimestamp() error {
	switch age := r.At.Sub(r.Timestamp); {
	case r.Timestamp.IsZero():
		return standardwebhooks.ErrInvalidHeaders
	case age > tolerance:
		return standardwebhooks.ErrMessageTooOld
	case age < -tolerance:
		return standardwebhooks.ErrMessageTooNew
	}
	return nil
}
