package sender

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"strconv"
	"sync/atomic"
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
	bytes []byte
	// mac is a ready one with this key, to be reset and used again. Who finds none, because it is in use, makes one.
	mac *atomic.Pointer[mac]
}

// mac is an HMAC and room for what goes in and comes out.
type mac struct {
	hash hash.Hash
	text []byte
	sum  [sha256.Size]byte
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
		s.keys = append(s.keys, signingKey{until: x.Until, bytes: key, mac: &atomic.Pointer[mac]{}})
	}
	return s, nil
}

// sign appends the signatures of all secrets that are valid at the time, newest first; nothing when none is.
func (s *signer) sign(dst []byte, id string, at time.Time, body []byte) []byte {
	first := true
	for _, k := range s.keys {
		if !k.until.IsZero() && at.After(k.until) {
			continue
		}
		if !first {
			dst = append(dst, ' ')
		}
		first = false
		m := k.mac.Swap(nil)
		if m == nil {
			m = &mac{hash: hmac.New(sha256.New, k.bytes)}
		}
		m.text = append(append(m.text[:0], id...), '.')
		m.text = append(strconv.AppendInt(m.text, at.Unix(), 10), '.')
		m.hash.Reset()
		m.hash.Write(m.text)
		m.hash.Write(body)
		dst = append(dst, "v1,"...)
		dst = base64.StdEncoding.AppendEncode(dst, m.hash.Sum(m.sum[:0]))
		k.mac.Store(m)
	}
	return dst
}
