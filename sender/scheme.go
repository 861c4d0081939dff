package sender

import (
	"cmp"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"slices"
	"strings"
	"time"

	"github.com/rowhook/rowhook/sender/internal/http1"
	"github.com/rowhook/rowhook/subscriptions"
)

// scheme is a way of signing.
type scheme struct {
	// standard says that webhook-signature with v1 is there, beside what the rest makes.
	standard bool
	// key is what signs with a secret; nil where there is nothing beside.
	key func(subscriptions.SigningSecret) ([]byte, error)
	// several says that what is made has room for a signature of each secret. Where it has not, they take turns: the first
	// attempt has the newest one, the next attempt the one before, so that a receiver that has only one of them gets the
	// event with the first retry at the latest.
	several bool
	// headers are those beside the webhook-… ones.
	headers func(keys [][]byte, m *signable) []http1.Field
	// parameter is a field that is added to the form; its signature is over the fields before it.
	parameter func(key []byte, form []parameter) parameter
}

// signable is a request that is to be signed.
type signable struct {
	id, timestamp string
	// url is as it is sent, without credentials. query says that the content is in it.
	url   string
	query bool
	// form says that the content is a form.
	form bool
	// content is the body, or the query of a GET.
	content []byte
}

// schemes are all of them, by their names. Whose receivers expect the secret's text get it as it was shown: whsec_ and all.
var schemes = map[string]scheme{
	subscriptions.SignatureStandard:  {standard: true},
	subscriptions.SignatureEd25519:   {key: ed25519Key, several: true, headers: ed25519Headers},
	subscriptions.SignatureRESTHooks: {standard: true, key: subscriptions.SigningSecret.Key, headers: hexHeader("X-Hook-Signature", "")},
	subscriptions.SignatureGitHub:    {standard: true, key: textKey, headers: hexHeader("X-Hub-Signature-256", "sha256=")},
	subscriptions.SignatureStripe:    {standard: true, key: textKey, several: true, headers: stripeHeaders},
	subscriptions.SignatureSlack:     {standard: true, key: textKey, headers: slackHeaders},
	subscriptions.SignatureTwilio:    {standard: true, key: textKey, headers: twilioHeaders},
	subscriptions.SignatureVonage:    {standard: true, key: textKey, parameter: vonageParameter},
	subscriptions.SignatureNone:      {},
}

func textKey(s subscriptions.SigningSecret) ([]byte, error) {
	if _, err := s.Key(); err != nil {
		return nil, err
	}
	return []byte(s.Secret.Reveal()), nil
}

func ed25519Key(s subscriptions.SigningSecret) ([]byte, error) { return s.Ed25519() }

func sumOf(algorithm func() hash.Hash, key []byte, parts ...string) []byte {
	h := hmac.New(algorithm, key)
	for _, p := range parts {
		h.Write([]byte(p))
	}
	return h.Sum(nil)
}

// ed25519Headers are those of Standard Webhooks with v1a.
func ed25519Headers(keys [][]byte, m *signable) []http1.Field {
	text := append([]byte(m.id+"."+m.timestamp+"."), m.content...)
	all := make([]string, len(keys))
	for i, key := range keys {
		all[i] = "v1a," + base64.StdEncoding.EncodeToString(ed25519.Sign(key, text))
	}
	return []http1.Field{{Name: "Webhook-Signature", Value: strings.Join(all, " ")}}
}

// hexHeader is a header with the HMAC-SHA256 of the content. With sha256= before it, it is that of
// https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries.
func hexHeader(name, prefix string) func(keys [][]byte, m *signable) []http1.Field {
	return func(keys [][]byte, m *signable) []http1.Field {
		return []http1.Field{{Name: name, Value: prefix + hex.EncodeToString(sumOf(sha256.New, keys[0], string(m.content)))}}
	}
}

// stripeHeaders are those of https://docs.stripe.com/webhooks#verify-manually.
func stripeHeaders(keys [][]byte, m *signable) []http1.Field {
	value := "t=" + m.timestamp
	for _, key := range keys {
		value += ",v1=" + hex.EncodeToString(sumOf(sha256.New, key, m.timestamp, ".", string(m.content)))
	}
	return []http1.Field{{Name: "Stripe-Signature", Value: value}}
}

// slackHeaders are those of https://api.slack.com/authentication/verifying-requests-from-slack.
func slackHeaders(keys [][]byte, m *signable) []http1.Field {
	sum := sumOf(sha256.New, keys[0], "v0:", m.timestamp, ":", string(m.content))
	return []http1.Field{{Name: "X-Slack-Signature", Value: "v0=" + hex.EncodeToString(sum)}, {Name: "X-Slack-Request-Timestamp", Value: m.timestamp}}
}

// twilioHeaders are those of https://www.twilio.com/docs/usage/security#validating-requests. A field that comes several times
// counts with each of its values once, as Twilio's libraries have it. What is no form is in the URL, as bodySHA256.
func twilioHeaders(keys [][]byte, m *signable) []http1.Field {
	text := m.url
	if m.form && !m.query {
		fields := parametersOf(string(m.content))
		slices.SortFunc(fields, func(a, b parameter) int {
			return cmp.Or(cmp.Compare(a.name, b.name), cmp.Compare(a.value, b.value))
		})
		var b strings.Builder
		b.WriteString(text)
		for _, f := range slices.Compact(fields) {
			b.WriteString(f.name)
			b.WriteString(f.value)
		}
		text = b.String()
	}
	return []http1.Field{{Name: "X-Twilio-Signature", Value: base64.StdEncoding.EncodeToString(sumOf(sha1.New, keys[0], text))}}
}

// vonageParameter is sig of https://developer.vonage.com/en/getting-started/concepts/signing-messages, with HMAC-SHA256.
func vonageParameter(key []byte, form []parameter) parameter {
	fields := slices.Clone(form)
	slices.SortStableFunc(fields, func(a, b parameter) int { return cmp.Compare(a.name, b.name) })
	var b strings.Builder
	plain := strings.NewReplacer("&", "_", "=", "_")
	for _, f := range fields {
		b.WriteString("&" + f.name + "=" + plain.Replace(f.value))
	}
	return parameter{"sig", strings.ToUpper(hex.EncodeToString(sumOf(sha256.New, key, b.String())))}
}

// schemeKey is a key, and until when it signs.
type schemeKey struct {
	until time.Time
	bytes []byte
}

// keysOf are the keys of all secrets. An error names none of them.
func (s scheme) keysOf(secrets []subscriptions.SigningSecret) ([]schemeKey, error) {
	if s.key == nil {
		return nil, nil
	}
	if len(secrets) == 0 {
		return nil, errNoSecret
	}
	keys := make([]schemeKey, len(secrets))
	for i, x := range secrets {
		b, err := s.key(x)
		if err != nil {
			return nil, fmt.Errorf("signing secret %d of %d %w", i+1, len(secrets), err)
		}
		keys[i] = schemeKey{x.Until, b}
	}
	return keys, nil
}

// keysAt are those that sign an attempt, the newest first: all, or the one whose turn it is.
func (s scheme) keysAt(keys []schemeKey, at time.Time, number int) ([][]byte, error) {
	var valid [][]byte
	for _, k := range keys {
		if k.until.IsZero() || !at.After(k.until) {
			valid = append(valid, k.bytes)
		}
	}
	switch {
	case len(valid) == 0:
		return nil, errNoSecret
	case s.several:
		return valid, nil
	}
	turn := max(number-1, 0) % len(valid)
	return valid[turn : turn+1], nil
}
