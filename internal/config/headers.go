package config

import (
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/rowhook/rowhook/internal/application"
	"github.com/rowhook/rowhook/internal/secret"
)

// headersKind is a map from names of HTTP headers to their values, kept in the file's order.
type headersKind struct{}

var headerName = regexp.MustCompile("^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}$")

// ownHeaders are those that HTTP itself sets.
var ownHeaders = []string{"Connection", "Content-Length", "Transfer-Encoding", "Upgrade", "Te", "Trailer", "Accept-Encoding"}

// headerText is a value of a header. It is often a token, so it is never shown.
var headerText = scalar[secret.String]{
	want:   "text",
	secret: true,
	parse: func(s string) (secret.String, *mistake) {
		switch {
		case s == "":
			return "", &mistake{is: "is empty", hint: "give it a value, or leave the header out"}
		case strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }):
			return "", &mistake{is: "holds a line break or another control character", hint: "a header is one line"}
		case strings.TrimSpace(s) != s:
			return "", &mistake{is: "begins or ends with a space", hint: "leave the space out"}
		}
		return secret.String(s), nil
	},
	json: jsonObject{{"type", "string"}},
}

func (headersKind) decode(d *decoder, v value, to *[]application.Header) {
	if d.bad[v.node] {
		return
	}
	entries, ok := d.entries(v, false)
	if !ok {
		return
	}
	seen := map[string]string{}
	for _, e := range entries {
		name := http.CanonicalHeaderKey(e.name)
		first, twice := seen[name]
		switch {
		case !headerName.MatchString(e.name):
			d.add(e.key, `write the header's name, as in authorization: "Bearer ${env:APP_TOKEN}"`, "%q is not the name of a header", e.name)
			continue
		case slices.Contains(ownHeaders, name):
			d.add(e.key, "leave it out", "the header %q is set by HTTP itself", e.name)
			continue
		case twice:
			d.add(e.key, "names of headers are the same in capitals: keep one", "%q is given before, as %q", e.name, first)
			continue
		}
		seen[name] = e.name
		h := application.Header{Name: e.name}
		headerText.decode(d, e.value, &h.Value)
		*to = append(*to, h)
	}
}

func (headersKind) schema(*[]application.Header) jsonObject {
	return jsonObject{
		{"type", "object"},
		{"additionalProperties", jsonObject{{"type", "string"}, {"minLength", 1}}},
		{"examples", []any{jsonObject{{"authorization", "Bearer ${env:APP_TOKEN}"}}}},
	}
}
