package api

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/rowhook/rowhook/client"
	"github.com/rowhook/rowhook/subscriptions"
)

// answer is a whole response. Cause, id and stack are for the log.
type answer struct {
	status  int
	headers [][2]string
	// given are headers of somebody else's answer, which headers go over.
	given http.Header
	body  []byte
	cause error
	id    string
	stack []byte
	// stream writes the body, as long as it takes, where it is not known whole.
	stream func(w http.ResponseWriter, r *http.Request)
}

func (a *answer) header(name, value string) { a.headers = append(a.headers, [2]string{name, value}) }

func (a answer) write(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for name, values := range a.given {
		h[name] = slices.Clone(values)
	}
	for _, kv := range a.headers {
		h.Set(kv[0], kv[1])
	}
	h.Set("X-Content-Type-Options", "nosniff")
	if a.stream != nil {
		w.WriteHeader(a.status)
		a.stream(w, r)
		return
	}
	if a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	w.WriteHeader(a.status)
	w.Write(a.body) // a caller that is gone is nobody's concern
}

// jsonAnswer encodes v. URLs stay readable: the answer is never part of a page.
func jsonAnswer(status int, contentType string, v any) (answer, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return answer{}, fmt.Errorf("encode answer: %w", err)
	}
	a := answer{status: status, body: b.Bytes()}
	a.header("Content-Type", contentType)
	return a, nil
}

func ok(v any) (answer, error) { return jsonAnswer(http.StatusOK, "application/json", v) }

// problem is an error answer that its status explains. https://www.rfc-editor.org/rfc/rfc9457
func problem(status int, detail string) answer {
	return problemAnswer(client.Problem{
		Type: "about:blank", Title: http.StatusText(status), Status: status, Detail: detail,
	})
}

func problemAnswer(p client.Problem) answer {
	a, err := jsonAnswer(p.Status, "application/problem+json", p)
	if err != nil {
		// Texts and numbers always encode.
		return answer{status: http.StatusInternalServerError, cause: err}
	}
	return a
}

func notFound(detail string) answer { return problem(http.StatusNotFound, detail) }

// internalError hides what happened behind an id.
func internalError(err error) answer {
	id := "err_" + rand.Text()
	a := problemAnswer(client.Problem{
		Type: "about:blank", Title: http.StatusText(http.StatusInternalServerError),
		Status: http.StatusInternalServerError, Detail: "unexpected error: rowhook's log tells more under this id", ID: id,
	})
	a.id, a.cause = id, err
	return a
}

func unavailable(detail string, cause error) answer {
	a := problem(http.StatusServiceUnavailable, detail)
	a.header("Retry-After", "1")
	a.cause = cause
	return a
}

func panicked(p any) error {
	if err, ok := p.(error); ok {
		return fmt.Errorf("panic: %w", err)
	}
	return fmt.Errorf("panic: %v", p)
}

// refusal is an error of the caller, with its answer.
type refusal struct{ answer answer }

func (r refusal) Error() string { return http.StatusText(r.answer.status) }

// failure is the one place where errors become statuses.
func failure(err error) answer {
	var r refusal
	var invalid *subscriptions.Invalid
	switch {
	case errors.As(err, &r):
		return r.answer
	case errors.As(err, &invalid):
		return invalidAnswer(invalid, "subscription")
	case errors.Is(err, subscriptions.ErrNotFound):
		return notFound("there is no such subscription")
	case errors.Is(err, subscriptions.ErrTokenNotFound):
		return notFound("there is no such token")
	case errors.Is(err, subscriptions.ErrTooMany):
		return problemAnswer(client.Problem{Type: "too-many-subscriptions", Title: "Too many subscriptions", Status: http.StatusUnprocessableEntity,
			Detail: "this account has as many subscriptions as it may: delete one that is not needed any more"})
	case errors.Is(err, subscriptions.ErrOnceDiffers):
		return problem(http.StatusUnprocessableEntity, "another request had this Idempotency-Key: repeat that one byte for byte, or take a new key")
	case errors.Is(err, subscriptions.ErrLeaseOver):
		return problem(http.StatusConflict, "the subscription's lease is over: PATCH its expires_at to a time in the future, or to null")
	case errors.Is(err, subscriptions.ErrIDUsed):
		return problem(http.StatusConflict, "the id belonged to a subscription that was deleted here: give it another one")
	case errors.Is(err, errNoCatalogue):
		return unavailable("the source is not known yet: try again", nil)
	case errors.Is(err, subscriptions.ErrUnavailable), errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return unavailable("the store or the source cannot be reached: try again", err)
	}
	return internalError(err)
}

// invalidAnswer is 400 for what is not JSON, else 422 with each field. Of is what the body is to be.
func invalidAnswer(e *subscriptions.Invalid, of string) answer {
	if e.Malformed {
		return problem(http.StatusBadRequest, e.Error())
	}
	p := client.Problem{
		Type: "invalid-" + strings.ReplaceAll(of, " ", "-"), Title: "Invalid " + of, Status: http.StatusUnprocessableEntity,
		Detail: "the body has 1 mistake",
	}
	if n := len(e.Mistakes); n > 1 {
		p.Detail = fmt.Sprintf("the body has %d mistakes", n)
	}
	for _, m := range e.Mistakes {
		p.Errors = append(p.Errors, client.FieldError{Field: m.Field, Detail: m.Detail})
	}
	return problemAnswer(p)
}
