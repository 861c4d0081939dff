package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/rowhook/rowhook/subscriptions"
)

const maxBody = subscriptions.MaxBody

// readBody reads a body of one of the media types.
func readBody(r *http.Request, types ...string) ([]byte, error) {
	given := r.Header.Get("Content-Type")
	t, params, err := mime.ParseMediaType(given)
	charset := params["charset"]
	if err != nil || !slices.Contains(types, t) || charset != "" && !strings.EqualFold(charset, "utf-8") {
		a := problem(http.StatusUnsupportedMediaType,
			fmt.Sprintf("the content type is %q: send %s", given, strings.Join(types, " or ")))
		a.header("Accept", strings.Join(types, ", "))
		return nil, refusal{a}
	}
	if encoding := r.Header.Get("Content-Encoding"); encoding != "" && encoding != "identity" {
		a := problem(http.StatusUnsupportedMediaType, fmt.Sprintf("the content encoding is %q: send none", encoding))
		a.header("Accept-Encoding", "identity")
		return nil, refusal{a}
	}
	b, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, refusal{problem(http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes", maxBody))}
	case err != nil:
		return nil, refusal{problem(http.StatusBadRequest, "the body did not arrive whole")}
	}
	return b, nil
}

// decode reads a body that is to be the type of into: 400 for what is not JSON, 422 for fields that are wrong. Such is what it
// says the body is to be. An empty body is {}.
func decode(b []byte, into any, such string) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); more != io.EOF {
			return refusal{problem(http.StatusBadRequest, "the body is not one JSON object: there is more after it")}
		}
		return nil
	}
	var wrong *json.UnmarshalTypeError
	field, unknown := strings.CutPrefix(err.Error(), "json: unknown field ")
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &wrong):
		// What is embedded in a body is no part of its fields' names.
		names := slices.DeleteFunc(strings.Split(wrong.Field, "."), func(name string) bool { return name != "" && name[0] >= 'A' && name[0] <= 'Z' })
		return refusal{fieldProblem(strings.Join(names, "."), "is "+kindOfJSON(wrong.Value)+": the body is such as "+such)}
	case unknown:
		field = strings.Trim(field, `"`)
		return refusal{fieldProblem(shorten(field), "is not a field: the body is such as "+such)}
	}
	if errors.As(err, new(*time.ParseError)) {
		return refusal{fieldProblem("", "has a time that is not by RFC 3339: give one such as 2030-01-31T12:00:00Z")}
	}
	return refusal{problem(http.StatusBadRequest, "the body is not JSON: it is such as "+such)}
}

// kindOfJSON names the kind of a value, as the decoder calls it, for an error.
func kindOfJSON(kind string) string {
	switch kind, _, _ = strings.Cut(kind, " "); kind {
	case "bool":
		return "a boolean"
	case "array":
		return "a list"
	case "object":
		return "an object"
	}
	return "a " + kind
}

// shorten bounds how much of a caller's text an answer repeats.
func shorten(text string) string {
	if len(text) > 80 {
		return strings.ToValidUTF8(text[:80], "") + "…"
	}
	return text
}
