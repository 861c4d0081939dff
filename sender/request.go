package sender

import (
	"strconv"
	"time"

	"github.com/rowhook/rowhook/mapping"
	"github.com/rowhook/rowhook/sender/internal/http1"
	"github.com/rowhook/rowhook/subscriptions"
)

// Header is a header of a request.
type Header struct{ Name, Value string }

// Headers are those of the first attempt to send an event, made at a time with a body in a format, in their order, where the
// subscription says no more than that. Without secrets there is no signature. An error names no secret.
func Headers(ev *mapping.Event, format Format, body []byte, userAgent string, secrets []subscriptions.SigningSecret, at time.Time) ([]Header, error) {
	var sig *signer
	if len(secrets) > 0 {
		var err error
		if sig, err = newSigner(secrets); err != nil {
			return nil, err
		}
	}
	a := attempt{event: ev, number: 1}
	fields, ok := a.appendFields(commonFields(format.ContentType, userAgent), sig, at, body)
	if !ok {
		return nil, errNoSecret
	}
	all := make([]Header, len(fields))
	for i, f := range fields {
		all[i] = Header(f)
	}
	return all, nil
}

// commonFields are the headers that all requests have.
func commonFields(contentType, userAgent string) []http1.Field {
	return []http1.Field{{Name: "Content-Type", Value: contentType}, {Name: "User-Agent", Value: userAgent}}
}

// appendFields appends the attempt's own headers. It is false where no secret signs at the time. A signer that is nil makes
// no signature.
func (a *attempt) appendFields(dst []http1.Field, sig *signer, at time.Time, body []byte) ([]http1.Field, bool) {
	var room [256]byte
	texts := room[:0]
	if sig != nil {
		if texts = sig.sign(texts, a.event.ID, at, body); len(texts) == 0 {
			return dst, false
		}
	}
	signed := len(texts)
	texts = strconv.AppendInt(texts, at.Unix(), 10)
	stamped := len(texts)
	all := string(a.event.Position.AppendText(texts))
	dst = append(dst,
		http1.Field{Name: "Webhook-Id", Value: a.event.ID},
		http1.Field{Name: "Webhook-Timestamp", Value: all[signed:stamped]})
	if signed > 0 {
		dst = append(dst, http1.Field{Name: "Webhook-Signature", Value: all[:signed]})
	}
	dst = append(dst,
		http1.Field{Name: "Webhook-Type", Value: a.event.Type},
		http1.Field{Name: "Webhook-Position", Value: all[stamped:]},
		http1.Field{Name: "Webhook-Attempt", Value: strconv.Itoa(a.number)})
	if a.retryReason != "" {
		dst = append(dst, http1.Field{Name: "Webhook-Retry-Reason", Value: a.retryReason})
	}
	if a.replay {
		dst = append(dst, http1.Field{Name: "Webhook-Replay", Value: "1"})
	}
	if f := a.fallback; f != nil {
		dst = append(dst, http1.Field{Name: "Webhook-Fallback-Reason", Value: f.Reason})
		if f.Status != 0 {
			dst = append(dst, http1.Field{Name: "Webhook-Fallback-Status", Value: strconv.Itoa(f.Status)})
		}
	}
	if a.event.Backfilled() {
		dst = append(dst, http1.Field{Name: "Webhook-Backfill", Value: "1"})
	}
	if a.traceparent != "" {
		dst = append(dst, http1.Field{Name: "Traceparent", Value: a.traceparent})
	}
	return dst, true
}
