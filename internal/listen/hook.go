package listen

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rowhook/rowhook/internal/verify"
)

// The states of a signature.
const (
	signatureOK        = "ok"
	signatureBad       = "bad"
	signatureNone      = "none"
	signatureUnchecked = "unchecked"
)

// hook is an event as it is shown: a line of JSON, or some of text.
type hook struct {
	ID       string `json:"id"`
	Type     string `json:"type"`
	Instance string `json:"instance,omitempty"`
	Position string `json:"position,omitempty"`
	// Timestamp is that of the commit, AgeMS how long ago it was; they are missing where the body does not tell it.
	Timestamp *time.Time `json:"timestamp,omitempty"`
	AgeMS     *int64     `json:"age_ms,omitempty"`
	Attempt   int        `json:"attempt,omitempty"`
	Replay    bool       `json:"replay,omitempty"`
	Signature string     `json:"signature"`
	// Problem is what is wrong with the signature, or why no request could be made.
	Problem    string          `json:"problem,omitempty"`
	Duplicate  bool            `json:"duplicate,omitempty"`
	OutOfOrder bool            `json:"out_of_order,omitempty"`
	Changes    []change        `json:"changes,omitempty"`
	Data       json.RawMessage `json:"data,omitempty"`
	Request    *request        `json:"request,omitempty"`
	// Answers are those of the place that it was sent on to, one for each attempt; of a receiver, the one that it gave.
	Answers []answer `json:"answers,omitempty"`

	arrived  time.Time
	previous json.RawMessage
}

// request is what a target gets.
type request struct {
	Method  string            `json:"method"`
	URL     string            `json:"url,omitempty"`
	Headers map[string]string `json:"headers"`
	Body    string            `json:"body,omitempty"`
}

// answer is how an attempt ended.
type answer struct {
	Attempt int    `json:"attempt,omitempty"`
	Status  int    `json:"status,omitempty"`
	Error   string `json:"error,omitempty"`
	TookMS  int64  `json:"took_ms"`
	// Body is its beginning.
	Body string `json:"body,omitempty"`
}

func (a answer) delivered() bool { return a.Status/100 == 2 }

// committed sets the time of the commit.
func (h *hook) committed(at time.Time) {
	if at.IsZero() {
		return
	}
	age := h.arrived.Sub(at).Milliseconds()
	h.Timestamp, h.AgeMS = &at, &age
}

// maxContent bounds what a compressed body may come to.
const maxContent = 128 << 20

// signedContent is what the signature of a request is over: the query of a GET, else the body before any compression.
func signedContent(method, query string, header http.Header, body []byte) ([]byte, error) {
	if method == http.MethodGet {
		return []byte(query), nil
	}
	if header.Get("Content-Encoding") != "gzip" {
		return body, nil
	}
	r, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("read the body as gzip: %w", err)
	}
	out, err := io.ReadAll(io.LimitReader(r, maxContent))
	if err != nil {
		return nil, fmt.Errorf("read the body as gzip: %w", err)
	}
	return out, nil
}

// check looks at the signature. Without a secret it is not checked.
func (h *hook) check(header http.Header, content []byte, key string) {
	given := header.Get("Webhook-Signature")
	switch {
	case key == "":
		h.Signature = signatureUnchecked
		return
	case strings.HasPrefix(given, "v1a,"):
		// It is checked by a public key, and there is none here.
		h.Signature = signatureUnchecked
		return
	}
	capture := &verify.Capture{Header: header.Clone(), Body: content}
	capture.Header.Del("Content-Length") // that of what was sent
	report := verify.Check(capture, key, h.arrived)
	h.Signature = signatureOK
	if !report.Verified {
		wrong := report.First()
		h.Signature, h.Problem = signatureBad, wrong.Part+" "+wrong.Detail
	}
}

// instanceOf is contact/42, or the resource alone.
func instanceOf(event, instance string) string {
	resource := event
	if i := strings.LastIndexByte(event, '.'); i >= 0 {
		resource = event[:i]
	}
	if instance == "" {
		return ""
	}
	return resource + "/" + instance
}

// shownURL is without credentials.
func shownURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "(a URL that cannot be read)"
	}
	return u.Redacted()
}
