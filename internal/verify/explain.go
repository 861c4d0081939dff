package verify

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// searched is how far from the timestamp another one is looked for.
const searched = 24 * time.Hour

// explain says what is wrong with a request whose signature does not fit. What it names as changed fits without the change: it
// never guesses.
func (r *Report) explain(c *Capture, q *request, text string) {
	const raw = "take the bytes of the body before anything parses or converts them"
	length := r.length(c)
	if q.key == nil || len(q.given) == 0 || q.id == "" || q.timestamp == "" {
		if length != "" {
			r.add("body", Wrong, length, raw)
		} else {
			r.add("body", Unknown, fmt.Sprintf("%d bytes; it cannot be checked without the rest", len(q.body)), "")
		}
		return
	}
	for _, v := range variants(q.body) {
		if q.fits(q.key, q.id, q.timestamp, v.body) {
			r.add("body", Wrong, "was changed: it fits "+v.how, raw)
			return
		}
	}
	if length != "" {
		r.add("body", Wrong, length, raw)
		return
	}
	if q.at.IsZero() || !r.elsewhere(q, text) {
		if len(q.body) == 0 {
			r.add("body", Unknown, "0 bytes, which is not what was signed with this secret",
				"give the raw body, of a GET the query in its place, which is all that is after the question mark; and see whether the secret is that of this subscription")
			return
		}
		r.add("body", Unknown, fmt.Sprintf("%d bytes; neither these nor what is usually done to them, with this id and any time within %.0f hours, is signed with this secret", len(q.body), searched.Hours()),
			"see whether the secret is that of this subscription (rotate-secret gives a new one), and whether the body is the raw one: a single changed byte is enough")
	}
}

// length says how the body's length is not the one that was sent, empty where it is or nobody knows.
func (r *Report) length(c *Capture) string {
	if strings.EqualFold(c.Header.Get("Content-Encoding"), "gzip") && !bytes.HasPrefix(c.Body, gzipMagic) {
		return "" // it was decompressed on the way
	}
	if n, err := strconv.Atoi(c.Header.Get("Content-Length")); err == nil && n != len(c.Body) {
		return fmt.Sprintf("has %d bytes, and content-length says %d", len(c.Body), n)
	}
	return ""
}

// elsewhere looks for the change outside the body.
func (r *Report) elsewhere(q *request, text string) bool {
	if _, encoded, ok := strings.Cut(text, "_"); ok {
		for how, key := range map[string]string{"the text of the secret": text, "the secret's text after whsec_": encoded} {
			if q.fits([]byte(key), q.id, q.timestamp, q.body) {
				r.replace("secret", Wrong, "it is signed with "+how+" as the key", "the key is what the base64 stands for: decode what follows whsec_")
				r.add("body", OK, q.asSigned(len(q.body)), "")
				return true
			}
		}
	}
	for _, id := range []string{strings.ToLower(q.id), strings.TrimPrefix(q.id, "evt_"), "evt_" + q.id} {
		if id != q.id && q.fits(q.key, id, q.timestamp, q.body) {
			r.replace("webhook-id", Wrong, fmt.Sprintf("was changed: %q is signed", id), "look for what changes it on the way")
			r.add("body", OK, q.asSigned(len(q.body)), "")
			return true
		}
	}
	for away := int64(1); away <= int64(searched/time.Second); away++ {
		for _, off := range []int64{away, -away} {
			if at := strconv.FormatInt(q.at.Unix()+off, 10); q.fits(q.key, q.id, at, q.body) {
				r.replace("webhook-timestamp", Wrong, "was changed: "+at+" is signed", "it is that of another attempt, or was written anew on the way")
				r.add("body", OK, q.asSigned(len(q.body)), "")
				return true
			}
		}
	}
	return false
}

func (r *Report) replace(part string, state State, detail, next string) {
	for i := range r.Findings {
		if r.Findings[i].Part == part {
			r.Findings[i] = Finding{part, state, detail, next}
		}
	}
}

// variant is a body as it may have been before something was done to it.
type variant struct {
	how  string
	body []byte
}

// variants undoes what is usually done to a body on its way: by editors, frameworks, and converters.
func variants(body []byte) []variant {
	var all []variant
	add := func(how string, b []byte) {
		if !bytes.Equal(b, body) {
			all = append(all, variant{how, b})
		}
	}
	add("without the white space around it", bytes.TrimSpace(body))
	add("without the byte order mark", bytes.TrimPrefix(body, []byte("\xef\xbb\xbf")))
	add("with LF in place of CR LF", bytes.ReplaceAll(body, []byte("\r\n"), []byte("\n")))
	if b, ok := fromLatin1(body); ok {
		add("read as UTF-8: it was taken for Latin-1", b)
	}
	if len(body) > 1 && body[0] == '"' {
		var inner string
		if json.Unmarshal(body, &inner) == nil {
			add("without being written as a JSON string once more", []byte(inner))
		}
	}
	var compact bytes.Buffer
	if json.Compact(&compact, body) == nil {
		b := compact.Bytes()
		add("without white space between its members: it was parsed and written again", b)
		add("with its characters in place of escapes: it was parsed and written again", unescaped(b))
	}
	return all
}

// fromLatin1 undoes that UTF-8 was taken for Latin-1 and written as UTF-8.
func fromLatin1(body []byte) ([]byte, bool) {
	out := make([]byte, 0, len(body))
	for _, c := range string(body) {
		if c > 0xff {
			return nil, false
		}
		out = append(out, byte(c))
	}
	return out, utf8.Valid(out)
}

// unescaped has the characters outside ASCII, slashes, and what HTML has a meaning for, as they are: JSON may have any of them escaped.
func unescaped(body []byte) []byte {
	out := make([]byte, 0, len(body))
	for i := 0; i < len(body); {
		switch {
		case body[i] != '\\' || i+1 == len(body):
			out = append(out, body[i])
			i++
		case body[i+1] == '/':
			out = append(out, '/')
			i += 2
		case body[i+1] == 'u':
			var text string
			n := 6
			if i+12 <= len(body) && body[i+6] == '\\' && body[i+7] == 'u' && (body[i+2]|0x20) == 'd' {
				n = 12 // perhaps a pair of surrogates
			}
			quoted := append(append([]byte{'"'}, body[i:min(i+n, len(body))]...), '"')
			if json.Unmarshal(quoted, &text) != nil || strings.ContainsAny(text, `"\`) || text < " " {
				out = append(out, body[i:min(i+6, len(body))]...)
				i += 6
				break
			}
			out = append(out, text...)
			i += n
		default:
			out = append(out, body[i], body[i+1])
			i += 2
		}
	}
	return out
}
