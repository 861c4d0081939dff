package application

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// Error is a question that was not answered with JSON. It never holds a header's value or a body.
type Error struct {
	// URL is what was asked; it holds the instance's key.
	URL string
	// Status is the answer's; 0 where there was none.
	Status int
	// Reason says what happened, without the URL; Hint, which may be empty, what to do.
	Reason, Hint string
	// RetryAfter is what the application asks to be left alone for; 0 where it does not.
	RetryAfter time.Duration
}

// Error implements error.
func (e *Error) Error() string {
	s := "GET " + e.URL + ": " + e.Reason
	if e.Hint != "" {
		s += "\n  hint: " + e.Hint
	}
	return s
}

// Missing says that the application knows no such instance, or shows it to nobody of this login.
func (e *Error) Missing() bool {
	return e.Status == http.StatusNotFound || e.Status == http.StatusGone
}

// Own says that the application itself has answered, and failed: for this instance alone, or for all. Else it is away,
// asks for time, or refuses the login.
func (e *Error) Own() bool {
	switch e.Status {
	case 0, http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusTooEarly,
		http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return false
	}
	return true
}

// unanswered says why there was no answer.
func (e *Error) unanswered(err error) {
	e.Hint = "see that the application runs, and that app.url is its address"
	var timedOut interface{ Timeout() bool }
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.As(err, &timedOut) && timedOut.Timeout() {
		e.Reason = fmt.Sprintf("no answer within %v", timeout)
		return
	}
	e.Reason = cause(err).Error()
	if strings.Contains(e.Reason, "malformed") {
		e.Reason = "what answers there does not speak HTTP" // the message quotes it
	}
}

// refused says what another status than 200 means.
func (e *Error) refused(resp *http.Response) {
	e.Reason = "the application answers " + strconv.Itoa(resp.StatusCode)
	if text := http.StatusText(resp.StatusCode); text != "" {
		e.Reason += " " + text
	}
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		e.Hint = "give a login that may read it: app: {headers: {authorization: \"Bearer ${env:APP_TOKEN}\"}}"
	case e.Missing():
		e.Hint = "the instance may not be visible to the login of app.headers; else see path and app.url"
	case code >= 300 && code < 400:
		if to, err := url.Parse(resp.Header.Get("Location")); err == nil && to.Host != "" {
			e.Reason += ": it leads to " + (&url.URL{Scheme: to.Scheme, Host: to.Host}).String()
		}
		e.Hint = "redirects to other hosts are not followed: set app.url to where the API is"
	case code == http.StatusTooManyRequests || code == http.StatusServiceUnavailable:
		e.RetryAfter = retryAfter(resp.Header.Get("Retry-After"))
	case code == http.StatusBadRequest:
		e.Hint = "the application may not take this Host: add host to app.headers (ALLOWED_HOSTS and the like)"
	}
}

// retryAfter reads the header, in seconds or as a date.
func retryAfter(s string) time.Duration {
	if n, err := strconv.Atoi(s); err == nil {
		return max(time.Duration(min(n, 3600))*time.Second, 0)
	}
	if at, err := http.ParseTime(s); err == nil {
		return max(time.Until(at), 0)
	}
	return 0
}
