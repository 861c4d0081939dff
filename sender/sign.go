package sender

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"sync"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

// signer makes the webhook-signature header of Standard Webhooks 1.0.0, scheme v1:
// https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
type signer struct {
	keys []signingKey
}

type signingKey struct {
	until time.Time
	// macs are ready HMACs with this key, to be reset and used again.
	macs *sync.Pool
}

var errNoSecret = errors.New("the subscription has no valid signing secret")

// newSigner decodes the secrets. An error names none of them.
func newSigner(secrets []subscriptions.SigningSecret) (*signer, error) {
	if len(secrets) == 0 {
		return nil, errNoSecret
	}
	s := &signer{}
	for i, x := range secrets {
		key, err := x.Key()
		if err != nil {
			return nil, fmt.Errorf("signing secret %d of %d %w", i+1, len(secrets), err)
		}
		s.keys = append(s.keys, signingKey{until: x.Until, macs: &sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}})
	}
	return s, nil
}

// sign appends the signatures of all secrets that are valid at the time, newest first; nothing when none is.
func (s *signer) sign(dst []byte, id string, at time.Time, body []byte) []byte {
	var head [128]byte
	text := append(head[:0], id...)
	text = append(text, '.')
	text = strconv.AppendInt(text, at.Unix(), 10)
	text = append(text, '.')
	first := true
	for _, k := range s.keys {
		if !k.until.IsZero() && at.After(k.until) {
			continue
		}
		if !first {
			dst = append(dst, ' ')
		}
		first = false
		mac := k.macs.Get().(hash.Hash)
		mac.Reset()
		mac.Write(text)
		mac.Write(body)
		var sum [sha256.Size]byte
		dst = append(dst, "v1,"...)
		dst = base64.StdEncoding.AppendEncode(dst, mac.Sum(sum[:0]))
		k.macs.Put(mac)
	}
	return dst
}
