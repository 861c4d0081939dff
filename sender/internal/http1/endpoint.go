package http1

import (
	"encoding/base64"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
)

// Field is a header of a request.
type Field struct{ Name, Value string }

// Endpoint is a method and a URL to send to, with the headers that all requests to it have: the part of them that does not
// change.
type Endpoint struct {
	key
	// address is dialled, name is whom the certificate must be of.
	address, name string
	head          []byte
	// path and query are where they end in the head.
	path, query int
	// get says that its requests have no body.
	get bool
}

// NewEndpoint is for POST, PUT and GET. It returns nil for another method, and for a URL, or headers, that net/http would not
// write as they are: they are for net/http to mend or to refuse. The URL's credentials become a header, as they do there.
func NewEndpoint(method string, u *url.URL, fields ...Field) *Endpoint {
	if method != http.MethodPost && method != http.MethodPut && method != http.MethodGet {
		return nil
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	bare := len(path)
	if u.ForceQuery || u.RawQuery != "" {
		path += "?" + u.RawQuery
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Opaque != "" || !plainHost(u.Host) || !plainURI(path) {
		return nil
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
	}
	e := &Endpoint{key: key{u.Scheme, u.Host}, address: net.JoinHostPort(u.Hostname(), port), name: u.Hostname(), get: method == http.MethodGet}
	e.path = len(method) + len(" ") + bare
	e.query = len(method) + len(" ") + len(path)
	e.head = append(e.head, method+" "+path+" HTTP/1.1\r\nHost: "+u.Host+"\r\n"...)
	if u.User != nil {
		password, _ := u.User.Password()
		basic := base64.StdEncoding.EncodeToString([]byte(u.User.Username() + ":" + password))
		fields = append(fields[:len(fields):len(fields)], Field{"Authorization", "Basic " + basic})
	}
	ok := true
	for _, f := range fields {
		e.head, ok = appendField(e.head, f, ok)
	}
	if !ok {
		return nil
	}
	return e
}

// WithQuery is the endpoint with another query, or nil where net/http would not write that as it is.
func (e *Endpoint) WithQuery(query string) *Endpoint {
	if !plainURI(query) {
		return nil
	}
	other := *e
	other.head = make([]byte, 0, len(e.head)+len(query)+1)
	other.head = append(other.head, e.head[:e.path]...)
	other.head = append(append(other.head, '?'), query...)
	other.query = len(other.head)
	other.head = append(other.head, e.head[e.query:]...)
	return &other
}

// buffers are requests as they are written.
var buffers = sync.Pool{New: func() any { b := make([]byte, 0, 2<<10); return &b }}

// appendRequest appends a request whose body is so long, and so much of the body as is given. It is false when a header
// cannot be written as it is.
func (e *Endpoint) appendRequest(dst []byte, fields []Field, length int, body []byte) ([]byte, bool) {
	dst = append(dst, e.head...)
	ok := true
	for _, f := range fields {
		dst, ok = appendField(dst, f, ok)
	}
	if !e.get {
		dst = append(dst, "Content-Length: "...)
		dst = strconv.AppendInt(dst, int64(length), 10)
		dst = append(dst, '\r', '\n')
	}
	dst = append(dst, '\r', '\n')
	return append(dst, body...), ok
}

// appendField appends a header's line, and nothing else: what would end the line, or mean more than its words, is not ok.
func appendField(dst []byte, f Field, ok bool) ([]byte, bool) {
	dst = append(dst, f.Name...)
	dst = append(dst, ':', ' ')
	dst = append(dst, f.Value...)
	dst = append(dst, '\r', '\n')
	return dst, ok && plainName(f.Name) && plainValue(f.Value) && !special(f.Name)
}

// special says that a header is not for a caller to set.
func special(name string) bool {
	for _, s := range [...]string{"TE", "Host", "Expect", "Upgrade", "Trailer", "Connection", "Keep-Alive", "Content-Length",
		"Transfer-Encoding", "Proxy-Connection"} {
		if len(name) == len(s) && strings.EqualFold(name, s) {
			return true
		}
	}
	return false
}

// plainHost says that a host and its port, if any, are of ASCII and need no rewriting.
func plainHost(host string) bool {
	name := host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && strings.IndexByte(host[i:], ']') < 0 {
		name = host[:i]
		if n, err := strconv.ParseUint(host[i+1:], 10, 16); err != nil || n == 0 {
			return false
		}
	}
	six := strings.HasPrefix(name, "[") && strings.HasSuffix(name, "]")
	if six {
		name = name[1 : len(name)-1]
	}
	for i := range len(name) {
		c := name[i]
		if !alphanumeric(c) && c != '.' && c != '-' && c != '_' && (c != ':' || !six) {
			return false
		}
	}
	return name != ""
}

func plainURI(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return true
}

func plainName(s string) bool {
	for i := range len(s) {
		if !token(s[i]) {
			return false
		}
	}
	return s != ""
}

func plainValue(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' && s[i] != '\t' || s[i] == 0x7f {
			return false
		}
	}
	return s == "" || !blank(s[0]) && !blank(s[len(s)-1])
}

func blank(c byte) bool { return c == ' ' || c == '\t' }

func token(c byte) bool { return alphanumeric(c) || strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0 }

func alphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
