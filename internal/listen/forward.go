package listen

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/rowhook/rowhook/sender"
)

const (
	// answerKept bounds what is read of an answer, in bytes.
	answerKept = 4 << 10
	// firstRetry is the wait before the second attempt; it doubles up to lastRetry.
	firstRetry = time.Second
	lastRetry  = 30 * time.Second
)

// forwarder sends requests on, as they would be sent by rowhook: redirects are not followed, and nothing is added. Unlike there any
// address will do: it is the user's own machine that sends.
type forwarder struct{ client *http.Client }

func newForwarder(timeout time.Duration) *forwarder {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	return &forwarder{&http.Client{Timeout: timeout, Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

func (f *forwarder) close() { f.client.CloseIdleConnections() }

// send makes the request, and tells the typed reason if it is not taken.
func (f *forwarder) send(ctx context.Context, q *sender.Composed) (a answer, reason string) {
	began := time.Now()
	var body io.Reader
	if q.Method != http.MethodGet {
		body = bytes.NewReader(q.Body)
	}
	req, err := http.NewRequestWithContext(ctx, q.Method, q.URL, body)
	if err != nil {
		return answer{Error: sender.WithoutURL(err).Error()}, sender.ReasonConfiguration
	}
	for _, h := range q.Headers {
		req.Header[http.CanonicalHeaderKey(h.Name)] = []string{h.Value}
	}
	resp, err := f.client.Do(req)
	if err != nil {
		a.TookMS = time.Since(began).Milliseconds()
		reason = sender.ReasonOf(err)
		a.Error = reason
		if cause := sender.WithoutURL(err).Error(); reason != sender.ReasonTimeout {
			a.Error = fmt.Sprintf("%s: %s", reason, cause)
		}
		return a, reason
	}
	defer func() { _ = resp.Body.Close() }()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, answerKept)) // the status has decided
	a.Status, a.TookMS, a.Body = resp.StatusCode, time.Since(began).Milliseconds(), strings.ToValidUTF8(string(text), "�")
	if !a.delivered() {
		reason = sender.ReasonHTTPStatus
	}
	return a, reason
}
