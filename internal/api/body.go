package api

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"

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
