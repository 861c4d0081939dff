package sender

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"hash"
	"strconv"
	"strings"
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

// secretPrefix begins every symmetric secret; what follows is the key in base64.
const secretPrefix = "whsec_"

// newSigner decodes the secrets. An error names none of them.
func newSigner(secrets []subscriptions.SigningSecret) (*signer, error) {
	s := &signer{}
	for i, x := range secrets {
		key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(x.Secret.Reveal(), secretPrefix))
		if err != nil || len(key) == 0 {
			return nil, fmt.Errorf("signing secret %d of %d is not whsec_ and base64", i+1, len(secrets))
		}
		s.keys = append(s.keys, signingKey{until: x.Until, macs: &sync.Pool{New: func() any { return hmac.New(sha256.New, key) }}})
	}
	return s, nil
}

// sign appends the signatures of all secrets that are valid at the time, newest first.
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
