package verify

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/rowhook/rowhook/internal/secret"
	"github.com/rowhook/rowhook/subscriptions"
)

// Tolerance is how far a receiver's clock may be from the timestamp.
const Tolerance = 5 * time.Minute

// The names of the headers.
const (
	idHeader        = "Webhook-Id"
	timestampHeader = "Webhook-Timestamp"
	signatureHeader = "Webhook-Signature"
)

// request is what is signed, as far as it is known.
type request struct {
	id, timestamp string
	at            time.Time
	body          []byte
	// packed is how many bytes the body had as gzip, 0 where it came as it is.
	packed int
	key    []byte
	// given are the decoded signatures of v1.
	given [][]byte
}

// fits says whether one of the signatures is that of the parts.
func (q *request) fits(key []byte, id, timestamp string, body []byte) bool {
	if key == nil {
		return false
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(id + "." + timestamp + "."))
	mac.Write(body)
	sum := mac.Sum(nil)
	for _, g := range q.given {
		if hmac.Equal(g, sum) {
			return true
		}
	}
	return false
}

// Check looks at each part of a request. at is when it arrived, zero where that is not known: then its age is told and not
// judged. The report holds nothing of the secret.
func Check(c *Capture, key string, at time.Time) *Report {
	r := &Report{}
	q := request{body: c.Body}
	q.key = r.secret(key)
	q.id = r.id(c.Header)
	timely := r.timestamp(c.Header, &q, at)
	r.signatures(c.Header, &q)
	if !r.unpack(&q) {
		return r
	}
	fits := len(q.given) > 0 && q.fits(q.key, q.id, q.timestamp, q.body)
	cut, ended := bytes.CutSuffix(q.body, []byte("\n"))
	switch {
	case fits:
		r.add("body", OK, q.asSigned(len(q.body)), "")
	case ended && q.fits(q.key, q.id, q.timestamp, cut):
		// What an editor, or echo, has put at the end of a file is no reason.
		fits = true
		r.add("body", OK, q.asSigned(len(cut))+"; the line break at the end is not part of it", "")
	default:
		r.explain(c, &q, strings.TrimSpace(key))
	}
	r.Verified = fits && timely
	return r
}

// secret returns the key, nil where there is none.
func (r *Report) secret(text string) []byte {
	const take = "take it from the answer to the POST that made the subscription, or to rotate-secret: it is shown there only"
	trimmed := strings.TrimSpace(text)
	key, err := subscriptions.SigningSecret{Secret: secret.String(trimmed)}.Key()
	switch {
	case trimmed == "":
		r.add("secret", Wrong, "is empty", take)
	case strings.Contains(trimmed, "***"):
		r.add("secret", Wrong, "is what is shown in place of a secret", take)
	case strings.HasPrefix(trimmed, "sub_"), strings.HasPrefix(trimmed, "rht_"), strings.HasPrefix(trimmed, "tok_"):
		r.add("secret", Wrong, "is not a secret: it begins with "+trimmed[:4], take)
	case err != nil:
		r.add("secret", Wrong, err.Error(), take)
	case trimmed != text:
		r.add("secret", OK, fmt.Sprintf("%d bytes; white space around it was left out", len(key)), "leave it out in the receiver too")
	default:
		r.add("secret", OK, fmt.Sprintf("%d bytes", len(key)), "")
	}
	if err != nil {
		return nil
	}
	return key
}

// one is the value of a header that has to be there once.
func (r *Report) one(h http.Header, name string) (string, bool) {
	part := strings.ToLower(name)
	switch values := h.Values(name); {
	case len(values) == 0 || values[0] == "":
		detail := "is missing"
		for have := range h {
			if strings.EqualFold(strings.ReplaceAll(have, "_", "-"), "http-"+name) || strings.EqualFold(strings.ReplaceAll(have, "_", "-"), name) {
				detail += ": there is " + have + ", as CGI and WSGI have it"
				break
			}
		}
		r.add(part, Wrong, detail, "have the receiver, and all that stands before it, hand on the headers webhook-id, webhook-timestamp and webhook-signature")
		return "", false
	case len(values) > 1:
		r.add(part, Wrong, fmt.Sprintf("is there %d times", len(values)), "look for what adds it on the way")
		return "", false
	default:
		return values[0], true
	}
}

func (r *Report) id(h http.Header) string {
	id, ok := r.one(h, idHeader)
	if ok {
		r.add("webhook-id", OK, id, "")
	}
	return id
}

// timestamp is false where the request is too old or too new.
func (r *Report) timestamp(h http.Header, q *request, arrived time.Time) bool {
	const part = "webhook-timestamp"
	text, ok := r.one(h, timestampHeader)
	if !ok {
		return false
	}
	q.timestamp = text
	seconds, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		r.add(part, Wrong, fmt.Sprintf("is %q, not seconds since 1970", text), "look for what changes it on the way")
		return false
	}
	if seconds > 1e11 {
		r.add(part, Wrong, fmt.Sprintf("is %d: too many for seconds", seconds), "it is sent in seconds: look for what makes milliseconds of it")
		return false
	}
	q.at = time.Unix(seconds, 0).UTC()
	detail := q.at.Format(time.RFC3339)
	if arrived.IsZero() {
		r.add(part, OK, detail+": a receiver refuses it more than 5 minutes before or after", "")
		return true
	}
	switch off := arrived.Sub(q.at).Round(time.Second); {
	case off > Tolerance:
		r.add(part, Wrong, fmt.Sprintf("%s, %s before it arrived", detail, off), "look at the clock of the receiver, and at what holds requests up on the way: more than 5 minutes are refused")
		return false
	case off < -Tolerance:
		r.add(part, Wrong, fmt.Sprintf("%s, %s after it arrived", detail, -off), "look at the clock of the receiver: more than 5 minutes are refused")
		return false
	default:
		r.add(part, OK, detail, "")
		return true
	}
}

func (r *Report) signatures(h http.Header, q *request) {
	const part = "webhook-signature"
	text, ok := r.one(h, signatureHeader)
	if !ok {
		return
	}
	bad := 0
	var others []string
	for _, s := range strings.Fields(text) {
		version, encoded, ok := strings.Cut(s, ",")
		if !ok || version != "v1" {
			others = append(others, version)
			continue
		}
		raw, err := base64.StdEncoding.DecodeString(encoded)
		if err != nil || len(raw) != sha256.Size {
			bad++
			continue
		}
		q.given = append(q.given, raw)
	}
	switch {
	case len(q.given) > 0:
		r.add(part, OK, strconv.Itoa(len(q.given))+" of v1", "")
	case bad > 0:
		r.add(part, Wrong, "v1 is not followed by base64 of 32 bytes", "it was cut, or its + became spaces: look for what changes it on the way")
	case len(others) > 0 && len(others[0]) <= 8:
		r.add(part, Wrong, fmt.Sprintf("has no v1, only %q", others[0]), "a secret checks v1 only")
	default:
		r.add(part, Wrong, "is not like v1,<base64>", "look for what changes it on the way")
	}
}
