package hooktest

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// A Request is one that arrived. It must not be changed.
type Request struct {
	Number  int // from 1, in the order of arrival
	Method  string
	Path    string
	Query   string // as sent, without the question mark
	Host    string
	Header  http.Header
	Body    []byte    // as sent
	BodyErr error     // why the body is not whole; nil if it is
	At      time.Time // when its headers were there

	Remote     string // the client's address
	Connection int    // from 1, in the order of the connections
	Reused     bool   // an earlier request came on the same connection
	InFlight   int    // how many requests were being read or answered at arrival, this one included

	// Answered is the status that the script gave it, 0 if it got none: a broken or garbled answer. The client may have
	// gone before it could read it.
	Answered int

	// The headers of a webhook, with their zero values where they are missing or malformed.
	ID          string    // webhook-id
	Type        string    // webhook-type
	Timestamp   time.Time // webhook-timestamp: of this attempt
	Attempt     int       // webhook-attempt
	RetryReason string    // webhook-retry-reason
	Position    string    // webhook-position

	says *decoded // nil unless it arrived at a Receiver
}

// Delivered says whether the answer was a success.
func (r Request) Delivered() bool { return r.Answered >= 200 && r.Answered < 300 }

// String is one line for logs and failed tests.
func (r Request) String() string {
	return fmt.Sprintf("#%d %s %s id=%s type=%s attempt=%d position=%s, %d bytes, answered %d",
		r.Number, r.Method, r.Path, r.ID, r.Type, r.Attempt, r.Position, len(r.Body), r.Answered)
}

func (r *Request) fromHeader() {
	r.ID = r.Header.Get("webhook-id")
	r.Type = r.Header.Get("webhook-type")
	r.Position = r.Header.Get("webhook-position")
	r.RetryReason = r.Header.Get("webhook-retry-reason")
	r.Attempt, _ = strconv.Atoi(r.Header.Get("webhook-attempt"))
	if seconds, err := strconv.ParseInt(r.Header.Get("webhook-timestamp"), 10, 64); err == nil {
		r.Timestamp = time.Unix(seconds, 0)
	}
}
