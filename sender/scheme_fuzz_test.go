package sender

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/base64"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/rowhook/rowhook/internal/secret"
)

// FuzzSignatures: whatever is signed, each scheme's headers can be sent, are the same for the same, and are others for another body
// or another secret; those with a public verifier pass it.
func FuzzSignatures(f *testing.F) {
	f.Add("evt_1", specBody, "https://example.com/hooks?a=1&a=2", "a=1&b=", true)
	f.Add("", "", "", "", false)
	f.Add("evt_\r\nX: 1", "\x00\xff%zz&=&&a=%0d%0a", "https://example.com/\r\n", "\xff", true)
	f.Fuzz(func(t *testing.T, id, body, url, seed string, form bool) {
		sum := sha512.Sum512([]byte(seed))
		other := sha512.Sum512(append(sum[:], 1))
		now := time.Now()
		in := signable{id: id, timestamp: strconv.FormatInt(now.Unix(), 10), url: url, form: form, content: []byte(body)}
		changed := in
		// A character that is nowhere left out of what is signed, in a form either.
		changed.content = append(slices.Clone(in.content), "&changed=1"...)
		for name, x := range schemes {
			if x.parameter != nil {
				fields := parametersOf(body)
				p := x.parameter(sum[:], fields)
				if p != x.parameter(sum[:], fields) || p == x.parameter(other[:], fields) || p == x.parameter(sum[:], append(slices.Clone(fields), parameter{"changed", "1"})) {
					t.Errorf("%s of %q: %v", name, body, p)
				}
			}
			if x.headers == nil {
				continue
			}
			first, second := [][]byte{sum[:]}, [][]byte{other[:]}
			if name == "standard_v1a" {
				first, second = [][]byte{ed25519.NewKeyFromSeed(sum[:32])}, [][]byte{ed25519.NewKeyFromSeed(other[:32])}
			}
			got := x.headers(first, &in)
			for _, h := range got {
				if strings.ContainsFunc(h.Name+h.Value, func(r rune) bool { return r < ' ' || r > '~' }) {
					t.Errorf("%s: %q", name, h)
				}
			}
			if !slices.Equal(got, x.headers(first, &in)) || slices.Equal(got, x.headers(second, &in)) {
				t.Errorf("%s does not follow the secret", name)
			}
			// Twilio signs the URL of what is no form.
			if slices.Equal(got, x.headers(first, &changed)) && (name != "twilio" || form) {
				t.Errorf("%s does not follow the body %q", name, body)
			}
			if name == "standard_v1a" {
				mac, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(got[0].Value, "v1a,"))
				if err != nil || !ed25519.Verify(ed25519.PrivateKey(first[0]).Public().(ed25519.PublicKey), []byte(id+"."+in.timestamp+"."+body), mac) {
					t.Errorf("%s: %q does not verify (%v)", name, got[0].Value, err)
				}
			}
		}
		if id == "" || len(body) == 0 {
			return // the library takes neither
		}
		key := "whsec_" + base64.StdEncoding.EncodeToString(sum[:32])
		s, err := newSigner(signing(secret.String(key)))
		if err != nil {
			t.Fatal(err)
		}
		w, err := standardwebhooks.NewWebhook(key)
		if err != nil {
			t.Fatal(err)
		}
		h := http.Header{}
		h.Set("webhook-id", id)
		h.Set("webhook-timestamp", in.timestamp)
		h.Set("webhook-signature", string(s.sign(nil, id, now, []byte(body))))
		if err := w.Verify([]byte(body), h); err != nil {
			t.Errorf("standard: %v", err)
		}
		if err := w.Verify(bytes.Clone(changed.content), h); err == nil {
			t.Errorf("standard: another body passes")
		}
	})
}
